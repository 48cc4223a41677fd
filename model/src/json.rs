//! Values as JSON, for people, scripts and SQL.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, Serializer};

use crate::value::Value;

/// Serializes a value as JSON. What JSON has no type for becomes text: bytes in base64, uuids, decimals, dates, integers of more
/// than 128 bits with all their digits, and the floats `"NaN"`, `"Infinity"` and `"-Infinity"`.
///
/// A map is an object, whose keys are texts. If two of its keys have the same text (`1` and `"1"`), it is a list of
/// `[key, value]` instead.
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
            Value::Float(number) => match non_finite_text(*number) {
                Some(text) => to.serialize_str(text),
                None => to.serialize_f64(*number),
            },
            Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => to.serialize_str(text),
            Value::Bytes(bytes) => to.serialize_str(&STANDARD.encode(bytes)),
            Value::Uuid(uuid) => to.collect_str(uuid),
            Value::Decimal(decimal) => to.collect_str(decimal),
            Value::List(items) => to.collect_seq(items.iter().map(Json)),
            Value::Map(entries) => serialize_map(entries, to),
        }
    }
}

fn serialize_map<S: Serializer>(entries: &[(Value, Value)], to: S) -> Result<S::Ok, S::Error> {
    let keys: Vec<_> = entries.iter().map(|(key, _)| key_text(key)).collect();
    match has_duplicates(&keys) {
        true => to.collect_seq(entries.iter().map(|(key, value)| [Json(key), Json(value)])),
        false => to.collect_map(keys.iter().zip(entries.iter().map(|(_, value)| Json(value)))),
    }
}

fn has_duplicates(keys: &[Cow<'_, str>]) -> bool {
    /// Up to this many keys, comparing each with each is faster than hashing them.
    const FEW: usize = 8;
    if keys.len() <= FEW {
        return keys.iter().enumerate().any(|(index, key)| keys.iter().take(index).any(|other| other == key));
    }
    let mut seen = HashSet::with_capacity(keys.len());
    !keys.iter().all(|key| seen.insert(key))
}

/// Returns the text of a float that JSON has no number for; `None` for the others.
const fn non_finite_text(number: f64) -> Option<&'static str> {
    match number {
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        number if number.is_nan() => Some("NaN"),
        _ => None,
    }
}

/// Returns a key as a string, as Python's `json` converts keys that are not strings.
pub(crate) fn key_text(key: &Value) -> Cow<'_, str> {
    match key {
        Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed("null"),
        Value::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Value::Float(number) => non_finite_text(*number).map_or_else(|| format!("{number:?}").into(), Cow::Borrowed),
        Value::Int(number) => number.to_string().into(),
        Value::BigInt(number) => number.to_string().into(),
        Value::Uuid(uuid) => uuid.to_string().into(),
        Value::Decimal(decimal) => decimal.to_string().into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::List(items) => {
            let parts: Vec<_> = items.iter().map(key_text).collect();
            format!("({})", parts.join(", ")).into()
        }
        Value::Map(_) => Cow::Borrowed("{…}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Decimal;

    fn json(value: &Value) -> String {
        serde_json::to_string(&Json(value)).expect("JSON")
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn values_without_a_json_type_become_strings() {
        let value = Value::Map(vec![
            (text("b"), Value::Bytes(vec![1, 2])),
            (Value::Int(3), Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 })),
            (text("nan"), Value::Float(f64::NAN)),
            (text("big"), Value::BigInt("18446744073709551616".parse().expect("digits"))),
        ]);
        assert_eq!(json(&value), r#"{"b":"AQI=","3":"1.50","nan":"NaN","big":18446744073709551616}"#);
    }

    #[test]
    fn no_float_becomes_null() {
        let floats = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0, -0.0, 1e300, f64::MIN_POSITIVE];
        let list = Value::List(floats.map(Value::Float).to_vec());
        let expected = r#"["NaN","NaN","Infinity","-Infinity",1.0,-0.0,1e+300,2.2250738585072014e-308]"#;
        assert_eq!(json(&list).replace("1e300", "1e+300"), expected);
    }

    #[test]
    fn integers_keep_all_their_digits() {
        let numbers = ["9007199254740993", "-9223372036854775809", "170141183460469231731687303715884105727"];
        for digits in numbers {
            assert_eq!(json(&Value::integer(digits.parse().expect("digits"))), digits);
        }
        let digits = "9".repeat(60);
        assert_eq!(json(&Value::integer(digits.parse().expect("digits"))), format!("{digits:?}"));
    }

    #[test]
    fn a_map_whose_keys_have_the_same_text_is_a_list_of_pairs() {
        let pairs = |keys: Vec<Value>| json(&Value::Map(keys.into_iter().zip((0..).map(Value::Int)).collect()));
        assert_eq!(pairs(vec![Value::Int(1), text("1")]), r#"[[1,0],["1",1]]"#);
        assert_eq!(pairs(vec![text("null"), Value::Null]), r#"[["null",0],[null,1]]"#);
        assert_eq!(pairs(vec![Value::Float(f64::NAN), text("NaN")]), r#"[["NaN",0],["NaN",1]]"#);
        let tuple = |second| Value::List(vec![Value::Int(1), second]);
        assert_eq!(pairs(vec![tuple(Value::Int(2)), tuple(text("2"))]), r#"[[[1,2],0],[[1,"2"],1]]"#);
        assert_eq!(pairs(vec![Value::Int(1), Value::Float(1.5), text("1.0")]), r#"{"1":0,"1.5":1,"1.0":2}"#);
        let mut many: Vec<Value> = (0..100).map(Value::Int).collect();
        assert!(pairs(many.clone()).starts_with(r#"{"0":0,"1":1,"#));
        many.push(text("99"));
        assert!(pairs(many).starts_with("[[0,0],[1,1],"));
    }

    proptest! {
        /// Whatever the keys are, the JSON is read back with as many entries as there were.
        #[test]
        fn no_entry_of_a_map_is_lost(keys in proptest::collection::vec(key(), 0..12)) {
            let entries: Vec<_> = keys.into_iter().map(|key| (key, Value::Null)).collect();
            let count = entries.len();
            let read: serde_json::Value = serde_json::from_str(&json(&Value::Map(entries))).expect("JSON");
            let read = read.as_object().map(serde_json::Map::len).or_else(|| read.as_array().map(Vec::len));
            prop_assert_eq!(read, Some(count));
        }
    }

    fn key() -> impl Strategy<Value = Value> {
        prop_oneof![
            (0_i64..4).prop_map(Value::Int),
            (0_i64..4).prop_map(|number| Value::Text(number.to_string())),
            any::<bool>().prop_map(Value::Bool),
            any::<bool>().prop_map(|truth| Value::Text(truth.to_string())),
            any::<f64>().prop_map(Value::Float),
        ]
    }
}
