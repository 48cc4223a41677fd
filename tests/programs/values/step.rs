//! Steps that return values of all kinds.

use std::collections::BTreeMap;

use bue::serde::{Deserialize, Serialize};
use bue::{Bytes, Date, DateTime, Decimal, Row, Time, Uuid, Value};

#[bue::step]
fn echo(value: Value) -> Value {
    value
}

#[derive(Deserialize, Serialize)]
#[serde(crate = "bue::serde")]
struct Everything {
    nothing: Option<u8>,
    truth: bool,
    number: i64,
    large: u128,
    float: f64,
    text: String,
    bytes: Bytes,
    uuid: Uuid,
    price: Value,
    date: Date,
    time: Time,
    moment: DateTime,
    list: Vec<i32>,
    map: BTreeMap<String, bool>,
}

#[bue::step]
fn typed(all: Everything) -> bue::Result<Everything> {
    if !matches!(all.price, Value::Decimal(Decimal { exponent: -2, .. })) {
        return Err(bue::Error::msg("the price is not a decimal"));
    }
    Ok(all)
}

#[bue::step]
fn doubled(mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        if let Some(Value::Int(amount)) = row.get("amount") {
            let doubled = amount * 2;
            row.set("amount", Value::Int(doubled));
        }
    }
    rows
}

#[bue::step]
fn sum(one: i64, other: i64) -> i64 {
    one + other
}
