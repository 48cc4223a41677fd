//! Checks values against the columns that a script declares.

use bue_model::cbor::Item;
use bue_model::{SqlType, Value};

use super::json::check_json;
use super::time::has_offset;

/// Integers up to this one are represented exactly by a float.
pub const MAX_EXACT_FLOAT: u64 = 1 << 53;

/// Checks that a value has the declared type. Null has every type.
///
/// # Errors
/// The reason why it does not.
pub fn check(cell: &Item<'_>, declared: SqlType) -> Result<(), String> {
    let fits = match cell {
        Item::Null => true,
        Item::Bool(_) => matches!(declared, SqlType::Bool | SqlType::Json),
        Item::Int(number) => return int(*number, declared),
        Item::Float(number) if declared == SqlType::Json => return check_json(&Value::Float(*number)),
        Item::Float(_) => declared == SqlType::Float,
        Item::Text(_) => matches!(declared, SqlType::Text | SqlType::Json),
        Item::Bytes(_) => declared == SqlType::Bytes,
        Item::Other(value) => return check_value(value, declared),
    };
    if fits { Ok(()) } else { Err(mismatch(cell.kind(), declared)) }
}

fn int(number: i64, declared: SqlType) -> Result<(), String> {
    match declared {
        SqlType::Int | SqlType::Decimal | SqlType::Json => Ok(()),
        SqlType::Float if number.unsigned_abs() <= MAX_EXACT_FLOAT => Ok(()),
        SqlType::Float => Err(format!("a float would round the int {number}; declare the column as int or decimal")),
        other => Err(mismatch("an int", other)),
    }
}

fn check_value(value: &Value, declared: SqlType) -> Result<(), String> {
    let fits = match value {
        Value::Null => true,
        Value::Bool(_) => matches!(declared, SqlType::Bool | SqlType::Json),
        Value::Int(number) => return int(*number, declared),
        Value::BigInt(_) if declared == SqlType::Int => {
            return Err("the int needs more than 64 bits; declare the column as decimal".to_owned());
        }
        Value::BigInt(_) => matches!(declared, SqlType::Decimal),
        Value::Decimal(_) => declared == SqlType::Decimal,
        Value::Float(_) => declared == SqlType::Float,
        Value::Text(_) => matches!(declared, SqlType::Text | SqlType::Json),
        Value::Bytes(_) => declared == SqlType::Bytes,
        Value::Uuid(_) => declared == SqlType::Uuid,
        Value::Date(_) => declared == SqlType::Date,
        Value::Time(text) => declared == SqlType::Time && !has_offset(text),
        Value::DateTime(text) if has_offset(text) => declared == SqlType::Timestamptz,
        Value::DateTime(_) => declared == SqlType::Timestamp,
        Value::List(_) | Value::Map(_) => declared == SqlType::Json,
    };
    if fits { Ok(()) } else { Err(mismatch(kind(value), declared)) }
}

/// The kind of a value, as far as types of columns differ.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Time(text) if has_offset(text) => "a time with an offset",
        Value::DateTime(text) if has_offset(text) => "a datetime with an offset",
        Value::DateTime(_) => "a datetime without an offset",
        other => other.kind(),
    }
}

fn mismatch(kind: &str, declared: SqlType) -> String {
    let advice = match (kind, declared) {
        ("a text", SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz) => {
            "; convert it, as in date.fromisoformat(x), or declare the column as text"
        }
        ("a float", SqlType::Decimal) => "; convert it, as in Decimal(str(x)), or declare the column as float",
        ("a decimal", SqlType::Float) => "; convert it with float(), or declare the column as decimal",
        ("a datetime with an offset", SqlType::Timestamp) => "; declare the column as timestamptz",
        ("a datetime without an offset", SqlType::Timestamptz) => "; declare the column as timestamp",
        _ => "",
    };
    format!("it is {kind}, but the script declares the column as {}{advice}", declared.name())
}
