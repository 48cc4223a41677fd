//! What failed, for people: each failed job with its traceback and the last lines it printed, and what stays blocked.

use std::borrow::Cow;
use std::fmt;

use bue_client::BucketClient;
use bue_model::ValueRef;
use bue_model::wire::{FailedJob, RunView, StepView};

use crate::talk::{say, say_text};

/// Failed jobs shown in full. A loop over ten thousand elements may fail ten thousand times for one reason.
const SHOWN: usize = 10;

/// Lines of a failed job's log that are shown.
const LOG_LINES: usize = 10;

/// Characters of such a line that are shown; `bue logs` has it whole.
const LOG_COLUMNS: usize = 300;

/// Says what failed and what that keeps from running.
pub(crate) async fn say_failures(bucket: &BucketClient, failed: &[FailedJob], run: &RunView) {
    for job in failed.iter().take(SHOWN) {
        say_text(&failure_text(bucket, job).await);
    }
    if failed.len() > SHOWN {
        say(&format!("… and {} more failed jobs; `--json` lists them all", failed.len() - SHOWN));
    }
    say_blocked(&run.steps);
}

/// A failed job in some lines: its step, what happened, the traceback, the last lines it printed.
pub(crate) async fn failure_text(bucket: &BucketClient, job: &FailedJob) -> String {
    let attempts = if job.attempts > 1 { format!(" after {} attempts", job.attempts) } else { String::new() };
    let mut text = format!("failed: step `{}` (job {}){attempts}: {}\n", job.step, job.job, job.failure.message);
    if let Some(trace) = &job.failure.trace {
        text.push_str(&indented(trace.lines()));
    }
    let log = log_of(bucket, job).await;
    let lines: Vec<&str> = log.lines().collect();
    if !lines.is_empty() {
        text.push_str("  it had printed:\n");
        let last = lines.iter().skip(lines.len().saturating_sub(LOG_LINES));
        text.push_str(&indented(last.map(|line| cut(line))));
    }
    text
}

/// A log that cannot be had is no reason to hide the failure: it is left out.
async fn log_of(bucket: &BucketClient, job: &FailedJob) -> String {
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

fn cut(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(LOG_COLUMNS) {
        Some((end, _)) => Cow::Owned(format!("{}…", line.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(line),
    }
}

fn say_blocked(steps: &[StepView]) {
    let blocked = steps.iter().filter(|step| step.blocked > 0);
    let blocked: Vec<String> = blocked.map(|step| format!("{} ({})", step.name, step.blocked)).collect();
    if !blocked.is_empty() {
        say(&format!("blocked by what failed, never started: {}", blocked.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(LOG_COLUMNS + 1);
        assert_eq!(cut(&long), format!("{}…", "é".repeat(LOG_COLUMNS)));
    }
}
