//! What failed, for people: each failed job with its traceback and the last lines it printed, and what stays blocked.

use bue_client::BucketClient;
use bue_model::ValueRef;
use bue_model::wire::{FailedJob, RunView, StepView};

use crate::talk::{say, say_text};

/// Failed jobs shown in full. A loop over ten thousand elements may fail ten thousand times for one reason.
const SHOWN: usize = 10;

/// Lines of a failed job's log that are shown.
const LOG_LINES: usize = 10;

/// Says what failed and what that keeps from running.
pub(crate) async fn say_failures(bucket: &BucketClient, failed: &[FailedJob], run: &RunView) {
    for job in failed.iter().take(SHOWN) {
        say_failure(job);
        say_log(bucket, job).await;
    }
    if failed.len() > SHOWN {
        say(&format!("… and {} more failed jobs; `--json` lists them all", failed.len() - SHOWN));
    }
    say_blocked(&run.steps);
}

fn say_failure(job: &FailedJob) {
    let attempts = if job.attempts > 1 { format!(" after {} attempts", job.attempts) } else { String::new() };
    say(&format!("failed: step `{}` (job {}){attempts}: {}", job.step, job.job, job.failure.message));
    if let Some(trace) = &job.failure.trace {
        say_text(&indented(trace.lines()));
    }
}

/// A log that cannot be had is no reason to hide the failure: it is left out.
async fn say_log(bucket: &BucketClient, job: &FailedJob) {
    let log = match &job.log {
        Some(ValueRef::Inline(bytes)) => Some(bytes.clone()),
        Some(ValueRef::Blob(blob)) => bucket.get(blob).await.ok(),
        _ => None,
    };
    let text = log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    if !lines.is_empty() {
        say("  it had printed:");
        say_text(&indented(lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).copied()));
    }
}

fn indented<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(|line| format!("    {line}\n")).collect()
}

fn say_blocked(steps: &[StepView]) {
    let blocked: Vec<String> =
        steps.iter().filter(|step| step.blocked > 0).map(|step| format!("{} ({})", step.name, step.blocked)).collect();
    if !blocked.is_empty() {
        say(&format!("blocked by what failed, never started: {}", blocked.join(", ")));
    }
}
