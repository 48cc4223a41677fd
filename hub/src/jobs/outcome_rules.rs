//! Which outcomes the hub accepts, and the failures it records in place of those it does not. Pure.

use std::sync::Arc;

use bue_model::job::{Hints, INLINE_LIMIT};
use bue_model::plan::Settings;
use bue_model::text::truncate_bytes;
use bue_model::{ArgumentSummary, Chunk, Failure, FailureKind, NodeId, StepIndex, ValueRef};
use bytes::Bytes;

use crate::error::HubError;
use crate::jobs::columns::to_postcard;
use crate::jobs::failure_record::FailureRecord;
use crate::jobs::graph::MAX_NAME;
use crate::jobs::instance::Run;
use crate::store::MAX_RESETS;

/// Bytes of a failure's message, and of its trace, that are stored.
const MAX_FAILURE_TEXT: usize = 64 * 1024;

/// Bytes of an invalid scope that a message shows.
const MAX_SHOWN_SCOPE: usize = 100;

/// Elements of a list that a loop runs over. Ids are allocated for all of its rounds at once.
pub(crate) const MAX_ELEMENTS: i64 = 100_000_000;

/// Checks a result. A worker that breaks these rules would make the hub store what it must not.
pub(crate) fn check_value(run: &Run, node: NodeId, value: &ValueRef, hints: &Hints) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new(FailureKind::BadResult, message));
    match value {
        ValueRef::Inline(bytes) if bytes.len() > INLINE_LIMIT => {
            return refuse(format!("the inline result has {} bytes; the limit is {INLINE_LIMIT}", bytes.len()));
        }
        ValueRef::Inline(_) | ValueRef::Blob(_) => {
            if let Some(text) = run.graph.job(node).and_then(|job| run.graph.list_text(job)) {
                return refuse(format!("{text}: the result is no list in pieces, as it has to be"));
            }
        }
        ValueRef::List(chunks) => {
            check_length(elements_of(chunks))?;
        }
    }
    if let Some(scope) = &hints.scope {
        check_scope(scope)?;
    }
    match &hints.env {
        Some(env) if env.len() > INLINE_LIMIT => {
            refuse(format!("the `env` has {} bytes; at most {INLINE_LIMIT} can pass to dependants", env.len()))
        }
        _ => Ok(()),
    }
}

/// Checks the length of a list that a loop runs over.
pub(crate) fn check_length(elements: i64) -> Result<(), Failure> {
    match elements > MAX_ELEMENTS {
        true => {
            let message = format!("the list has {elements} elements; a loop runs over at most {MAX_ELEMENTS}");
            Err(Failure::new(FailureKind::BadResult, message))
        }
        false => Ok(()),
    }
}

/// Returns the number of elements of chunks.
pub(crate) fn elements_of(chunks: &[Chunk]) -> i64 {
    chunks.iter().fold(0, |sum: i64, chunk| sum.saturating_add(chunk.count.into()))
}

/// Checks the chunks of a list. A worker that breaks this rule would make the hub store what it must not.
pub(crate) fn check_chunks(chunks: &[Chunk]) -> Result<(), HubError> {
    let is_too_long = |chunk: &Chunk| matches!(&*chunk.value, ValueRef::Inline(bytes) if bytes.len() > INLINE_LIMIT);
    match chunks.iter().any(is_too_long) {
        true => Err(HubError::BadRequest(format!("a chunk has more than {INLINE_LIMIT} inline bytes"))),
        false => Ok(()),
    }
}

/// Returns whether elements of a job may be reported before it ends: a loop runs over them. Not in a rerun, which compares whole lists.
pub(crate) fn streams(run: &Run, node: NodeId) -> bool {
    is_looped(run, node) && run.original.is_none()
}

/// The failure of a job that sets something for rounds of which some have started.
pub(crate) fn late_hints(recorded: i64) -> Failure {
    let message = format!(
        "it ended with an `env` or a scope for what follows, but its loop had started already: {recorded} elements were handed \
         over while it ran. Return `Result(data=…, env=…)` with a list or a generator as the data instead: its rounds start when the \
         step has ended"
    );
    Failure::new(FailureKind::BadResult, message)
}

/// Returns whether a loop runs over a job's result.
pub(crate) fn is_looped(run: &Run, node: NodeId) -> bool {
    run.graph.job(node).is_some_and(|job| job.looped_by.is_some())
}

/// Returns the step of a job and its settings.
pub(crate) fn step_settings(run: &Run, node: NodeId) -> Option<(StepIndex, &Settings)> {
    let job = run.graph.job(node)?;
    Some((job.step, &run.graph.step_of(job)?.settings))
}

/// Returns the scope in which every attempt of a job starts: the one it inherited, or that of its step. Empty for a fan-out.
pub(crate) fn home_scope(run: &Run, node: NodeId, inherited: Option<&Arc<str>>) -> Arc<str> {
    let Some((_, settings)) = step_settings(run, node) else { return Arc::from("") };
    inherited.cloned().unwrap_or_else(|| Arc::from(settings.scope.as_str()))
}

