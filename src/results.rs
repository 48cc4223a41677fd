//! A run's values as JSON on stdout, written as they are read: ten thousand results never stand in memory together.

use std::io::Write;

use anyhow::{Context, anyhow};
use bue_client::BucketClient;
use bue_model::wire::{CallResult, FailedJob, ResultPage, RoundValue};
use bue_model::{Chunk, Json, RunId, ValueRef, cbor};
use bytes::Bytes;
use serde::Serialize;

use crate::stop::Stop;

/// Writes results to `out`, fetching from the bucket what does not stand in the page.
pub(crate) struct ResultWriter<'a, W> {
    pub(crate) bucket: &'a BucketClient,
    pub(crate) out: W,
}

/// What a script that reads `--json` learns of a failed job.
#[derive(Serialize)]
struct FailedEntry<'a> {
    job: u64,
    step: &'a str,
    attempts: u32,
    error: String,
}

/// A result is a text with values in it.
enum Piece<'a> {
    Text(&'static str),
    Value(&'a ValueRef),
}

impl<W: Write> ResultWriter<'_, W> {
    /// The whole object of `--json`, on one line.
    pub(crate) async fn object(&mut self, run: RunId, page: &ResultPage) -> Result<(), Stop> {
        self.text(&format!(r#"{{"run":"{run}","state":"{}","results":["#, page.state.name()))?;
        for (position, result) in page.results.iter().enumerate() {
            self.text(if position > 0 { "," } else { "" })?;
            self.entry(result).await?;
        }
        self.text(r#"],"failed":"#)?;
        let failed: Vec<FailedEntry<'_>> = page.failed.iter().map(failed_entry).collect();
        self.json(&failed)?;
        self.text("}\n")?;
        self.flush()
    }

    /// One line of JSON for each of these results.
    pub(crate) async fn lines(&mut self, results: impl Iterator<Item = &CallResult>) -> Result<(), Stop> {
        for result in results {
            self.rounds(&result.value).await?;
            self.text("\n")?;
        }
        self.flush()
    }

    async fn entry(&mut self, result: &CallResult) -> Result<(), Stop> {
        self.text(&format!(r#"{{"line":{},"name":"#, result.line))?;
        self.json(&result.name)?;
        self.text(r#","value":"#)?;
        self.rounds(&result.value).await?;
        self.text("}")
    }

    async fn rounds(&mut self, rounds: &RoundValue) -> Result<(), Stop> {
        let mut pieces = Vec::new();
        collect_pieces(rounds, &mut pieces);
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.text(text)?,
                Piece::Value(ValueRef::List(chunks)) => self.list(chunks).await?,
                Piece::Value(value) => {
                    let bytes = self.bytes(value).await?;
                    self.value(&bytes)?;
                }
            }
        }
        Ok(())
    }

    async fn list(&mut self, chunks: &[Chunk]) -> Result<(), Stop> {
        let mut comma = "";
        self.text("[")?;
        for chunk in chunks {
            let bytes = self.bytes(&chunk.value).await?;
            for item in cbor::array_items(&bytes).map_err(damaged)?.unwrap_or_default() {
                self.text(comma)?;
                self.value(item)?;
                comma = ",";
            }
        }
        self.text("]")
    }

    async fn bytes(&self, value: &ValueRef) -> Result<Bytes, Stop> {
        match value {
            ValueRef::Inline(bytes) => Ok(bytes.clone()),
            ValueRef::Blob(blob) => {
                Ok(self.bucket.get(blob).await.context("failed to fetch a result from the bucket")?)
            }
            ValueRef::List(_) => Err(Stop::Surroundings(anyhow!("a piece of a list is a list again"))),
        }
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let value = cbor::decode(bytes).map_err(damaged)?;
        self.json(&Json(&value))
    }

    fn json(&mut self, value: &impl Serialize) -> Result<(), Stop> {
        serde_json::to_writer(&mut self.out, value).map_err(|error| Stop::from_stdout(error.into()))
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        self.out.write_all(text.as_bytes()).map_err(Stop::from_stdout)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.out.flush().map_err(Stop::from_stdout)
    }
}

/// What happened to a failed job in one text: the message, and the traceback where there is one.
fn failed_entry(failed: &FailedJob) -> FailedEntry<'_> {
    let error = match &failed.failure.trace {
        Some(trace) => format!("{}\n{trace}", failed.failure.message),
        None => failed.failure.message.clone(),
    };
    FailedEntry { job: failed.job.0, step: &failed.step, attempts: failed.attempts, error }
}

/// The depth is that of the script's loops, which the language bounds.
fn collect_pieces<'a>(rounds: &'a RoundValue, pieces: &mut Vec<Piece<'a>>) {
    match rounds {
        RoundValue::Nothing => pieces.push(Piece::Text("null")),
        RoundValue::Value(value) => pieces.push(Piece::Value(value)),
        RoundValue::Rounds(rounds) => {
            pieces.push(Piece::Text("["));
            for (position, round) in rounds.iter().enumerate() {
                pieces.push(Piece::Text(if position > 0 { "," } else { "" }));
                collect_pieces(round, pieces);
            }
            pieces.push(Piece::Text("]"));
        }
    }
}

fn damaged(error: cbor::CborError) -> Stop {
    Stop::Surroundings(anyhow::Error::new(error).context("a stored result is damaged"))
}
