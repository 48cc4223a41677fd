//! Which columns a table has, and of which types: the smallest that holds all of a column's values.

use bue_model::cbor::Item;
use bue_model::{Decimal, Value};

use super::{numeric, time};
use crate::sql::rows::{Columns as RowColumns, Naming, Rows};
use crate::sql::rows_error::RowsError;
use crate::sql::table::Shape;

/// Bytes of a name; PostgreSQL cuts what is longer, so that two names could become one.
const NAME: usize = 63;

/// Integers up to here are floats without a loss.
const FLOAT_EXACT: u64 = 1 << 53;

/// Names that differ in case are two.
const NAMING: Naming = Naming { check: |name| check_name(name, "key"), fold: str::to_owned };

/// Types of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Boolean,
    Bigint,
    Numeric,
    Double,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
    Bytea,
    Jsonb,
    Text,
}

impl ColumnType {
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Bigint => "bigint",
            Self::Numeric => "numeric",
            Self::Double => "double precision",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Jsonb => "jsonb",
            Self::Text => "text",
        }
    }
}

/// The kinds of values that a column holds, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    const BOOL: Self = Self(1);
    const INT: Self = Self(1 << 1);
    /// An integer that a float would round.
    const LONG_INT: Self = Self(1 << 2);
    const NUMERIC: Self = Self(1 << 3);
    const FLOAT: Self = Self(1 << 4);
    const DATE: Self = Self(1 << 5);
    const TIME: Self = Self(1 << 6);
    const LOCAL: Self = Self(1 << 7);
    const ZONED: Self = Self(1 << 8);
    const UUID: Self = Self(1 << 9);
    const BYTES: Self = Self(1 << 10);
    const TEXT: Self = Self(1 << 11);
    /// A list or a map.
    const TREE: Self = Self(1 << 12);
    /// Has no type but text: a date that is none, a decimal out of bounds.
    const OTHER: Self = Self(1 << 13);

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn of(item: &Item<'_>) -> Self {
        match item {
            Item::Null => Self::default(),
            Item::Bool(_) => Self::BOOL,
            Item::Int(number) => Self::of_int(*number),
            Item::Float(_) => Self::FLOAT,
            Item::Text(_) => Self::TEXT,
            Item::Bytes(_) => Self::BYTES,
            Item::Other(value) => Self::of_value(value),
        }
    }

    const fn of_int(number: i64) -> Self {
        if number.unsigned_abs() > FLOAT_EXACT { Self::LONG_INT } else { Self::INT }
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::default(),
            Value::Bool(_) => Self::BOOL,
            Value::Int(number) => Self::of_int(*number),
            Value::BigInt(number) => {
                Self::if_fits(numeric::fits(&Decimal { mantissa: number.clone(), exponent: 0 }), Self::NUMERIC)
            }
            Value::Decimal(decimal) => Self::if_fits(numeric::fits(decimal), Self::NUMERIC),
            Value::Float(_) => Self::FLOAT,
            Value::Text(_) => Self::TEXT,
            Value::Bytes(_) => Self::BYTES,
            Value::Uuid(_) => Self::UUID,
            Value::Date(text) => Self::if_fits(time::date(text).is_some(), Self::DATE),
            Value::Time(text) => Self::if_fits(time::time(text).is_some(), Self::TIME),
            Value::DateTime(text) if time::local(text).is_some() => Self::LOCAL,
            Value::DateTime(text) => Self::if_fits(time::zoned(text).is_some(), Self::ZONED),
            Value::List(_) | Value::Map(_) => Self::TREE,
        }
    }

    const fn if_fits(fits: bool, kind: Self) -> Self {
        if fits { kind } else { Self::OTHER }
    }

    /// The smallest type that holds them all. Truth is a number among numbers, a date a midnight among times of day.
    pub(super) const fn column_type(self) -> ColumnType {
        let small = Self::BOOL.with(Self::INT);
        let json = small.with(Self::LONG_INT).with(Self::FLOAT).with(Self::TEXT).with(Self::TREE);
        let numeric = small.with(Self::LONG_INT).with(Self::NUMERIC).with(Self::FLOAT);
        match self {
            kinds if kinds.within(Self::BOOL) => ColumnType::Boolean,
            kinds if kinds.within(small.with(Self::LONG_INT)) => ColumnType::Bigint,
            kinds if kinds.within(small.with(Self::FLOAT)) => ColumnType::Double,
            kinds if kinds.within(numeric) => ColumnType::Numeric,
            kinds if kinds.within(Self::DATE) => ColumnType::Date,
            kinds if kinds.within(Self::TIME) => ColumnType::Time,
            kinds if kinds.within(Self::DATE.with(Self::LOCAL)) => ColumnType::Timestamp,
            kinds if kinds.within(Self::ZONED) => ColumnType::Timestamptz,
            kinds if kinds.within(Self::UUID) => ColumnType::Uuid,
            kinds if kinds.within(Self::BYTES) => ColumnType::Bytea,
            kinds if kinds.has(Self::TREE) && kinds.within(json) => ColumnType::Jsonb,
            _ => ColumnType::Text,
        }
    }
}

/// Columns and their types.
pub(super) struct Columns {
    pub(super) keys: RowColumns,
    kinds: Vec<Kinds>,
}

impl Columns {
    /// Looks at all rows.
    pub(super) fn of(rows: &Rows<'_>) -> Result<(Self, Shape), RowsError> {
        let mut columns = Self { keys: RowColumns::new(NAMING), kinds: Vec::new() };
        let kinds = &mut columns.kinds;
        let count = rows.each(&mut columns.keys, |cells| note(kinds, cells))?;
        let shape = rows.shape(&columns.keys, count);
        Ok((columns, shape))
    }

