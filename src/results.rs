//! A run's values as JSON on stdout, written page by page as they are read: a million results never stand in memory
//! together.

use std::io::{BufWriter, Stdout, Write};

use anyhow::{Context, anyhow};
use bue_client::{BucketClient, HubClient};
use bue_model::wire::{CallResult, FailedJob, ResultCursor, ResultPage, RoundValue};
use bue_model::{Chunk, Json, RunId, ValueRef, cbor};
use bytes::Bytes;
use serde::Serialize;

use crate::stop::Stop;

/// Writes a run's results, fetching from the bucket what does not stand in the pages.
pub(crate) struct ResultWriter<'a> {
    hub: &'a HubClient,
    bucket: &'a BucketClient,
    run: RunId,
    out: BufWriter<Stdout>,
}

/// What a script that reads `--json` learns of a failed job.
#[derive(Serialize)]
pub(crate) struct FailedEntry<'a> {
    job: u64,
    step: &'a str,
    attempts: u32,
    error: String,
}

/// One call's value, or the part of it that stands on one page.
struct Part {
    call: usize,
    result: CallResult,
    /// Rounds of it stood on the page before.
    continues: bool,
    /// Rounds of it stand on the next page.
    goes_on: bool,
}

impl<'a> ResultWriter<'a> {
    /// For stdout.
    pub(crate) fn new(hub: &'a HubClient, bucket: &'a BucketClient, run: RunId) -> Self {
        Self { hub, bucket, run, out: BufWriter::new(std::io::stdout()) }
    }

