//! How the values of an input become values of SQLite, and which ones it cannot hold.

use bue_model::cbor::Item;
use bue_model::{Decimal, SqlType, Value};
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};

use super::exact::number::{Exact, MAX_DIGITS};
use super::storage::Storage;
use crate::declared;
use crate::item::to_value;
use crate::json::json_text;
use crate::time::{format_utc, has_offset, parse_zoned};

/// Characters of a value that a message shows.
const SHOWN_CHARS: usize = 60;

/// What to do with a number that SQLite cannot hold.
const OTHER_WAYS: &str = "send it as text with str(), as float(), as an integer number of cents, or use a postgres step, \
                          whose `numeric` holds it";

/// Converts the cells of one column.
pub(super) struct Column {
    storage: Storage,
    declared: Option<SqlType>,
    /// Have its datetimes an offset?
    has_offsets: Option<bool>,
}

impl Column {
    pub(super) const fn new(storage: Storage) -> Self {
        Self { storage, declared: None, has_offsets: None }
    }

    /// A column that the script declares.
    pub(super) const fn declared(column_type: SqlType) -> Self {
        Self { storage: Storage::declared(column_type), declared: Some(column_type), has_offsets: None }
    }

    pub(super) const fn storage(&self) -> Storage {
        self.storage
    }

    /// # Errors
    /// The reason why SQLite cannot hold the value, or why it is not what the script declares.
    pub(super) fn convert<'c>(&mut self, cell: &'c Item<'_>) -> Result<ToSqlOutput<'c>, String> {
        if let Some(column_type) = self.declared {
            declared::check(cell, column_type)?;
            if column_type == SqlType::Json {
                return declared_json(cell);
            }
        }
        Ok(ToSqlOutput::Borrowed(match cell {
            Item::Null => ValueRef::Null,
            Item::Bool(truth) => ValueRef::Integer(i64::from(*truth)),
            Item::Int(number) => return self.integer(*number),
            Item::Float(number) => ValueRef::Real(not_nan(*number)?),
            Item::Text(text) => return without_nul(text),
            Item::Bytes(bytes) => ValueRef::Blob(bytes),
            Item::Other(value) => return self.value(value),
        }))
    }

    fn integer(&self, number: i64) -> Result<ToSqlOutput<'static>, String> {
        match self.storage {
            Storage::Decimal => decimal(&Decimal { mantissa: number.into(), exponent: 0 }),
            #[expect(clippy::cast_precision_loss, reason = "the declared type has been checked: it is exact")]
            Storage::Float => Ok(ToSqlOutput::Owned(SqlValue::Real(number as f64))),
            _ => Ok(ToSqlOutput::Owned(SqlValue::Integer(number))),
        }
    }

    fn value<'c>(&mut self, value: &'c Value) -> Result<ToSqlOutput<'c>, String> {
        Ok(match value {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(truth) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*truth))),
            Value::Int(number) => return self.integer(*number),
            Value::BigInt(number) => {
                let shown = shortened(&shown(&Decimal { mantissa: number.clone(), exponent: 0 }));
                return Err(format!(
                    "the integer {shown} needs more than 64 bits, which SQLite does not have; {OTHER_WAYS}"
                ));
            }
            Value::Decimal(number) => return decimal(number),
            Value::Float(number) => ToSqlOutput::Borrowed(ValueRef::Real(not_nan(*number)?)),
            Value::Time(text) if has_offset(text) => {
                return Err(format!(
                    "the time {} has an offset, so without a date it is no instant, and cannot be compared; send a \
                     datetime, or text",
                    shortened(text)
                ));
            }
            Value::Text(text) => return without_nul(text),
            Value::Date(text) | Value::Time(text) => borrowed(text),
            Value::DateTime(text) => return self.datetime(text),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Uuid(uuid) => owned(uuid.to_string()),
            nested @ (Value::List(_) | Value::Map(_)) => owned(json_text(nested)?),
        })
    }

    /// A datetime with an offset becomes the UTC text of its instant, so that texts compare as instants do.
    fn datetime<'c>(&mut self, text: &'c str) -> Result<ToSqlOutput<'c>, String> {
        let has_offset = has_offset(text);
        if *self.has_offsets.get_or_insert(has_offset) != has_offset {
            return Err(format!(
                "the datetime {} has {} offset, but others in this column have {}, so they cannot be compared; give all of \
                 them an offset, or none",
                shortened(text),
                if has_offset { "an" } else { "no" },
                if has_offset { "none" } else { "one" },
            ));
        }
        if !has_offset {
            return Ok(borrowed(text));
        }
        let utc = parse_zoned(text).and_then(format_utc);
        utc.map(owned).ok_or_else(|| {
            format!(
                "the datetime {} is no instant of the years 1 to 9999 in UTC, to the microsecond; send it as text",
                shortened(text)
            )
        })
    }
}

/// SQLite's functions take a NUL character for the end of the text.
fn without_nul(text: &str) -> Result<ToSqlOutput<'_>, String> {
    match text.contains('\0') {
        true => Err("the text contains a NUL character, which ends a text in SQLite; send bytes".to_owned()),
        false => Ok(borrowed(text)),
    }
}

/// In a column of JSON, every value but null is JSON text, also a number or a text.
fn declared_json(cell: &Item<'_>) -> Result<ToSqlOutput<'static>, String> {
    match to_value(cell) {
        Value::Null => Ok(ToSqlOutput::Owned(SqlValue::Null)),
        value => Ok(owned(json_text(&value)?)),
    }
}

const fn borrowed(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

const fn owned(text: String) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(SqlValue::Text(text))
}

fn not_nan(number: f64) -> Result<f64, String> {
    if number.is_nan() {
        return Err("NaN (not a number) is no value in SQLite, which would store NULL; send None or text".to_owned());
    }
    Ok(number)
}

fn decimal(number: &Decimal) -> Result<ToSqlOutput<'static>, String> {
    let exact = Exact::from_decimal(number);
    let float = exact.and_then(Exact::to_float);
    float.map(|float| ToSqlOutput::Owned(SqlValue::Real(float))).ok_or_else(|| {
        let reason = match exact.map(Exact::digits) {
            Some(digits) if digits <= MAX_DIGITS => "is too large or too small to be exact in SQLite".to_owned(),
            Some(digits) => format!("has {digits} significant digits, and SQLite holds {MAX_DIGITS} exactly"),
            None => format!("has more significant digits than the {MAX_DIGITS} that SQLite holds exactly"),
        };
        format!("the number {} {reason}; {OTHER_WAYS}", shortened(&shown(number)))
    })
}

/// A number's text, unless it is so long that writing it would take minutes.
fn shown(number: &Decimal) -> String {
    match number.mantissa.bits() {
        bits if bits > 100_000 => format!("of {bits} bits"),
        _ => number.to_string(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
