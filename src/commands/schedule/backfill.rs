//! `bue schedule backfill NAME --from TIME --to TIME`.

use anyhow::Context;
use bue_client::HubClient;
use bue_model::Value;
use bue_model::schedule::{BackfillProgress, MAX_AT_MOST, RunCounts};
use clap::Args;
use serde::Serialize;

use super::json_fields::{field, object, text_field};
use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_json, print_line};

/// The longest wait in milliseconds for the end of a run, in one request.
const WAIT_MS: u64 = 30_000;

/// Runs the due times of a schedule in a range that has passed, and waits for the runs.
///
/// Each due time has one run: those that ran when they were due, or in an earlier backfill, are not run again. If you
/// interrupt the command, runs go on; type it again to continue. The exit code is 1 if a run failed or was cancelled.
#[derive(Debug, Args)]
pub(crate) struct Backfill {
    /// The name of the schedule
    name: String,
    /// The beginning of the range, included: 2026-11-01 or 2026-11-01T06:00 in the schedule's time zone, or with an offset
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The end of the range, not included
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Have at most so many runs at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_AT_MOST)))]
    at_most: u32,
    /// Print JSON: {"due": N, "completed": N, "failed": N, "cancelled": N}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

/// What became of all due times.
#[derive(Debug, Default, Serialize)]
struct Total {
    due: u64,
    completed: u64,
    failed: u64,
    cancelled: u64,
}

impl Backfill {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let total = block_on(interruptible(self.run_all(&hub)))?;
        let Total { due, completed, failed, cancelled } = total;
        match self.json {
            true => print_json(&total)?,
            false => print_line(&format!("{due} due, {completed} completed, {failed} failed, {cancelled} cancelled"))?,
        }
        if failed + cancelled > 0 { Err(CommandError::ProgramFailed) } else { Ok(()) }
    }

    /// Runs the range, a part of it after the other.
    async fn run_all(&self, hub: &HubClient) -> Result<Total, CommandError> {
        let (mut total, mut from) = (Total::default(), self.from.clone());
        loop {
            let progress = self.run_part(hub, &from).await?;
            total.due += progress.due;
            total.completed += progress.runs.completed;
            total.failed += progress.runs.failed;
            total.cancelled += progress.runs.cancelled;
            let Some(rest_from) = progress.rest_from else { return Ok(total) };
            let rest_from = jiff::Timestamp::from_millisecond(rest_from.0).context("the hub sent an invalid time")?;
            from = rest_from.to_string();
        }
    }

    /// Runs a part of the range that begins here. Shows the progress whenever it changes.
    async fn run_part(&self, hub: &HubClient, from: &str) -> Result<BackfillProgress, CommandError> {
        let (mut shown, mut wait_ms) = (String::new(), 0);
        loop {
            let fields = vec![
                text_field("from", from),
                text_field("to", &self.to),
                field("at_most", Value::Int(i64::from(self.at_most))),
            ];
            let progress =
                hub.backfill(&self.name, object(fields), wait_ms).await.context("failed to run the backfill")?;
            let text = progress_text(&progress);
            if text != shown {
                eprint_line(&text);
                shown = text;
            }
            if progress.waiting == 0 && progress.runs.running == 0 {
                return Ok(progress);
            }
            wait_ms = WAIT_MS;
        }
    }
}

fn progress_text(progress: &BackfillProgress) -> String {
    let RunCounts { running, failed, .. } = progress.runs;
    let first = if progress.rest_from.is_some() { "the first " } else { "" };
    let done = progress.runs.ended();
    format!("bue: {done} of {first}{} runs have ended, {failed} failed, {running} running", progress.due)
}
