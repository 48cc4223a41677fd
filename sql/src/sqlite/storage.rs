//! How a column of an input stores its values, and what these are in the result.
//!
//! SQLite has five types. A column whose values are all of one other kind has a declared type that names it, so that a result
//! column that comes straight from it has values of that kind again.

use bue_model::cbor::Item;
use bue_model::{SqlType, Value, cbor};
use rusqlite::types::ValueRef;

use super::exact::number::Exact;
use crate::json::encode_json;
use crate::time::{has_offset, parse_date, parse_local, parse_time, parse_zoned};

/// What the cells of a column are, so far: a set of kinds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ColumnKinds(u16);

impl ColumnKinds {
    const INT: u16 = 1;
    const DECIMAL: u16 = 1 << 1;
    const BOOL: u16 = 1 << 2;
    const DATE: u16 = 1 << 3;
    const TIME: u16 = 1 << 4;
    const TIMESTAMP: u16 = 1 << 5;
    const TIMESTAMPTZ: u16 = 1 << 6;
    const UUID: u16 = 1 << 7;
    const NESTED: u16 = 1 << 8;
    /// A text, a float, bytes.
    const OTHER: u16 = 1 << 9;

    pub(super) fn add(&mut self, cell: &Item<'_>) {
        self.0 |= Self::kind(cell);
    }

    fn kind(cell: &Item<'_>) -> u16 {
        match cell {
            Item::Null => 0,
            Item::Int(_) => Self::INT,
            Item::Bool(_) => Self::BOOL,
            Item::Float(_) | Item::Text(_) | Item::Bytes(_) => Self::OTHER,
            Item::Other(value) => Self::value_kind(value),
        }
    }

    fn value_kind(value: &Value) -> u16 {
        match value {
            Value::Null => 0,
            Value::Int(_) | Value::BigInt(_) => Self::INT,
            Value::Decimal(_) => Self::DECIMAL,
            Value::Bool(_) => Self::BOOL,
            Value::Date(_) => Self::DATE,
            Value::Time(_) => Self::TIME,
            Value::DateTime(text) if has_offset(text) => Self::TIMESTAMPTZ,
            Value::DateTime(_) => Self::TIMESTAMP,
            Value::Uuid(_) => Self::UUID,
            Value::List(_) | Value::Map(_) => Self::NESTED,
            Value::Float(_) | Value::Text(_) | Value::Bytes(_) => Self::OTHER,
        }
    }

    /// Returns whether the column of a cell may need a declared type.
    pub(super) fn needs_type(cell: &Item<'_>) -> bool {
        Self::kind(cell) & !(Self::INT | Self::OTHER) != 0
    }

    pub(super) const fn has_decimals(self) -> bool {
        self.0 & Self::DECIMAL != 0
    }

    pub(super) const fn storage(self) -> Storage {
        const DECIMALS: u16 = ColumnKinds::DECIMAL | ColumnKinds::INT;
        match self.0 {
            Self::DECIMAL | DECIMALS => Storage::Decimal,
            Self::BOOL => Storage::Bool,
            Self::DATE => Storage::Date,
            Self::TIME => Storage::Time,
            Self::TIMESTAMP => Storage::Timestamp,
            Self::TIMESTAMPTZ => Storage::Timestamptz,
            Self::UUID => Storage::Uuid,
            Self::NESTED => Storage::Json,
            _ => Storage::Any,
        }
    }
}

/// How a column stores its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// Each value as it is.
    Any,
    /// Decimals and integers, as the floats that stand for them.
    Decimal,
    /// Floats and integers, as floats.
    Float,
    /// 0 and 1.
    Bool,
    /// Texts from here on.
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
    Json,
}

impl Storage {
    const ALL: [Self; 10] = [
        Self::Any,
        Self::Decimal,
        Self::Float,
        Self::Bool,
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::Timestamptz,
        Self::Uuid,
        Self::Json,
    ];

    /// The storage of a declared column.
    pub(super) const fn declared(column_type: SqlType) -> Self {
        match column_type {
            SqlType::Bool => Self::Bool,
            SqlType::Decimal => Self::Decimal,
            SqlType::Float => Self::Float,
            SqlType::Date => Self::Date,
            SqlType::Time => Self::Time,
            SqlType::Timestamp => Self::Timestamp,
            SqlType::Timestamptz => Self::Timestamptz,
            SqlType::Uuid => Self::Uuid,
            SqlType::Json => Self::Json,
            SqlType::Int | SqlType::Text | SqlType::Bytes => Self::Any,
        }
    }

    /// The declared type in SQLite; empty if there is none. One with `BLOB` has no affinity: SQLite stores and compares its
    /// values as those of a column without a type. One with `REAL` stores floats.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Decimal => "DECIMAL REAL",
            Self::Float => "FLOAT REAL",
            Self::Bool => "BOOL BLOB",
            Self::Date => "DATE BLOB",
            Self::Time => "TIME BLOB",
            Self::Timestamp => "TIMESTAMP BLOB",
            Self::Timestamptz => "TIMESTAMPTZ BLOB",
            Self::Uuid => "UUID BLOB",
            Self::Json => "JSON BLOB",
        }
    }

    /// The storage of a result column that comes straight from a column of this type.
    pub(super) fn of_result(declared_type: Option<&str>) -> Self {
        let of_type = |name: &str| Self::ALL.into_iter().find(|one| one.sql() == name);
        declared_type.and_then(of_type).unwrap_or(Self::Any)
    }

    /// Appends the value that a stored one stands for. Returns `false` if it stands for itself, as one that a statement wrote may do.
    pub(super) fn encode_original(self, to: &mut Vec<u8>, stored: ValueRef<'_>) -> bool {
        if let (Self::Json, ValueRef::Text(bytes)) = (self, stored) {
            return core::str::from_utf8(bytes).is_ok_and(|text| encode_json(to, text));
        }
        let value = self.value(stored);
        if let Some(value) = &value {
            to.extend_from_slice(&cbor::encode(value));
        }
        value.is_some()
    }

    /// The value that a stored one of any column but JSON stands for.
    fn value(self, stored: ValueRef<'_>) -> Option<Value> {
        match (self, stored) {
            (Self::Decimal, ValueRef::Real(number)) => {
                Exact::from_float(number).map(|exact| Value::Decimal(exact.to_decimal()))
            }
            (Self::Bool, ValueRef::Integer(number @ (0 | 1))) => Some(Value::Bool(number == 1)),
            (_, ValueRef::Text(bytes)) => self.text_value(core::str::from_utf8(bytes).ok()?),
            _ => None,
        }
    }

    fn text_value(self, text: &str) -> Option<Value> {
        let owned = || text.to_owned();
        match self {
            Self::Date => parse_date(text).map(|_| Value::Date(owned())),
            Self::Time => parse_time(text).map(|_| Value::Time(owned())),
            Self::Timestamp => parse_local(text).map(|_| Value::DateTime(owned())),
            Self::Timestamptz => parse_zoned(text).map(|_| Value::DateTime(owned())),
            Self::Uuid => text.parse().ok().map(Value::Uuid),
            Self::Json | Self::Any | Self::Decimal | Self::Float | Self::Bool => None,
        }
    }
}
