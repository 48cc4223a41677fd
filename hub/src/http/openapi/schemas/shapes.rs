//! Schemas of which others consist.

use serde_json::{Value, json};

/// The largest integer that JSON readers keep exactly.
pub(super) const MAX_SAFE_INTEGER: u64 = 1 << 53;

/// A reference to the schema of this name.
pub(in crate::http::openapi) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Adds the entries of the second object to the first.
pub(super) fn with_entries(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// An object with further fields, which may be missing.
pub(super) fn with_optional(mut object: Value, optional: &Value) -> Value {
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    if let (Some(properties), Some(optional)) = (properties, optional.as_object()) {
        properties.extend(optional.clone());
    }
    object
}

/// An object with exactly these fields, all of them required.
pub(super) fn object(fields: &Value) -> Value {
    let names: Vec<_> = fields.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "properties": fields, "required": names, "additionalProperties": false })
}

/// A schema with another description.
pub(super) fn described(schema: &Value, description: &str) -> Value {
    let mut schema = schema.clone();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), description.into());
    }
    schema
}

pub(super) fn or_null(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

pub(super) fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER })
}

pub(super) fn time() -> Value {
    json!({ "type": "integer", "description": "milliseconds since 1970, by the hub's clock" })
}

pub(super) fn hex_hash() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
}

pub(super) fn run_state() -> Value {
    json!({ "enum": ["running", "completed", "failed", "cancelled"] })
}
