//! Cells as values.

use bue_model::Value;
use bue_model::cbor::Item;

/// Returns a cell as a value of its own.
#[must_use]
pub fn to_value(item: &Item<'_>) -> Value {
    match item {
        Item::Null => Value::Null,
        Item::Bool(truth) => Value::Bool(*truth),
        Item::Int(number) => Value::Int(*number),
        Item::Float(number) => Value::Float(*number),
        Item::Text(text) => Value::Text((*text).to_owned()),
        Item::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        Item::Other(value) => Value::clone(value),
    }
}
