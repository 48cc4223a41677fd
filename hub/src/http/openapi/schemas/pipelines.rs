//! The schemas of JSON bodies: pipelines and their runs.

use serde_json::{Value, json};

use super::runs::code;
use super::shapes::{count, object, or_null, reference, run_state, text, time, uuid, with_optional};

/// The schemas of this module, by name.
pub(super) fn pipelines() -> Value {
    json!({
        "Invocation": invocation(),
        "Invocations": object(&json!({ "runs": { "type": "array", "items": reference("Invocation"), "maxItems": 1000 } })),
        "Invoked": object(&json!({ "run": uuid(), "state": run_state() })),
        "Publication": publication(),
        "Published": object(&json!({ "version": count(), "created": { "type": "boolean" } })),
        "PipelineSummary": object(&json!({
            "name": text(),
            "version": count(),
            "script": text(),
            "published_at": time(),
        })),
        "Pipeline": object(&json!({
            "name": text(),
            "version": count(),
            "params": { "type": "array", "items": reference("Param") },
            "versions": {
                "type": "array",
                "items": object(&json!({ "version": count(), "script": text(), "published_at": time() })),
            },
            "runs": { "type": "array", "items": reference("PipelineRun") },
        })),
        "PipelineRun": object(&json!({
            "run": uuid(),
            "version": count(),
            "state": run_state(),
            "created_at": time(),
            "finished_at": or_null(&time()),
            "params": { "type": "string", "description": "what the caller gave, as JSON" },
        })),
        "Param": param(),
    })
}

fn invocation() -> Value {
    let fields = json!({
        "params": { "type": "object", "description": "values of parameters, by name" },
        "priority": { "type": "integer", "description": "added to the priority of every step" },
        "key": { "type": "string", "minLength": 1, "maxLength": 255, "description": "the same key starts one run" },
    });
    with_optional(object(&json!({})), &fields)
}

fn publication() -> Value {
    object(&json!({ "upload": uuid(), "script": text(), "plan": reference("Plan"), "code": code() }))
}

fn param() -> Value {
    let types = ["text", "int", "float", "bool", "date", "datetime", "list", "map", "json"];
    let required = object(&json!({ "name": text(), "type": { "enum": types }, "required": { "type": "boolean" } }));
    let optional = json!({
        "default": {},
        "default_is_time": { "type": "boolean" },
        "min": {},
        "max": {},
        "one_of": { "type": "array" },
    });
    with_optional(required, &optional)
}
