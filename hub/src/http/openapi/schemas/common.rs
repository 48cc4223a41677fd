//! The schemas of JSON bodies: errors, and what several routes answer.

use serde_json::{Value, json};

use super::shapes::{count, object, or_null, reference, text, texts, with_optional};

/// The schemas of this module, by name.
pub(super) fn common() -> Value {
    json!({
        "Error": object(&json!({
            "error": with_optional(
                object(&json!({
                    "code": { "type": "string", "description": "for programs, like run_not_found" },
                    "message": { "type": "string", "description": "what happened" },
                    "hint": { "type": "string", "description": "what to do" },
                })),
                &json!({ "fields": { "type": "array", "items": reference("FieldError") } }),
            ),
        })),
        "FieldError": object(&json!({ "field": text(), "message": text() })),
        "Nothing": { "type": "null" },
        "Changed": object(&json!({ "jobs": count() })),
        "Info": object(&json!({ "version": text(), "bucket": or_null(&text()), "scopes": texts(), "wire": count() })),
        "Document": { "type": "object" },
    })
}