/// Checks a scope that a step chose. A worker that breaks this rule would make the hub store what it must not.
pub(crate) fn check_scope(scope: &str) -> Result<(), Failure> {
    let problem = match scope {
        "" => "it is empty",
        scope if scope.len() > MAX_NAME => "it is too long",
        scope if scope.chars().any(char::is_control) => "it has control characters",
        _ => return Ok(()),
    };
    let mut shown = scope.to_owned();
    truncate_bytes(&mut shown, MAX_SHOWN_SCOPE);
    let message = format!("the step chose the scope {shown:?}, but {problem}");
    Err(Failure::new(FailureKind::BadResult, message))
}

/// Returns the step of a job and its settings if its `!rate` or `!at_most` counts by a field of the input.
pub(crate) fn keyed_rate_settings(run: &Run, node: NodeId) -> Option<(StepIndex, &Settings)> {
    step_settings(run, node).filter(|(_, settings)| settings.counted_by().is_some())
}

/// The reason for releasing a job whose worker reported a rate key that the hub did not ask for.
pub(crate) const UNEXPECTED_KEY: &str = "its worker was to run it, but reported the key of its rate instead";

/// The failure of a job that has been pending for too long.
pub(crate) fn pending_too_long(limit_ms: u64) -> Failure {
    let message = format!(
        "it has answered `pending` for {}, which is the limit; raise the limit with `!for`, for example `!for 48h`",
        duration_text(limit_ms)
    );
    Failure::new(FailureKind::Limit, message)
}

/// The failure of a job that has answered `pending` too often.
pub(crate) fn too_many_handbacks(limit: u32) -> Failure {
    let message = format!(
        "it gave up after {limit} hand-backs: it answered `pending` more often than `!max_handbacks` allows; \
         `!max_handbacks 0` sets no limit"
    );
    Failure::new(FailureKind::Limit, message)
}

/// The failure of a job that has not started in time.
pub(crate) fn expired(limit_ms: u64) -> Failure {
    let message = format!(
        "it expired: it had not started {} after its run was created or last reset, which is the limit that `!expires` sets",
        duration_text(limit_ms)
    );
    Failure::new(FailureKind::Limit, message)
}

/// Formats a duration exactly: `500 ms`, `1.2 s`, `48 s`.
fn duration_text(ms: u64) -> String {
    match (ms / 1000, ms % 1000) {
        (0, ms) => format!("{ms} ms"),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, ms) => format!("{seconds}.{} s", format!("{ms:03}").trim_end_matches('0')),
    }
}

/// Returns a reported failure with its texts cut to what is stored.
pub(crate) fn failure_record(mut failure: Failure, arguments: &[ArgumentSummary]) -> FailureRecord {
    let texts = std::iter::once(&mut failure.message).chain(failure.trace.as_mut());
    texts.for_each(|text| truncate_bytes(text, MAX_FAILURE_TEXT));
    FailureRecord { failure, arguments: ArgumentSummary::bounded(arguments.to_vec()) }
}

/// Encodes a reported log. One that is too long to be inline should have come by reference.
pub(crate) fn encode_log(log: Option<ValueRef>) -> Result<Option<Vec<u8>>, HubError> {
    let note = |text| ValueRef::Inline(Bytes::from_static(text));
    let log = log.map(|log| match log {
        ValueRef::Inline(bytes) if bytes.len() > INLINE_LIMIT => note(b"(the log that the worker sent is too long)\n"),
        ValueRef::List(_) => note(b"(the worker sent a list instead of a log)\n"),
        log => log,
    });
    log.map(|log| to_postcard(&log)).transpose()
}

/// The failure of a job that was released more often than can be chance.
pub(crate) fn released_too_often(releases: u32, reason: &str) -> Failure {
    let mut reason = reason.to_owned();
    truncate_bytes(&mut reason, MAX_FAILURE_TEXT);
    let message = format!(
        "it was released {releases} times without finishing, the last time because {reason}; it seems to crash the \
         workers that run it"
    );
    Failure::new(FailureKind::Internal, message)
}

/// The reason for releasing a job whose lease has expired.
pub(crate) fn lease_expired(worker: Option<&str>) -> String {
    match worker {
        Some(worker) => format!("worker {worker} sent no heartbeat before its lease expired"),
        None => "its worker sent no heartbeat before its lease expired".to_owned(),
    }
}

/// The failure of a job whose call was reset too often.
pub(crate) fn too_many_resets() -> Failure {
    let message = format!(
        "its call was started again {MAX_RESETS} times by `reset`, which is the limit; answer `error` when starting again \
         does not help"
    );
    Failure::new(FailureKind::Limit, message)
}
