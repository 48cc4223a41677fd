//! Conversions between values and Rust types, with serde: [`to_value`] and [`from_value`], for steps in Rust.
//!
//! A struct is a map, a variant of an enum its name or a map with one entry, an `Option` null or the value. A
//! [`Value`](crate::Value) inside a type passes unchanged, so such a field keeps dates, decimals and uuids, which a `String` gets as
//! text.

mod deserializer;
mod embedded;
mod error;
mod serializer;

pub use deserializer::from_value;
pub use error::ConvertError;
pub use serializer::to_value;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::value::{Decimal, Value};

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
    fn types_survive_a_round_trip() {
        for state in [State::Open, State::Sent("x".into()), State::Back { reason: "y".into() }] {
            let order = order(state);
            let value = to_value(&order).expect("a value");
            assert_eq!(from_value::<Order>(value).expect("an order"), order);
        }
    }

    #[test]
    fn values_of_every_kind_pass_unchanged() {
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
    fn a_string_gets_the_text_of_other_kinds() {
        assert_eq!(from_value::<String>(Value::Date("2026-09-30".into())), Ok("2026-09-30".to_owned()));
        assert_eq!(from_value::<f64>(Value::Int(3)), Ok(3.0));
        let error = from_value::<u8>(Value::Text("x".into())).expect_err("no number");
        assert_eq!(error.to_string(), "invalid type: string \"x\", expected u8");
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
