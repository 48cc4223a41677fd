//! Values in a column of JSON.

use std::collections::HashSet;

use bue_model::cbor::MAX_DEPTH;
use bue_model::{Json, Value};

use super::json_reader::JsonReader;
pub use super::json_reader::MAX_NUMBER_CHARS;
use super::table::key_text;

/// Nesting levels around a value of a row: the list of rows, and the row.
const ROW_DEPTH: usize = 2;

/// Returns the JSON text of a value.
///
/// # Errors
/// It has a number that JSON does not have, or two keys that are the same in JSON.
pub fn json_text(value: &Value) -> Result<String, String> {
    check_json(value)?;
    serde_json::to_string(&Json(value)).map_err(|error| format!("it cannot be written as JSON: {error}"))
}

/// Checks that JSON has the numbers of a value, and that the keys of its maps stay different.
///
/// # Errors
/// What JSON does not have.
pub fn check_json(value: &Value) -> Result<(), String> {
    match value {
        Value::Float(number) if !number.is_finite() => {
            Err(format!("a list or map becomes JSON, and JSON has no {number}; replace it"))
        }
        Value::BigInt(number) if u64::try_from(number).is_err() => {
            Err("a list or map becomes JSON, and readers of JSON round integers of more than 64 bits; send it as text"
                .to_owned())
        }
        Value::List(items) => items.iter().try_for_each(check_json),
        Value::Map(entries) => {
            let mut keys = HashSet::new();
            entries.iter().try_for_each(|(key, value)| {
                let key = key_text(key);
                if keys.contains(&key) {
                    return Err(format!("two keys of a map are both {key:?} in JSON; rename one"));
                }
                keys.insert(key);
                check_json(value)
            })
        }
        _ => Ok(()),
    }
}

/// Appends the CBOR of JSON, without rounding a number and without a tree of values: a row of 64 MiB must not take gigabytes.
/// Returns whether it did. It appends nothing if the text is not JSON, if an object has the same key twice, if a number has more
/// than [`MAX_NUMBER_CHARS`], or if the nesting is too deep for the next step.
#[must_use]
pub fn encode_json(to: &mut Vec<u8>, text: &str) -> bool {
    let begin = to.len();
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let is_encoded = is_json && JsonReader::new(text, to).value(MAX_DEPTH - ROW_DEPTH).is_some();
    if !is_encoded {
        to.truncate(begin);
    }
    is_encoded
}