    /// The whole object of `--json`, on one line.
    pub(crate) async fn object(mut self, first: ResultPage) -> Result<(), Stop> {
        self.text(&format!(r#"{{"run":"{}","state":"{}","results":["#, self.run, first.state.name()))?;
        let failed = serde_json::to_string(&first.failed.iter().map(failed_entry).collect::<Vec<_>>());
        let mut page = Some((ResultCursor::default(), first));
        while let Some((cursor, this)) = page.take() {
            page = self.page_after(&this).await?;
            for part in parts(cursor, this) {
                self.entry(&part).await?;
            }
        }
        self.text(&format!(r#"],"failed":{}}}"#, failed.context("failed to write JSON")?))?;
        self.end_line()
    }

    /// One line of JSON for each call statement that is wanted.
    pub(crate) async fn lines(mut self, first: ResultPage, wanted: impl Fn(usize) -> bool) -> Result<(), Stop> {
        let mut page = Some((ResultCursor::default(), first));
        while let Some((cursor, this)) = page.take() {
            page = self.page_after(&this).await?;
            for part in parts(cursor, this).into_iter().filter(|part| wanted(part.call)) {
                self.value_of(&part).await?;
                if !part.goes_on {
                    self.end_line()?;
                }
            }
        }
        Ok(())
    }

    /// One value on a line of its own.
    pub(crate) async fn value_line(mut self, value: &ValueRef) -> Result<(), Stop> {
        self.rounds(&RoundValue::Value(value.clone())).await?;
        self.end_line()
    }

    /// An object on one line, with a value as its last entry, `null` where there is none.
    pub(crate) async fn object_with_value(
        mut self,
        object: &serde_json::Value,
        value: Option<&ValueRef>,
    ) -> Result<(), Stop> {
        let known = object.to_string();
        self.text(known.strip_suffix('}').unwrap_or(&known))?;
        self.text(r#","value":"#)?;
        let value = value.map_or(RoundValue::Nothing, |value| RoundValue::Value(value.clone()));
        self.rounds(&value).await?;
        self.text("}")?;
        self.end_line()
    }

    async fn page_after(&self, page: &ResultPage) -> Result<Option<(ResultCursor, ResultPage)>, Stop> {
        let Some(cursor) = page.next else { return Ok(None) };
        let next = self.hub.result_page(self.run, cursor).await.context("failed to read the results")?;
        Ok(Some((cursor, next)))
    }

    async fn entry(&mut self, part: &Part) -> Result<(), Stop> {
        if !part.continues {
            let comma = if part.call > 0 { "," } else { "" };
            self.text(&format!(r#"{comma}{{"line":{},"name":"#, part.result.line))?;
            self.json(&part.result.name)?;
            self.text(r#","value":"#)?;
        }
        self.value_of(part).await?;
        if part.goes_on { Ok(()) } else { self.text("}") }
    }

    async fn value_of(&mut self, part: &Part) -> Result<(), Stop> {
        let RoundValue::Rounds(rounds) = &part.result.value else { return self.rounds(&part.result.value).await };
        if !part.continues {
            self.text("[")?;
        }
        for (position, round) in rounds.iter().enumerate() {
            self.text(if position > 0 || part.continues { "," } else { "" })?;
            self.rounds(round).await?;
        }
        if part.goes_on { Ok(()) } else { self.text("]") }
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
            ValueRef::Blob(blob) => Ok(self.bucket.get(blob).await.context("failed to fetch a result")?),
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

    fn end_line(&mut self) -> Result<(), Stop> {
        self.text("\n")?;
        self.out.flush().map_err(Stop::from_stdout)
    }
}

/// The parts of the page that begins at `cursor`.
fn parts(cursor: ResultCursor, page: ResultPage) -> Vec<Part> {
    let goes_on = page.next.is_some_and(|next| next.round > 0);
    let (first, last) = (cursor.call as usize, page.results.len().saturating_sub(1));
    let part = |(position, result)| Part {
        call: first + position,
        result,
        continues: position == 0 && cursor.round > 0,
        goes_on: position == last && goes_on,
    };
    page.results.into_iter().enumerate().map(part).collect()
}

/// A value is texts with stored values between them.
enum Piece<'a> {
    Text(&'static str),
    Value(&'a ValueRef),
}

/// The depth is that of the script's loops, which the wire bounds.
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

/// What happened to a failed job in one text: the message, and the traceback where there is one.
pub(crate) fn failed_entry(failed: &FailedJob) -> FailedEntry<'_> {
    let message = &failed.failure.message;
    let error = match &failed.failure.trace {
        Some(trace) if trace.trim() != message => format!("{message}\n{trace}"),
        _ => message.clone(),
    };
    FailedEntry { job: failed.job.0, step: &failed.step, attempts: failed.attempts, error }
}

fn damaged(error: cbor::CborError) -> Stop {
    Stop::Surroundings(anyhow::Error::new(error).context("a stored result is damaged"))
}

#[cfg(test)]
mod tests {
    use bue_model::RunState;

    use super::*;

    fn page(results: usize, next: Option<(u32, u64)>) -> ResultPage {
        let result = CallResult { line: 1, name: None, value: RoundValue::Rounds(Vec::new()) };
        let next = next.map(|(call, round)| ResultCursor { call, round });
        ResultPage { state: RunState::Completed, results: vec![result; results], failed: Vec::new(), next }
    }

    fn shape(cursor: (u32, u64), page: ResultPage) -> Vec<(usize, bool, bool)> {
        let cursor = ResultCursor { call: cursor.0, round: cursor.1 };
        parts(cursor, page).iter().map(|part| (part.call, part.continues, part.goes_on)).collect()
    }

    #[test]
    fn a_call_is_opened_once_and_closed_once() {
        assert_eq!(shape((0, 0), page(2, Some((1, 5)))), [(0, false, false), (1, false, true)]);
        assert_eq!(shape((1, 5), page(1, Some((1, 9)))), [(1, true, true)]);
        assert_eq!(shape((1, 9), page(2, Some((3, 0)))), [(1, true, false), (2, false, false)]);
        assert_eq!(shape((3, 0), page(1, None)), [(3, false, false)]);
    }
}
