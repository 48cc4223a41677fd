//! Spans: what an attempt or a run looks like in a trace. Pure.

use bue_model::attempt::AttemptVerdict;
use bue_model::wire::RunView;
use bue_model::{RunState, Timestamp, TraceContext};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::attributes::{name, number, text};
use crate::jobs::ended::{AttemptEnd, RunEnd};

/// The name of a run whose script has none.
const UNNAMED: &str = "run";

/// Returns the span of an attempt, a child of its run's. `None` if its run has no trace, or one that is not recorded.
pub(crate) fn attempt_span(end: &AttemptEnd) -> Option<Span> {
    let attempt = &end.attempt;
    let parent = end.run.span().filter(|span| span.sampled)?;
    let period = (Timestamp(attempt.started_at), Timestamp(attempt.ended_at));
    let mut span = span(end.run.attempt_span(end.job, end.token)?, Some(parent), name(&end.step), period);
    span.attributes = vec![
        text("bue.run.id", &end.run.id.to_string()),
        number("bue.job.id", end.job.0),
        text("bue.step", &end.step),
        text("bue.scope", &end.scope),
        number("bue.attempt", u64::from(end.number)),
        text("bue.outcome", attempt.verdict.name()),
    ];
    span.attributes.extend(attempt.worker.as_deref().map(|worker| text("bue.worker", worker)));
    if let Some(usage) = attempt.usage {
        span.attributes.push(number("bue.run_ms", usage.run_ms));
        span.attributes.extend(usage.cpu_ms.map(|ms| number("bue.cpu_ms", ms)));
        span.attributes.extend(usage.peak_memory.map(|bytes| number("bue.peak_memory_bytes", bytes)));
    }
    span.status = match attempt.verdict {
        AttemptVerdict::Failed => Some(error(end.message.clone().unwrap_or_default())),
        AttemptVerdict::Lost => Some(error("the worker sent no heartbeat".to_owned())),
        _ => None,
    };
    Some(span)
}

/// Returns the span of a run; after a reset, that of the part that the reset began, a child of the first one. `None` if the run has no
/// trace, or one that is not recorded.
pub(crate) fn run_span(end: &RunEnd, run: &RunView) -> Option<Span> {
    let root = end.run.span().filter(|span| span.sampled)?;
    let (title, period) = (title(run), (end.since, end.until));
    let mut span = match end.since == run.created_at {
        true => span(root, end.run.parent, title, period),
        false => {
            let context = end.run.span_after_reset(end.since.0)?;
            span(context, Some(root), format!("{title} after a reset"), period)
        }
    };
    span.attributes = vec![
        text("bue.run.id", &end.run.id.to_string()),
        text("bue.script", &run.name),
        text("bue.state", end.state.map_or("reset", RunState::name)),
    ];
    if let Some(pipeline) = &run.pipeline {
        span.attributes.push(text("bue.pipeline", &pipeline.name));
        span.attributes.push(number("bue.pipeline.version", u64::from(pipeline.version)));
    }
    span.attributes.extend(run.rerun_of.map(|original| text("bue.rerun_of", &original.to_string())));
    // the counts of a run that goes on already, after a reset, are not those of this part
    let counts = Some(run.counts).filter(|_| run.finished_at == Some(end.until));
    if let Some(counts) = counts {
        span.attributes.push(number("bue.jobs.completed", counts.completed));
        span.attributes.push(number("bue.jobs.failed", counts.failed));
        span.attributes.push(number("bue.jobs.cancelled", counts.cancelled));
    }
    if end.state == Some(RunState::Failed) {
        span.status = Some(error(counts.map_or_else(String::new, |counts| format!("failed jobs: {}", counts.failed))));
    }
    Some(span)
}

/// A run has the name of its pipeline, or else that of its script.
fn title(run: &RunView) -> String {
    let title = name(run.pipeline.as_ref().map_or(&run.name, |pipeline| &pipeline.name));
    if title.is_empty() { UNNAMED.to_owned() } else { title }
}

fn span(context: TraceContext, parent: Option<TraceContext>, name: String, period: (Timestamp, Timestamp)) -> Span {
    let (start, end) = period;
    Span {
        trace_id: context.trace.to_vec(),
        span_id: context.span.to_vec(),
        parent_span_id: parent.map(|parent| parent.span.to_vec()).unwrap_or_default(),
        flags: u32::from(context.sampled),
        name,
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: nanoseconds(start),
        // the hub's clock may have been set back
        end_time_unix_nano: nanoseconds(end.max(start)),
        ..Span::default()
    }
}

fn error(message: String) -> Status {
    Status { message, code: StatusCode::Error.into() }
}

/// Returns a time as OTLP has it, nanoseconds since 1970.
pub(crate) fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.0).unwrap_or(0).saturating_mul(1_000_000)
}
