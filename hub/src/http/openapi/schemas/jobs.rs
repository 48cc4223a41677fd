//! The schemas of JSON bodies: jobs, their attempts, and why they wait.

use bue_model::wire::MAX_ATTEMPT_VIEWS;
use serde_json::{Value, json};

use super::shapes::{count, described, hex_hash, object, or_null, reference, text, texts, time, uuid, with_optional};

/// The schemas of this module, by name.
pub(super) fn jobs() -> Value {
    json!({
        "JobState": { "enum": ["blocked", "available", "running", "completed", "failed", "cancelled"] },
        "Failure": object(&json!({
            "kind": {
                "enum": ["raised", "limit", "denied", "bad_input", "bad_result", "bad_code", "trap", "internal"],
            },
            "message": text(),
            "trace": or_null(&text()),
            "retry_after_ms": or_null(&count()),
        })),
        "Job": job(),
        "Attempt": attempt(),
        "JobPage": object(&json!({
            "jobs": { "type": "array", "items": reference("Job") },
            "next": or_null(&count()),
        })),
        "Round": object(&json!({
            "variable": text(),
            "line": count(),
            "round": { "type": "integer", "minimum": 1, "description": "which round it is, from 1" },
            "rounds": count(),
        })),
        "Argument": object(&json!({
            "name": or_null(&text()),
            "value": { "type": "string", "description": "in short, as Python would print it" },
        })),
        "Why": object(&json!({
            "job": reference("Job"),
            "now": time(),
            "scope": text(),
            "parents": { "type": "array", "items": reference("Parent") },
            "pendings": count(),
            "releases": count(),
            "lease_ends_at": or_null(&time()),
            "rate_opens_at": or_null(&time()),
            "at_most": or_null(&reference("AtMost")),
            "expires_at": or_null(&time()),
            "served_by": texts(),
        })),
        "AtMost": object(&json!({ "running": count(), "limit": count() })),
        "Parent": object(&json!({
            "job": count(),
            "name": text(),
            "state": reference("JobState"),
            "rounds": or_null(&json!({ "type": "array", "items": count(), "minItems": 2, "maxItems": 2 })),
        })),
    })
}

/// A job, without its attempts in lists.
fn job() -> Value {
    let started_at = or_null(&described(&time(), "when its last attempt started"));
    let run_ms = or_null(&described(&count(), "what its last attempt took; null while that runs"));
    let reused = json!({ "type": "boolean", "description": "it has the result of an earlier run and did not run" });
    let required = object(&json!({
        "id": count(),
        "run": uuid(),
        "step": text(),
        "line": count(),
        "rounds": { "type": "array", "items": reference("Round") },
        "arguments": { "type": "array", "items": reference("Argument") },
        "state": reference("JobState"),
        "available_at": time(),
        "attempts": count(),
        "started_at": started_at,
        "run_ms": run_ms,
        "waiting_for": count(),
        "worker": or_null(&text()),
        "failure": or_null(&reference("Failure")),
        "blocked_by": or_null(&count()),
        "reused": reused,
    }));
    with_optional(required, &json!({ "digest": hex_hash(), "last_attempts": attempts() }))
}

/// An attempt of a job.
fn attempt() -> Value {
    let verdict = json!({ "enum": ["completed", "pending", "reset", "cancelled", "failed", "released", "lost"] });
    object(&json!({
        "started_at": time(),
        "ended_at": or_null(&time()),
        "worker": or_null(&text()),
        "verdict": or_null(&verdict),
        "run_ms": or_null(&described(&count(), "what it took, as the worker measured it")),
        "cpu_ms": or_null(&described(&count(), "what a sandbox host computed for it")),
        "peak_memory": or_null(&described(&count(), "bytes of memory that it had at most")),
    }))
}

fn attempts() -> Value {
    let limit = MAX_ATTEMPT_VIEWS;
    json!({ "type": "array", "items": reference("Attempt"), "maxItems": limit, "description": "oldest first; not in lists" })
}
