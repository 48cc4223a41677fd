//! What the hub takes of an outcome, and what it says where it does not. Pure.

use bue_model::job::{Hints, INLINE_LIMIT};
use bue_model::plan::Settings;
use bue_model::{Failure, FailureKind, NodeId, StepIndex, ValueRef};
use bytes::Bytes;

use crate::error::HubError;
use crate::jobs::columns::to_blob;
use crate::jobs::instance::Run;
use crate::store::MAX_RESETS;

/// Bytes of a failure's message or trace that are kept.
const MAX_FAILURE_TEXT: usize = 64 * 1024;

/// Elements of a list that a loop runs over. Ids are set aside for all of its rounds.
const MAX_ELEMENTS: u64 = 100_000_000;

/// A worker that breaks these rules would make the hub hold what it must not.
pub(crate) fn check_value(run: &Run, node: NodeId, value: &ValueRef, hints: &Hints) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new(FailureKind::BadResult, message));
    match value {
        ValueRef::Inline(bytes) if bytes.len() > INLINE_LIMIT => {
            return refuse(format!("a result of {} bytes came inline; up to {INLINE_LIMIT} may", bytes.len()));
        }
        ValueRef::Inline(_) | ValueRef::Blob(_) => {
            if let Some(text) = loop_text(run, node) {
                return refuse(format!("{text}: the result is no list in pieces, so the loop cannot run over it"));
            }
        }
        ValueRef::List(chunks) => {
            let elements: u64 = chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
            if elements > MAX_ELEMENTS {
                return refuse(format!("its list has {elements} elements; a loop runs over up to {MAX_ELEMENTS}"));
            }
        }
    }
    match &hints.env {
        Some(env) if env.len() > INLINE_LIMIT => {
            refuse(format!("its `env` has {} bytes; up to {INLINE_LIMIT} may pass to dependants", env.len()))
        }
        _ => Ok(()),
    }
}

/// A loop runs over the job's result.
pub(crate) fn loop_text(run: &Run, node: NodeId) -> Option<&str> {
    let fan_out = run.graph.job(node)?.looped_by?;
    Some(&run.graph.fan_out(fan_out)?.text)
}

/// What the script says of a job's step.
pub(crate) fn settings(run: &Run, node: NodeId) -> Option<(StepIndex, &Settings)> {
    let job = run.graph.job(node)?;
    Some((job.step, &run.graph.step_of(job)?.settings))
}

/// The step of a job and its settings, where starts are counted by a field of the input.
pub(crate) fn rate_by(run: &Run, node: NodeId) -> Option<(StepIndex, &Settings)> {
    settings(run, node).filter(|(_, settings)| settings.rate.as_ref().is_some_and(|rate| rate.by.is_some()))
}

/// Why a job is given back whose worker tells what it counts as, though that is known or of no interest.
pub(crate) const KEY_UNASKED: &str = "its worker was asked to run it and told what its rate counts by instead";

/// It waited as long as it may.
pub(crate) fn pending_too_long(limit_ms: u64) -> Failure {
    let message = format!(
        "it has answered `pending` for {} s, which is as long as it may; allow it more with `!for`, for example \
         `!for 48h`",
        limit_ms / 1000
    );
    Failure::new(FailureKind::Limit, message)
}

/// As much of a failure as is kept.
pub(crate) fn shortened(mut failure: Failure) -> Failure {
    let cut = |text: &mut String| text.truncate(text.floor_char_boundary(MAX_FAILURE_TEXT));
    cut(&mut failure.message);
    failure.trace.as_mut().map(cut);
    failure
}

/// A log that is too long to be inline should have come by reference.
pub(crate) fn log_blob(log: Option<ValueRef>) -> Result<Option<Vec<u8>>, HubError> {
    let note = |what| ValueRef::Inline(Bytes::from_static(what));
    let log = log.map(|log| match log {
        ValueRef::Inline(bytes) if bytes.len() > INLINE_LIMIT => note(b"(the worker sent a log too long to be kept)\n"),
        ValueRef::List(_) => note(b"(the worker sent a log that is none)\n"),
        log => log,
    });
    log.map(|log| to_blob(&log)).transpose()
}

/// It was given back as often as can be chance.
pub(crate) fn released_too_often(releases: u32, reason: &str) -> Failure {
    let reason = reason.get(..reason.floor_char_boundary(MAX_FAILURE_TEXT)).unwrap_or_default();
    let message = format!(
        "it was given back {releases} times without finishing, the last time because {reason}; whatever runs it seems to \
         die of it"
    );
    Failure::new(FailureKind::Internal, message)
}

/// Its lease ended.
pub(crate) fn not_heard_of(worker: Option<&str>) -> String {
    match worker {
        Some(worker) => format!("worker {worker} was not heard of until its lease ended"),
        None => "its worker was not heard of".to_owned(),
    }
}

/// Its call began again as often as it may.
pub(crate) fn too_many_resets() -> Failure {
    let message = format!(
        "its call was started again {MAX_RESETS} times by `reset`, which is as often as it may; answer `error` when \
         starting again does not help"
    );
    Failure::new(FailureKind::Limit, message)
}