    /// Names and types, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        self.keys.names().iter().map(String::as_str).zip(self.kinds.iter().map(|kinds| kinds.column_type()))
    }

    pub(super) fn types(&self) -> Vec<ColumnType> {
        self.kinds.iter().map(|kinds| kinds.column_type()).collect()
    }
}

/// Notes what stands in the columns of a row.
fn note(kinds: &mut Vec<Kinds>, cells: &[Item<'_>]) -> Result<(), RowsError> {
    kinds.resize(cells.len().max(kinds.len()), Kinds::default());
    for (kinds, cell) in kinds.iter_mut().zip(cells) {
        if let Item::Other(value) = cell {
            check_integers(value).map_err(RowsError::Unfit)?;
        }
        *kinds = kinds.with(Kinds::of(cell));
    }
    Ok(())
}

/// PostgreSQL would refuse these names, or cut them.
pub(super) fn check_name(name: &str, what: &str) -> Result<(), String> {
    match name {
        "" => Err(format!("a {what} is empty, and PostgreSQL's names are not; rename it")),
        name if name.contains('\0') => {
            Err(format!("the {what} {name:?} has a zero character, which PostgreSQL cannot name"))
        }
        name if name.len() > NAME => Err(format!(
            "the {what} {name:?} has {} bytes, and PostgreSQL's names have at most {NAME}; shorten it",
            name.len()
        )),
        _ => Ok(()),
    }
}

/// Writing a huge number as decimal digits would take minutes.
fn check_integers(value: &Value) -> Result<(), String> {
    let bits = match value {
        Value::BigInt(number) => number.bits(),
        Value::Decimal(decimal) => decimal.mantissa.bits(),
        Value::List(items) => return items.iter().try_for_each(check_integers),
        Value::Map(entries) => {
            return entries.iter().try_for_each(|(key, value)| {
                check_integers(key)?;
                check_integers(value)
            });
        }
        _ => 0,
    };
    if bits > numeric::BITS { Err(format!("a number of {bits} bits is more than PostgreSQL can hold")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use bue_model::cbor;

    use super::*;

    fn int(number: i64) -> Value {
        Value::Int(number)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn columns(row: &[(Value, Value)]) -> Result<Columns, RowsError> {
        let input = cbor::encode(&Value::Map(row.to_vec()));
        Ok(Columns::of(&Rows::of(&input)?)?.0)
    }

    fn type_of(values: &[Value]) -> ColumnType {
        let rows = values.iter().map(|value| Value::Map(vec![(text("x"), value.clone())]));
        let input = cbor::encode(&Value::List(rows.collect()));
        let columns = Columns::of(&Rows::of(&input).expect("rows")).expect("columns").0;
        columns.types().first().copied().unwrap_or(ColumnType::Boolean)
    }

    #[test]
    fn the_smallest_type_that_fits_is_taken() {
        use ColumnType as T;
        let huge = || cbor::decode(&[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]).expect("2^64");
        let date = || Value::Date("2026-09-30".into());
        let local = || Value::DateTime("2026-09-30T12:00:00".into());
        let zoned = || Value::DateTime("2026-09-30T12:00:00Z".into());
        let decimal = |exponent| Value::Decimal(Decimal { mantissa: 15.into(), exponent });
        for (values, expected) in [
            (vec![], T::Boolean),
            (vec![Value::Null], T::Boolean),
            (vec![Value::Bool(true), Value::Null], T::Boolean),
            (vec![int(i64::MIN), Value::Null], T::Bigint),
            (vec![int(1), Value::Bool(true)], T::Bigint),
            (vec![int(1), Value::Float(0.5)], T::Double),
            (vec![int((1 << 53) + 1), Value::Float(0.5)], T::Numeric),
            (vec![int(1), huge()], T::Numeric),
            (vec![decimal(-1), Value::Float(0.5)], T::Numeric),
            (vec![decimal(i64::MAX)], T::Text),
            (vec![date()], T::Date),
            (vec![date(), local()], T::Timestamp),
            (vec![zoned()], T::Timestamptz),
            (vec![local(), zoned()], T::Text),
            (vec![Value::Date("soon".into())], T::Text),
            (vec![Value::Time("12:00:00".into())], T::Time),
            (vec![Value::Time("12:00:00+01:00".into())], T::Text),
            (vec![Value::Uuid(uuid::Uuid::nil())], T::Uuid),
            (vec![Value::Bytes(vec![0])], T::Bytea),
            (vec![Value::List(vec![])], T::Jsonb),
            (vec![Value::Map(vec![]), text("x"), int(1)], T::Jsonb),
            (vec![Value::List(vec![]), date()], T::Text),
            (vec![text("x")], T::Text),
            (vec![text("x"), int(1)], T::Text),
            (vec![Value::Bytes(vec![0]), text("x")], T::Text),
        ] {
            assert_eq!(type_of(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn names_that_postgres_would_change_are_refused() {
        for name in ["", "a\0b", &"x".repeat(64), &"é".repeat(32)] {
            assert!(columns(&[(text(name), int(1))]).is_err(), "{name:?}");
        }
        let row = [(text("a"), int(1)), (text("A"), int(2)), (text(&"x".repeat(63)), int(3)), (int(7), int(4))];
        assert_eq!(columns(&row).expect("names").iter().count(), 4, "names that differ in case are two");
    }

    #[test]
    fn a_number_too_long_to_be_written_is_refused() {
        let mut bytes = vec![0xc2, 0x5a, 0, 1, 0, 0];
        bytes.resize(6 + 65_536, 0xff);
        assert!(columns(&[(text("a"), Value::List(vec![cbor::decode(&bytes).expect("a number")]))]).is_err());
    }
}
