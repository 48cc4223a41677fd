//! The schemas of JSON bodies: runs: their submission, and the counts of their steps.

use serde_json::{Value, json};

use super::shapes::{count, described, object, or_null, reference, run_state, text, texts, time, uuid, with_optional};

/// The schemas of this module, by name.
pub(super) fn runs() -> Value {
    json!({
        "Submitted": object(&json!({ "run": uuid() })),
        "Run": object(&json!({
            "id": uuid(),
            "name": text(),
            "state": run_state(),
            "created_at": time(),
            "finished_at": or_null(&time()),
            "version": count(),
            "counts": reference("JobCounts"),
            "step_count": count(),
            "steps": {
                "type": "array",
                "items": reference("StepCounts"),
                "description": "of the first thousand steps; empty in a list of runs",
            },
            "now": time(),
            "eta": or_null(&time()),
            "unserved": { "type": "array", "items": reference("UnservedScope") },
            "rerun_of": or_null(&uuid()),
            "pipeline": or_null(&run_pipeline()),
        })),
        "UnservedScope": object(&json!({ "scope": text(), "steps": texts(), "more_steps": count(), "jobs": count() })),
        "StepCounts": step_counts(),
        "StepUsage": step_usage(),
        "JobCounts": object(&json!({
            "blocked": count(),
            "available": count(),
            "running": count(),
            "completed": count(),
            "failed": count(),
            "cancelled": count(),
        })),
        "Submission": submission(),
        "Plan": plan(),
    })
}

fn step_counts() -> Value {
    let names = [
        "blocked",
        "available",
        "running",
        "completed",
        "failed",
        "cancelled",
        "attempts",
        "retries",
        "pendings",
        "resets",
        "run_ms",
        "reused",
    ];
    let counts = names.map(|name| (name.to_owned(), count()));
    let texts = ["name", "scope"].map(|name| (name.to_owned(), text()));
    let usage = ("usage".to_owned(), reference("StepUsage"));
    object(&Value::Object(texts.into_iter().chain(counts).chain([usage]).collect()))
}

/// What the attempts of a step used.
fn step_usage() -> Value {
    object(&json!({
        "attempts": described(&count(), "those that the other fields are about: the step answered, or failed"),
        "p50_ms": or_null(&described(&count(), "half of them took at most this long, within a third")),
        "p95_ms": or_null(&described(&count(), "95 of 100 took at most this long, within a third")),
        "cpu_ms": described(&count(), "what sandbox hosts computed for them"),
        "peak_memory": or_null(&described(&count(), "bytes of memory of the one that had most")),
    }))
}

pub(super) fn run_pipeline() -> Value {
    object(&json!({ "name": text(), "version": count() }))
}

fn submission() -> Value {
    object(&json!({ "run": uuid(), "name": text(), "plan": reference("Plan"), "code": code() }))
}

pub(super) fn code() -> Value {
    json!({ "type": "array", "items": blob(), "description": "the code of each step, in order; already in the bucket" })
}

pub(super) fn blob() -> Value {
    let byte = json!({ "type": "integer", "minimum": 0, "maximum": 255 });
    let hash = json!({ "type": "array", "items": byte, "minItems": 32, "maxItems": 32 });
    object(&json!({ "hash": hash, "len": count() }))
}

/// The fields of steps, nodes and calls are not described: they may differ between releases.
fn plan() -> Value {
    let objects = json!({ "type": "array", "items": { "type": "object" } });
    let plan = object(&json!({ "version": count(), "steps": objects, "nodes": objects, "calls": objects }));
    with_optional(plan, &json!({ "params": objects }))
}
