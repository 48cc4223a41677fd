//! Prints the results of a run as JSON on stdout, page by page as they are fetched: a million results are never in memory
//! together.

use std::io::{BufWriter, Stdout, Write};

use anyhow::{Context, anyhow};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bue_client::{BucketClient, HubClient};
use bue_model::wire::{CallResult, FailedJob, ResultCursor, ResultPage, RoundValue, RunView};
use bue_model::{ArgumentSummary, CallState, Chunk, EncodedJson, Round, RunId, ValueRef, cbor};
use bytes::Bytes;
use serde::Serialize;

use crate::process::command_error::CommandError;
use crate::process::control_characters::write_json;
use crate::process::output::{eprint_line, json_text};

/// Writes the results of a run, and fetches values that are not inside the pages from the bucket.
pub(crate) struct ResultWriter<'a> {
    hub: &'a HubClient,
    bucket: &'a BucketClient,
    run: RunId,
    out: BufWriter<Stdout>,
    /// The state of the call that is being written.
    state: CallState,
    /// Is added to the object of `--json`: when the run began and ended, if its time is simulated.
    time: Option<serde_json::Value>,
    /// Writes single values as CBOR, which keeps their types.
    is_exact: bool,
}

/// A failed job in the output of `--json`.
#[derive(Serialize)]
pub(crate) struct FailedEntry<'a> {
    job: u64,
    step: &'a str,
    line: u32,
    rounds: &'a [Round],
    arguments: &'a [ArgumentSummary],
    attempts: u32,
    error: String,
}

/// The result of one call, or the part of it that is on one page.
struct Part {
    call: usize,
    result: CallResult,
    /// The previous page has the rounds before.
    continues_previous: bool,
    /// The next page has further rounds.
    continues_on_next: bool,
}

impl<'a> ResultWriter<'a> {
    /// Makes a writer to stdout.
    pub(crate) fn new(hub: &'a HubClient, bucket: &'a BucketClient, run: RunId) -> Self {
        Self {
            hub,
            bucket,
            run,
            out: BufWriter::new(std::io::stdout()),
            state: CallState::default(),
            time: None,
            is_exact: false,
        }
    }

    /// Writes the value of an object as `{"cbor":"BASE64"}` instead of JSON, if `is_exact`.
    pub(crate) fn exact(self, is_exact: bool) -> Self {
        Self { is_exact, ..self }
    }

    /// Adds when the run began and ended, in milliseconds since 1970, to the object of `--json`.
    pub(crate) fn with_time(self, view: &RunView) -> Self {
        let time = serde_json::json!({ "from": view.created_at, "to": view.finished_at });
        Self { time: Some(time), ..self }
    }

