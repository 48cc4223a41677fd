//! How runs are found by the values of their parameters: a row for each value that was given, with a text of bounded length. Pure.

use std::collections::BTreeMap;

use bue_model::Value;
use bue_model::param::{read_json, write_json};

use crate::error::HubError;

/// Bytes from which on a text is replaced by its hash, which has as many.
const HASHED_BYTES: usize = 64;

/// Returns the rows of a run's parameters: their names, and what their values are found by.
pub(crate) fn param_rows(params: &BTreeMap<String, Value>) -> Vec<(String, String)> {
    params.iter().map(|(name, value)| (name.clone(), key_of(value))).collect()
}

/// Returns the rows of parameters that are stored as JSON.
///
/// # Errors
/// [`HubError::Damaged`]
pub(crate) fn stored_param_rows(params: &str) -> Result<Vec<(String, String)>, HubError> {
    let Ok(Value::Map(entries)) = read_json(params) else {
        return Err(HubError::damaged("the parameters of a run are not a JSON object"));
    };
    let row = |(name, value): &(Value, Value)| match name {
        Value::Text(name) => Some((name.clone(), key_of(value))),
        _ => None,
    };
    Ok(entries.iter().filter_map(row).collect())
}

/// Returns what the value of a parameter is found by if a user writes it as this text: it is a text, or JSON.
pub(crate) fn keys_of_text(text: &str) -> Vec<String> {
    let mut keys = vec![key_of(&Value::Text(text.to_owned()))];
    if let Some(value) = read_json(text).ok().filter(|value| !matches!(value, Value::Text(_))) {
        keys.push(key_of(&value));
    }
    keys
}

/// Returns what a value is found by: a letter for its kind, and the value or its hash.
fn key_of(value: &Value) -> String {
    let (kind, text) = match value {
        Value::Text(text) => ('t', text.clone()),
        value => ('j', write_json(value)),
    };
    // a text column takes no NUL
    let is_short = text.len() < HASHED_BYTES && !text.contains('\0');
    let text = if is_short { text } else { blake3::hash(text.as_bytes()).to_hex().to_string() };
    format!("{kind}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(params: &str) -> Vec<String> {
        stored_param_rows(params).expect("rows").into_iter().map(|(_, key)| key).collect()
    }

    #[test]
    fn a_value_is_found_by_what_a_user_writes() {
        let long = "x".repeat(5_000);
        for (params, text) in [
            (r#"{"a": "2026-11-01"}"#, "2026-11-01"),
            (r#"{"a": 200}"#, "200"),
            (r#"{"a": "200"}"#, "200"),
            (r#"{"a": [1, {"b": null}]}"#, r#"[1,{"b":null}]"#),
            (r#"{"a": [1, {"b": null}]}"#, r#"[ 1, {"b": null} ]"#),
            (r#"{"a": true}"#, "true"),
            (r#"{"a": ""}"#, ""),
            (&format!(r#"{{"a": "{long}"}}"#), &long),
        ] {
            let stored = stored(params);
            assert!(keys_of_text(text).contains(&stored[0]), "{params} {text}");
            assert!(stored[0].len() <= 65);
        }
    }

    #[test]
    fn texts_are_compared_as_texts_and_other_values_as_json() {
        for (params, text) in [(r#"{"a": "1.10"}"#, "1.1"), (r#"{"a": "[1, 2]"}"#, "[1,2]"), (r#"{"a": 1}"#, "01")] {
            let stored = stored(params);
            assert!(!keys_of_text(text).contains(&stored[0]), "{params} {text}");
        }
    }
}
