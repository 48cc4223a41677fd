//! JSON to [`Value`] and back, without changing any number.

use core::fmt;
use std::collections::HashSet;

use num_bigint::BigInt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::Json;
use crate::value::Value;

/// Most levels of lists and maps inside each other, here and in scripts.
pub const MAX_JSON_DEPTH: usize = 64;

/// Most digits of an integer: reading one takes quadratic time. Python has the same limit.
const MAX_DIGITS: usize = 4300;

/// Why a text is no JSON, or JSON that a value cannot represent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads a value. Integers of up to 4,300 digits are exact, all other numbers are floats of 64 bits.
///
/// # Errors
/// [`JsonError`] for a text that is no JSON, nested more than 64 levels deep, with a key twice in one map, or with a number that
/// is too large for a float.
pub fn read_json(text: &str) -> Result<Value, JsonError> {
    // each level is read again from its text, so a deep one has to be refused before
    if depth(text) > MAX_JSON_DEPTH {
        return Err(JsonError(format!("it is nested more than {MAX_JSON_DEPTH} levels deep")));
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| JsonError(error.to_string()))?;
    read(raw.get(), 0)
}

/// Returns how many lists and maps are inside each other at most, in a text that may be no JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// `serde_json` reads integers of more than 64 bits as floats. So every value is first taken as its text.
fn read(text: &str, depth: usize) -> Result<Value, JsonError> {
    if depth > MAX_JSON_DEPTH {
        return Err(JsonError(format!("it is nested more than {MAX_JSON_DEPTH} levels deep")));
    }
    let whole = |error: serde_json::Error| JsonError(error.to_string());
    match text.as_bytes().first() {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(whole)?;
            items.into_iter().map(|item| read(item.get(), depth + 1)).collect::<Result<_, _>>().map(Value::List)
        }
        Some(b'{') => {
            let Entries(entries) = serde_json::from_str(text).map_err(whole)?;
            map(entries, depth)
        }
        Some(b'"') => serde_json::from_str(text).map(Value::Text).map_err(whole),
        Some(b't') => Ok(Value::Bool(true)),
        Some(b'f') => Ok(Value::Bool(false)),
        Some(b'n') => Ok(Value::Null),
        _ => number(text),
    }
}

fn map(entries: Vec<(String, &RawValue)>, depth: usize) -> Result<Value, JsonError> {
    let mut seen = HashSet::new();
    if let Some((twice, _)) = entries.iter().find(|(key, _)| !seen.insert(key)) {
        return Err(JsonError(format!("the key {twice:?} is there twice")));
    }
    let entry = |(key, value): (String, &RawValue)| Ok((Value::Text(key), read(value.get(), depth + 1)?));
    entries.into_iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
}

fn number(text: &str) -> Result<Value, JsonError> {
    if text.contains(['.', 'e', 'E']) {
        return match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(JsonError(format!("{text} is too large for a float"))),
        };
    }
    if text.len() > MAX_DIGITS {
        return Err(JsonError(format!("an integer has more than {MAX_DIGITS} digits")));
    }
    text.parse::<BigInt>().map(Value::integer).map_err(|_| JsonError(format!("{text} is no number")))
}

/// Returns the JSON from which [`read_json`] reads the same value: integers have all their digits. What JSON has no type for
/// becomes text, as in [`Json`].
#[must_use]
pub fn write_json(value: &Value) -> String {
    serde_json::to_string(&ExactJson(value)).unwrap_or_else(|_| "?".into())
}

/// [`Json`], whose integers of more than 128 bits would be texts.
struct ExactJson<'a>(&'a Value);

impl Serialize for ExactJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::BigInt(number) => match RawValue::from_string(number.to_string()) {
                Ok(digits) => digits.serialize(to),
                Err(error) => Err(S::Error::custom(error)),
            },
            Value::List(items) => to.collect_seq(items.iter().map(ExactJson)),
            Value::Map(entries) if entries.iter().all(|(key, _)| matches!(key, Value::Text(_))) => {
                to.collect_map(entries.iter().map(|(key, value)| (Json(key), ExactJson(value))))
            }
            value => Json(value).serialize(to),
        }
    }
}

/// The entries of a map in their order, a key that is there twice included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(Collect)
    }
}
