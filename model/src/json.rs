//! Values as JSON, for people, scripts and SQL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::value::Value;

/// Serializes a value as JSON: bytes as base64; uuids, decimals and dates as strings; keys that are not text as their JSON text;
/// integers of more than 128 bits as strings; floats that JSON cannot express as null.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(pub &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => to.serialize_unit(),
            Value::Bool(truth) => to.serialize_bool(*truth),
            Value::Int(number) => to.serialize_i64(*number),
            Value::BigInt(number) => match i128::try_from(number) {
                Ok(number) => to.serialize_i128(number),
                Err(_) => to.collect_str(number),
            },
            Value::Float(number) if number.is_finite() => to.serialize_f64(*number),
            Value::Float(_) => to.serialize_unit(),
            Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => to.serialize_str(text),
            Value::Bytes(bytes) => to.serialize_str(&STANDARD.encode(bytes)),
            Value::Uuid(uuid) => to.collect_str(uuid),
            Value::Decimal(decimal) => to.collect_str(decimal),
            Value::List(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Json(item))?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = to.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(&key_text(key), &Json(value))?;
                }
                map.end()
            }
        }
    }
}

/// Returns a key as a string, as Python's `json` converts keys that are not strings.
fn key_text(key: &Value) -> String {
    match key {
        Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => text.clone(),
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Uuid(uuid) => uuid.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::List(items) => {
            let parts: Vec<String> = items.iter().map(key_text).collect();
            format!("({})", parts.join(", "))
        }
        Value::Map(_) => "{…}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Decimal;

    #[test]
    fn values_without_a_json_type_become_strings() {
        let value = Value::Map(vec![
            (Value::Text("b".into()), Value::Bytes(vec![1, 2])),
            (Value::Int(3), Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 })),
            (Value::Text("nan".into()), Value::Float(f64::NAN)),
            (Value::Text("big".into()), Value::BigInt("18446744073709551616".parse().expect("digits"))),
        ]);
        let text = serde_json::to_string(&Json(&value)).expect("JSON");
        assert_eq!(text, r#"{"b":"AQI=","3":"1.50","nan":null,"big":18446744073709551616}"#);
    }
}
