//! The schemas of JSON bodies: lists, values as JSON, and operations on many runs.

use serde_json::{Value, json};

use super::shapes::{count, hex_hash, object, or_null, reference, run_state, text, time, uuid, with_optional};

/// The schemas of lists, of values as JSON and of operations on many runs.
pub(super) fn lists() -> Value {
    let next =
        || or_null(&json!({ "type": "string", "description": "`after` of the next page; null on the last one" }));
    let entries = |name: &str| json!({ "type": "array", "items": reference(name) });
    let filter = with_optional(
        object(&json!({})),
        &json!({
            "state": { "anyOf": [text(), { "type": "array", "items": text(), "minItems": 1 }] },
            "pipeline": text(),
            "name": text(),
            "params": { "type": "object", "description": "values of parameters, by name", "minProperties": 1 },
            "since": { "anyOf": [text(), time()] },
            "until": { "anyOf": [text(), time()] },
            "step": text(),
            "error": { "type": "string", "description": "text in the message or traceback of a failed job" },
            "group": { "type": "string", "description": "the message of a group of failed jobs, as the list of errors has it" },
        }),
    );
    json!({
        "RunPage": object(&json!({ "runs": entries("Run"), "next": next() })),
        "ErrorPage": object(&json!({ "errors": entries("ErrorEntry"), "next": next() })),
        "ErrorEntry": object(&json!({ "at": time(), "name": text(), "job": reference("Job") })),
        "ErrorGroupPage": object(&json!({ "groups": entries("ErrorGroup"), "jobs": count(), "next": next() })),
        "ErrorGroup": object(&json!({
            "step": text(),
            "message": text(),
            "count": count(),
            "newest": reference("ErrorTime"),
            "oldest": reference("ErrorTime"),
        })),
        "ErrorTime": object(&json!({ "at": time(), "run": uuid(), "job": count() })),
        "ResultPage": object(&json!({
            "run": uuid(),
            "state": run_state(),
            "results": entries("CallResult"),
            "failed": entries("FailedJob"),
            "next": next(),
        })),
        "CallResult": with_optional(
            object(&json!({
                "call": count(),
                "line": count(),
                "name": or_null(&text()),
                "used": { "type": "boolean" },
                "state": { "enum": ["completed", "failed", "cancelled", "skipped", "running"] },
                "value": {},
                "first_round": count(),
            })),
            &json!({ "rounds": { "type": "object" } }),
        ),
        "FailedJob": object(&json!({
            "job": count(),
            "step": text(),
            "line": count(),
            "rounds": entries("Round"),
            "arguments": entries("Argument"),
            "attempts": count(),
            "worker": or_null(&text()),
            "failure": reference("Failure"),
        })),
        "JobResult": object(&json!({
            "job": count(),
            "run": uuid(),
            "step": text(),
            "state": reference("JobState"),
            "value": {},
            "failure": or_null(&reference("Failure")),
        })),
        "JobInputs": object(&json!({
            "job": count(),
            "run": uuid(),
            "step": text(),
            "inputs": { "type": "array" },
            "keywords": {},
            "env": {},
        })),
        "JobLog": object(&json!({
            "job": count(),
            "lines": { "type": "array", "items": object(&json!({ "at": or_null(&time()), "text": text() })) },
            "blob": or_null(&object(&json!({ "hash": hex_hash(), "bytes": count() }))),
        })),
        "BulkRequest": with_optional(
            object(&json!({})),
            &json!({
                "filter": filter,
                "all": { "type": "boolean", "description": "allows an empty filter" },
                "dry_run": { "type": "boolean", "description": "count, and change nothing" },
                "after": { "type": "string", "description": "`next` of the answer before" },
            }),
        ),
        "Bulk": object(&json!({
            "runs": count(),
            "jobs": count(),
            "dry_run": { "type": "boolean" },
            "examples": {
                "type": "array",
                "items": object(&json!({ "run": uuid(), "name": text(), "state": run_state(), "jobs": count() })),
            },
            "skipped": count(),
            "problems": {
                "type": "array",
                "items": object(&json!({ "run": uuid(), "code": text(), "message": text() })),
            },
            "next": next(),
        })),
    })
}
