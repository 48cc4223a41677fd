//! Failures, for people: each failed job with its traceback and the last lines of its log, and the jobs that stay blocked.

use std::fmt;

use bue_client::{BucketClient, HubClient};
use bue_model::ValueRef;
use bue_model::text::shortened;
use bue_model::wire::{FailedJob, RunView};

use crate::process::command_error::CommandError;
use crate::process::output::{eprint_line, eprint_text};
use crate::runs::blocked_jobs::print_blocked;
use crate::runs::failure_groups::{FailureGroup, grouped};

/// The most different failures that are printed in full.
const MAX_GROUPS: usize = 10;

/// The most lines of a failed job's log that are printed.
const MAX_LOG_LINES: usize = 10;

/// The most characters of such a line that are printed; `bue logs` prints it whole.
const MAX_LOG_COLUMNS: usize = 300;

/// Prints what failed in a run, and the jobs that are blocked by it.
pub(crate) async fn print_failures(
    hub: &HubClient,
    bucket: &BucketClient,
    failed: &[FailedJob],
    run: &RunView,
) -> Result<(), CommandError> {
    let groups = grouped(failed);
    for group in groups.iter().take(MAX_GROUPS) {
        eprint_text(&failure_text(bucket, group).await);
    }
    let more: usize = groups.iter().skip(MAX_GROUPS).map(FailureGroup::len).sum();
    if more > 0 {
        eprint_line(&format!("… and {more} more failed jobs; `--json` lists all of them"));
    }
    let all = run.counts.failed;
    if all > failed.len() as u64 {
        eprint_line(&format!("… of the {all} failed jobs, these are the first {}", failed.len()));
    }
    print_blocked(hub, run).await
}

/// Formats a failure: which jobs, the error, and the traceback and the last lines of the log of the first of them.
pub(crate) async fn failure_text(bucket: &BucketClient, group: &FailureGroup<'_>) -> String {
    let job = group.first;
    let mut text = group.header();
    if let Some(trace) = &job.failure.trace {
        text.push_str(&indented(trace.lines()));
    }
    let log = fetch_log(bucket, job).await;
    let lines: Vec<&str> = log.lines().collect();
    if !lines.is_empty() {
        text.push_str("  last lines of its log:\n");
        let last = lines.iter().skip(lines.len().saturating_sub(MAX_LOG_LINES));
        text.push_str(&indented(last.map(|line| shortened(line, MAX_LOG_COLUMNS))));
    }
    text
}

/// Returns the log of a job. A log that cannot be fetched must not hide the failure: it is empty then.
async fn fetch_log(bucket: &BucketClient, job: &FailedJob) -> String {
    let bytes = match &job.log {
        Some(ValueRef::Inline(bytes)) => Some(bytes.clone()),
        Some(ValueRef::Blob(blob)) => bucket.get(blob).await.ok(),
        _ => None,
    };
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn indented(lines: impl Iterator<Item = impl fmt::Display>) -> String {
    lines.map(|line| format!("    {line}\n")).collect()
}
