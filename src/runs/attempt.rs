//! One attempt of a job, run on this machine without a report to the hub: how it is printed.

use anyhow::anyhow;
use bue_model::{Failure, JobId, Outcome, ValueRef};
use bue_worker::JobRun;
use serde_json::json;

use crate::process::command_error::CommandError;
use crate::process::output::{eprint_line, eprint_text};
use crate::runs::results::ResultWriter;

/// Prints one object: job (if the hub has it), step, outcome, error, trace, log, value.
pub(crate) async fn print_attempt_as_json(
    writer: ResultWriter<'_>,
    job: Option<JobId>,
    step: &str,
    attempt: &JobRun,
) -> Result<(), CommandError> {
    let mut object = json!({
        "step": step,
        "outcome": outcome_name(&attempt.outcome),
        "error": failure(&attempt.outcome).map(|failure| &failure.message),
        "trace": failure(&attempt.outcome).and_then(|failure| failure.trace.as_ref()),
        "log": String::from_utf8_lossy(&attempt.log),
    });
    if let (Some(job), Some(fields)) = (job, object.as_object_mut()) {
        fields.insert("job".to_owned(), json!(job.0));
    }
    writer.write_object_with_value(&object, value(&attempt.outcome)).await
}

/// Log and failure are messages, the result is data.
pub(crate) async fn print_attempt(writer: ResultWriter<'_>, step: &str, attempt: &JobRun) -> Result<(), CommandError> {
    eprint_text(&String::from_utf8_lossy(&attempt.log));
    match failure(&attempt.outcome) {
        None => eprint_line(&format!("bue: step `{step}`: {}", outcome_name(&attempt.outcome))),
        Some(failure) => {
            eprint_line(&format!("failed: step `{step}`: {}", failure.message));
            eprint_text(&failure.trace.as_ref().map_or_else(String::new, |trace| format!("{}\n", trace.trim_end())));
        }
    }
    match value(&attempt.outcome) {
        Some(value) => writer.write_value(value).await,
        None => Ok(()),
    }
}

fn value(outcome: &Outcome) -> Option<&ValueRef> {
    match outcome {
        Outcome::Completed { value, .. } => Some(value),
        _ => None,
    }
}

fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Failed(failure) => Some(failure),
        _ => None,
    }
}

/// Returns the error of an attempt that did not end as a step should.
pub(crate) fn expect_outcome(outcome: &Outcome) -> Result<(), CommandError> {
    match outcome {
        Outcome::Failed(_) => Err(CommandError::ProgramFailed),
        Outcome::Released { reason, .. } => Err(CommandError::Environment(anyhow!(reason.clone()))),
        _ => Ok(()),
    }
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Pending { .. } => "pending",
        Outcome::Reset { .. } => "reset",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed(_) => "failed",
        Outcome::Released { .. } | Outcome::Keyed { .. } => "not run",
    }
}