    /// Writes the object of `--json`, on one line.
    pub(crate) async fn write_object(mut self, first: ResultPage) -> Result<(), CommandError> {
        self.write_text(&format!(r#"{{"run":"{}","state":"{}","results":["#, self.run, first.state.name()))?;
        let failed = json_text(&first.failed.iter().map(failed_entry).collect::<Vec<_>>());
        let mut page = Some((ResultCursor::default(), first));
        while let Some((cursor, current)) = page.take() {
            page = self.page_after(&current).await?;
            for part in parts(cursor, current) {
                self.write_entry(&part).await?;
            }
        }
        self.write_text(&format!(r#"],"failed":{}"#, failed?))?;
        if let Some(time) = &self.time {
            let time = json_text(time)?;
            self.write_text(&format!(r#","time":{time}"#))?;
        }
        self.write_text("}")?;
        self.end_line()
    }

    /// Writes one line of JSON for each call whose result nothing else in the script uses. Then prints which calls have no
    /// result, and why.
    pub(crate) async fn write_lines(mut self, first: ResultPage) -> Result<(), CommandError> {
        let mut page = Some((ResultCursor::default(), first));
        let mut missing = Vec::new();
        while let Some((cursor, current)) = page.take() {
            page = self.page_after(&current).await?;
            for part in parts(cursor, current) {
                missing.extend(self.write_line(&part).await?);
            }
        }
        print_missing(&missing);
        Ok(())
    }

    /// Writes one value on one line.
    pub(crate) async fn write_value(mut self, value: &ValueRef) -> Result<(), CommandError> {
        self.write_stored(value).await?;
        self.end_line()
    }

    /// Writes an object on one line, with `value` as its last entry; `null` if there is none.
    pub(crate) async fn write_object_with_value(
        mut self,
        object: &serde_json::Value,
        value: Option<&ValueRef>,
    ) -> Result<(), CommandError> {
        let text = json_text(object)?;
        self.write_text(text.strip_suffix('}').unwrap_or(&text))?;
        self.write_text(r#","value":"#)?;
        match value {
            Some(value) if self.is_exact => {
                let value = BASE64_STANDARD.encode(self.fetch(value).await?);
                self.write_text(&format!(r#"{{"cbor":"{value}"}}"#))?;
            }
            Some(value) => self.write_stored(value).await?,
            None => self.write_text("null")?,
        }
        self.write_text("}")?;
        self.end_line()
    }

    async fn page_after(&self, page: &ResultPage) -> Result<Option<(ResultCursor, ResultPage)>, CommandError> {
        let Some(cursor) = page.next else { return Ok(None) };
        let next = self.hub.result_page(self.run, cursor).await.context("failed to read the results")?;
        Ok(Some((cursor, next)))
    }

    /// Writes the part of a line, and returns the message of what the call lacks.
    async fn write_line(&mut self, part: &Part) -> Result<Option<String>, CommandError> {
        self.update_state(part);
        if self.state.has_value() && !part.result.is_used {
            self.write_result(part).await?;
            if !part.continues_on_next {
                self.end_line()?;
            }
        }
        Ok(if part.continues_on_next { None } else { self.state.message(&part.result) })
    }

    /// Brings the state of the call up to this part.
    fn update_state(&mut self, part: &Part) {
        if !part.continues_previous {
            self.state = CallState::default();
        }
        self.state.add(&part.result.value);
    }

    async fn write_entry(&mut self, part: &Part) -> Result<(), CommandError> {
        if !part.continues_previous {
            let comma = if part.call > 0 { "," } else { "" };
            self.write_text(&format!(r#"{comma}{{"line":{},"name":"#, part.result.line))?;
            self.write_json(&part.result.name)?;
            self.write_text(&format!(r#","used":{},"value":"#, part.result.is_used))?;
        }
        self.update_state(part);
        self.write_result(part).await?;
        if part.continues_on_next {
            return Ok(());
        }
        self.write_text(&format!(r#","state":"{}""#, self.state.name()))?;
        if let Some(rounds) = self.state.rounds() {
            self.write_text(r#","rounds":"#)?;
            self.write_json(&rounds)?;
        }
        self.write_text("}")
    }

    async fn write_result(&mut self, part: &Part) -> Result<(), CommandError> {
        let RoundValue::Rounds(rounds) = &part.result.value else { return self.write_rounds(&part.result.value).await };
        if !part.continues_previous {
            self.write_text("[")?;
        }
        for (position, round) in rounds.iter().enumerate() {
            self.write_text(if position > 0 || part.continues_previous { "," } else { "" })?;
            self.write_rounds(round).await?;
        }
        if part.continues_on_next { Ok(()) } else { self.write_text("]") }
    }

    async fn write_rounds(&mut self, rounds: &RoundValue) -> Result<(), CommandError> {
        let mut pieces = Vec::new();
        collect_pieces(rounds, &mut pieces);
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.write_text(text)?,
                Piece::Value(value) => self.write_stored(value).await?,
            }
        }
        Ok(())
    }

    async fn write_stored(&mut self, value: &ValueRef) -> Result<(), CommandError> {
        if let ValueRef::List(chunks) = value {
            return self.write_list(chunks).await;
        }
        let bytes = self.fetch(value).await?;
        self.write_cbor(&bytes)
    }

    async fn write_list(&mut self, chunks: &[Chunk]) -> Result<(), CommandError> {
        let mut comma = "";
        self.write_text("[")?;
        for chunk in chunks {
            let bytes = self.fetch(&chunk.value).await?;
            for item in cbor::array_items(&bytes).map_err(corrupt)?.into_iter().flatten() {
                self.write_text(comma)?;
                self.write_cbor(item.map_err(corrupt)?)?;
                comma = ",";
            }
        }
        self.write_text("]")
    }

    async fn fetch(&self, value: &ValueRef) -> Result<Bytes, CommandError> {
        match value {
            ValueRef::Inline(bytes) => Ok(bytes.clone()),
            ValueRef::Blob(blob) => Ok(self.bucket.get(blob).await.context("failed to fetch a result")?),
            ValueRef::List(_) => Err(CommandError::Environment(anyhow!("a chunk of a list is itself a list"))),
        }
    }

    fn write_cbor(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let value = EncodedJson::new(bytes).map_err(corrupt)?;
        self.write_json(&value)
    }

    fn write_json(&mut self, value: &impl Serialize) -> Result<(), CommandError> {
        write_json(&mut self.out, value).map_err(|error| CommandError::from_stdout(error.into()))
    }

    fn write_text(&mut self, text: &str) -> Result<(), CommandError> {
        self.out.write_all(text.as_bytes()).map_err(CommandError::from_stdout)
    }

    fn end_line(&mut self) -> Result<(), CommandError> {
        self.write_text("\n")?;
        self.out.flush().map_err(CommandError::from_stdout)
    }
}

/// Splits the page that begins at `cursor` into its parts.
fn parts(cursor: ResultCursor, page: ResultPage) -> Vec<Part> {
    let is_split = page.next.is_some_and(|next| next.round > 0);
    let (first, last) = (cursor.call as usize, page.results.len().saturating_sub(1));
    let part = |(position, result)| Part {
        call: first + position,
        result,
        continues_previous: position == 0 && cursor.round > 0,
        continues_on_next: position == last && is_split,
    };
    page.results.into_iter().enumerate().map(part).collect()
}

/// A value is a sequence of JSON punctuation and stored values.
enum Piece<'a> {
    Text(&'static str),
    Value(&'a ValueRef),
}

/// The recursion is as deep as the script's loops are nested, which the wire format bounds.
fn collect_pieces<'a>(rounds: &'a RoundValue, pieces: &mut Vec<Piece<'a>>) {
    match rounds {
        RoundValue::Nothing(_) => pieces.push(Piece::Text("null")),
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

/// Prints the messages of calls without a result. A script of a thousand lines may be skipped for one reason.
fn print_missing(messages: &[String]) {
    const MAX_MESSAGES: usize = 20;
    for message in messages.iter().take(MAX_MESSAGES) {
        eprint_line(message);
    }
    if messages.len() > MAX_MESSAGES {
        eprint_line(&format!(
            "… and {} more calls without a result; `--json` lists all",
            messages.len() - MAX_MESSAGES
        ));
    }
}

/// Converts a failed job; `error` is the message, followed by the traceback if there is one.
pub(crate) fn failed_entry(failed: &FailedJob) -> FailedEntry<'_> {
    let message = &failed.failure.message;
    let error = match &failed.failure.trace {
        Some(trace) if trace.trim() != message => format!("{message}\n{trace}"),
        _ => message.clone(),
    };
    FailedEntry {
        job: failed.job.0,
        step: &failed.step,
        line: failed.line,
        rounds: &failed.rounds,
        arguments: &failed.arguments,
        attempts: failed.attempts,
        error,
    }
}

fn corrupt(error: cbor::CborError) -> CommandError {
    CommandError::Environment(anyhow::Error::new(error).context("a stored result is corrupt"))
}

#[cfg(test)]
mod tests {
    use bue_model::RunState;

    use super::*;

    fn page(results: usize, next: Option<(u32, u64)>) -> ResultPage {
        let result = CallResult { line: 1, name: None, is_used: false, value: RoundValue::Rounds(Vec::new()) };
        let next = next.map(|(call, round)| ResultCursor { call, round });
        ResultPage { state: RunState::Completed, results: vec![result; results], failed: Vec::new(), next }
    }

    fn shape(cursor: (u32, u64), page: ResultPage) -> Vec<(usize, bool, bool)> {
        let cursor = ResultCursor { call: cursor.0, round: cursor.1 };
        parts(cursor, page).iter().map(|part| (part.call, part.continues_previous, part.continues_on_next)).collect()
    }

    #[test]
    fn a_call_that_spans_pages_is_opened_once_and_closed_once() {
        assert_eq!(shape((0, 0), page(2, Some((1, 5)))), [(0, false, false), (1, false, true)]);
        assert_eq!(shape((1, 5), page(1, Some((1, 9)))), [(1, true, true)]);
        assert_eq!(shape((1, 9), page(2, Some((3, 0)))), [(1, true, false), (2, false, false)]);
        assert_eq!(shape((3, 0), page(1, None)), [(3, false, false)]);
    }
}
