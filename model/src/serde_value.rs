//! Values and types of Rust: [`to_value`] and [`from_value`], for steps that are written in it.
//!
//! A struct is a map, an enum's variant its name or a map of one entry, `Option` null or the value. A [`Value`] inside a
//! type passes as it is, whatever its kind; so a field of that type keeps dates, decimals and uuids, which a `String` gets
//! as text.

mod from;
mod into;

use core::cell::Cell;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

pub use from::from_value;
pub use into::to_value;

use crate::json::Json;
use crate::value::Value;

/// Name by which a [`Value`] makes itself known to the two ends below, which then pass it through [`PASSED`].
const WHOLE: &str = "$bue::Value";

thread_local! {
    static PASSED: Cell<Option<Value>> = const { Cell::new(None) };
}

/// Why a value does not fit a type, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotThatType(String);

impl fmt::Display for NotThatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for NotThatType {}

impl serde::de::Error for NotThatType {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::ser::Error for NotThatType {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// As it is in [`to_value`], as JSON elsewhere.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        PASSED.set(Some(self.clone()));
        let done = to.serialize_newtype_struct(WHOLE, &Json(self));
        PASSED.take();
        done
    }
}

/// As it is in [`from_value`], by what is there elsewhere.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_newtype_struct(WHOLE, AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(PASSED.take().unwrap_or(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Value::deserialize(from)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::integer(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::integer(number.into()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(Value::integer(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = from.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::value::Decimal;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        id: u64,
        city: Option<String>,
        paid: bool,
        amount: f64,
        state: State,
        tags: Vec<String>,
        pair: (i8, char),
        price: Value,
        counts: BTreeMap<i64, u8>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum State {
        Open,
        Sent(String),
        Back { reason: String },
    }

    fn order(state: State) -> Order {
        let price = Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 });
        let tags = vec!["a".to_owned()];
        let (pair, counts) = ((-1, 'é'), [(7, 8)].into());
        Order { id: u64::MAX, city: None, paid: true, amount: 1.5, state, tags, pair, price, counts }
    }

    #[test]
    fn types_come_back_as_they_went() {
        for state in [State::Open, State::Sent("x".into()), State::Back { reason: "y".into() }] {
            let order = order(state);
            let value = to_value(&order).expect("a value");
            assert_eq!(from_value::<Order>(value).expect("an order"), order);
        }
    }

    #[test]
    fn values_of_every_kind_pass_whole() {
        let all = Value::List(vec![
            Value::Null,
            Value::BigInt("123456789012345678901234567890".parse().expect("digits")),
            Value::Bytes(vec![1]),
            Value::Date("2026-09-30".into()),
            Value::Uuid(uuid::Uuid::from_u128(7)),
            Value::Map(vec![(Value::Int(1), Value::Time("12:00:00".into()))]),
        ]);
        assert_eq!(to_value(&all), Ok(all.clone()));
        assert_eq!(from_value::<Value>(all.clone()), Ok(all.clone()));
        assert_eq!(from_value::<Vec<Value>>(all.clone()).map(Value::List), Ok(all));
    }

    #[test]
    fn what_is_no_number_is_text_to_a_string() {
        assert_eq!(from_value::<String>(Value::Date("2026-09-30".into())), Ok("2026-09-30".to_owned()));
        assert_eq!(from_value::<f64>(Value::Int(3)), Ok(3.0));
        let wrong = from_value::<u8>(Value::Text("x".into())).expect_err("no number");
        assert_eq!(wrong.to_string(), "invalid type: string \"x\", expected u8");
    }

    #[test]
    fn other_formats_see_json() {
        let value = Value::List(vec![Value::Int(1), Value::Date("2026-09-30".into())]);
        let text = serde_json::to_string(&value).expect("JSON");
        assert_eq!(text, r#"[1,"2026-09-30"]"#);
        let back: Value = serde_json::from_str(r#"[1,{"a":null}]"#).expect("a value");
        let map = Value::Map(vec![(Value::Text("a".into()), Value::Null)]);
        assert_eq!(back, Value::List(vec![Value::Int(1), map]));
        assert_eq!(to_value(&Value::Null), Ok(Value::Null));
    }
}
