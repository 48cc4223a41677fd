//! Fields of the JSON objects that requests about schedules contain.

use bue_model::Value;
use bue_model::param::write_json;

/// A field.
pub(super) fn field(name: &str, value: Value) -> (Value, Value) {
    (Value::Text(name.to_owned()), value)
}

/// A field with a text.
pub(super) fn text_field(name: &str, value: &str) -> (Value, Value) {
    field(name, Value::Text(value.to_owned()))
}

/// The text of an object.
pub(super) fn object(fields: Vec<(Value, Value)>) -> String {
    write_json(&Value::Map(fields))
}
