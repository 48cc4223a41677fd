//! The schemas of JSON bodies: reruns, and the plans of runs.

use serde_json::{Value, json};

use super::runs::blob;
use super::runs::run_pipeline;
use super::shapes::{count, hex_hash, object, or_null, reference, text, texts, uuid, with_optional};

/// The schemas of reruns.
pub(super) fn reruns() -> Value {
    let replacement = object(&json!({
        "step": text(),
        "language": text(),
        "function": text(),
        "file": text(),
        "code": hex_hash(),
        "bytes": count(),
    }));
    let fields = json!({
        "run": { "type": "string", "format": "uuid", "description": "a random id for the new run" },
        "key": { "type": "string", "minLength": 1, "maxLength": 255, "description": "instead of `run`" },
        "from": texts(),
        "only": texts(),
        "params": { "type": "object", "description": "new values of parameters, by name" },
        "replace": { "type": "array", "items": replacement, "maxItems": 1000 },
    });
    json!({
        "Rerun": with_optional(object(&json!({})), &fields),
        "RunPlan": object(&json!({
            "run": uuid(),
            "name": text(),
            "pipeline": or_null(&run_pipeline()),
            "rerun_of": or_null(&uuid()),
            "params": { "type": "array", "items": reference("Param") },
            "steps": {
                "type": "array",
                "items": object(&json!({ "step": { "type": "object" }, "code": blob() })),
            },
        })),
    })
}
