//! The columns of a table and their types: for each column the smallest type that holds all of its values.

use bue_model::cbor::Item;
use bue_model::{Decimal, SqlColumn, SqlType, Value};
use bue_sql::declared;
use bue_sql::rows::{Columns as RowColumns, Naming, Rows};
use bue_sql::rows_error::{RowsError, at_cell};
use bue_sql::table::Shape;
use bue_sql::time;

use super::numeric;

/// Bytes of a name at most. PostgreSQL truncates longer names, so that two names could become one.
const MAX_NAME_BYTES: usize = 63;

/// Names that differ in case are different names.
const NAMING: Naming = Naming { check: |name| check_name(name, "key"), fold: str::to_owned };

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Boolean,
    Bigint,
    Numeric,
    Double,
    Date,
    Time,
    Timetz,
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
            Self::Timetz => "timetz",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Jsonb => "jsonb",
            Self::Text => "text",
        }
    }

    /// The type of a declared column.
    pub(super) const fn declared(column_type: SqlType) -> Self {
        match column_type {
            SqlType::Bool => Self::Boolean,
            SqlType::Int => Self::Bigint,
            SqlType::Float => Self::Double,
            SqlType::Decimal => Self::Numeric,
            SqlType::Text => Self::Text,
            SqlType::Bytes => Self::Bytea,
            SqlType::Date => Self::Date,
            SqlType::Time => Self::Time,
            SqlType::Timestamp => Self::Timestamp,
            SqlType::Timestamptz => Self::Timestamptz,
            SqlType::Uuid => Self::Uuid,
            SqlType::Json => Self::Jsonb,
        }
    }
}

/// The set of kinds of values that a column holds.
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
    const NESTED: Self = Self(1 << 12);
    /// A time with an offset.
    const ZONED_TIME: Self = Self(1 << 13);
    /// Fits no type: an invalid date, a decimal out of range.
    const OTHER: Self = Self(1 << 14);

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// Adds a value.
    ///
    /// # Errors
    /// No type holds it, or none holds it together with the values before it so that they compare as what they are.
    fn add(&mut self, item: &Item<'_>) -> Result<(), String> {
        let kind = Self::from_item(item);
        if kind == Self::OTHER {
            return Err(unfit(item));
        }
        let together = self.with(kind);
        let is_mixed = together.has(Self::ZONED) && together.has(Self::LOCAL.with(Self::DATE))
            || together.has(Self::TIME) && together.has(Self::ZONED_TIME);
        if is_mixed {
            return Err(
                "some values of this column have an offset and some have none, so they cannot be compared; give all \
                        of them an offset, or none"
                    .to_owned(),
            );
        }
        *self = together;
        Ok(())
    }

    /// Why a value does not fit those before it, which are of these kinds.
    fn misfit(self, item: &Item<'_>) -> String {
        format!(
            "the value is {}, but those before it are {}, and no type holds both; convert them to one kind, or declare \
             the columns",
            item.kind(),
            self.column_type().map_or("of several kinds", ColumnType::sql)
        )
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn from_item(item: &Item<'_>) -> Self {
        match item {
            Item::Null => Self::default(),
            Item::Bool(_) => Self::BOOL,
            Item::Int(number) => Self::from_int(*number),
            Item::Float(_) => Self::FLOAT,
            Item::Text(_) => Self::TEXT,
            Item::Bytes(_) => Self::BYTES,
            Item::Other(value) => Self::from_value(value),
        }
    }

    const fn from_int(number: i64) -> Self {
        if number.unsigned_abs() > declared::MAX_EXACT_FLOAT { Self::LONG_INT } else { Self::INT }
    }

    fn from_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::default(),
            Value::Bool(_) => Self::BOOL,
            Value::Int(number) => Self::from_int(*number),
            Value::BigInt(number) => {
                Self::if_fits(numeric::fits(&Decimal { mantissa: number.clone(), exponent: 0 }), Self::NUMERIC)
            }
            Value::Decimal(decimal) => Self::if_fits(numeric::fits(decimal), Self::NUMERIC),
            Value::Float(_) => Self::FLOAT,
            Value::Text(_) => Self::TEXT,
            Value::Bytes(_) => Self::BYTES,
            Value::Uuid(_) => Self::UUID,
            Value::Date(text) => Self::if_fits(time::parse_date(text).is_some(), Self::DATE),
            Value::Time(text) if time::parse_time(text).is_some() => Self::TIME,
            Value::Time(text) => Self::if_fits(time::parse_zoned_time(text).is_some(), Self::ZONED_TIME),
            Value::DateTime(text) if time::parse_local(text).is_some() => Self::LOCAL,
            Value::DateTime(text) => Self::if_fits(time::parse_zoned(text).is_some(), Self::ZONED),
            Value::List(_) | Value::Map(_) => Self::NESTED,
        }
    }

    const fn if_fits(fits: bool, kind: Self) -> Self {
        if fits { kind } else { Self::OTHER }
    }

    /// Returns the smallest type that holds them all; `None` if there is none. Among numbers, a boolean is a number; among timestamps, a date is its
    /// midnight.
    pub(super) const fn column_type(self) -> Option<ColumnType> {
        let small = Self::BOOL.with(Self::INT);
        let json = small.with(Self::LONG_INT).with(Self::FLOAT).with(Self::TEXT).with(Self::NESTED);
        let numeric = small.with(Self::LONG_INT).with(Self::NUMERIC).with(Self::FLOAT);
        Some(match self {
            kinds if kinds.within(Self::BOOL) => ColumnType::Boolean,
            kinds if kinds.within(small.with(Self::LONG_INT)) => ColumnType::Bigint,
            kinds if kinds.within(small.with(Self::FLOAT)) => ColumnType::Double,
            kinds if kinds.within(numeric) => ColumnType::Numeric,
            kinds if kinds.within(Self::DATE) => ColumnType::Date,
            kinds if kinds.within(Self::TIME) => ColumnType::Time,
            kinds if kinds.within(Self::ZONED_TIME) => ColumnType::Timetz,
            kinds if kinds.within(Self::DATE.with(Self::LOCAL)) => ColumnType::Timestamp,
            kinds if kinds.within(Self::ZONED) => ColumnType::Timestamptz,
            kinds if kinds.within(Self::UUID) => ColumnType::Uuid,
            kinds if kinds.within(Self::BYTES) => ColumnType::Bytea,
            kinds if kinds.has(Self::NESTED) && kinds.within(json) => ColumnType::Jsonb,
            kinds if kinds.within(Self::TEXT) => ColumnType::Text,
            _ => return None,
        })
    }
}

/// What a column holds so far.
#[derive(Clone, Default)]
struct ColumnKinds {
    kinds: Kinds,
    /// The row of the first value that did not fit those before it, and why. A list behind it could still make it fit.
    misfit: Option<(u64, String)>,
}

impl ColumnKinds {
    fn add(&mut self, row: u64, item: &Item<'_>) -> Result<(), String> {
        let before = self.kinds;
        self.kinds.add(item)?;
        if self.misfit.is_none() && self.kinds.column_type().is_none() {
            self.misfit = Some((row, before.misfit(item)));
        }
        Ok(())
    }

    fn column_type(&self, name: &str) -> Result<ColumnType, RowsError> {
        self.kinds.column_type().ok_or_else(|| {
            let (row, reason) = self.misfit.clone().unwrap_or_default();
            RowsError::Unfit(at_cell(name, row, &reason))
        })
    }
}

fn unfit(item: &Item<'_>) -> String {
    let range = match item {
        Item::Other(value) => match &**value {
            Value::BigInt(_) | Value::Decimal(_) => "is out of the range of PostgreSQL's `numeric`",
            _ => "is none of the years 1 to 9999, to the microsecond",
        },
        _ => "does not fit",
    };
    format!("the value, {}, {range}; send it as text", item.kind())
}

/// Columns and their types.
pub(super) struct Columns {
    pub(super) keys: RowColumns,
    types: Vec<ColumnType>,
}

impl Columns {
    /// Reads all rows and determines their columns.
    pub(super) fn from_rows(rows: &Rows<'_>) -> Result<(Self, Shape), RowsError> {
        let (mut keys, mut kinds) = (RowColumns::new(NAMING), Vec::new());
        let count = each_cell(rows, &mut keys, |row, position, cell| {
            if position >= kinds.len() {
                kinds.resize(position + 1, ColumnKinds::default());
            }
            kinds.get_mut(position).map_or(Ok(()), |kinds: &mut ColumnKinds| kinds.add(row, cell))
        })?;
        kinds.resize(keys.names().len(), ColumnKinds::default());
        let shape = rows.shape(&keys, count);
        let types = keys.names().iter().zip(&kinds).map(|(name, kinds)| kinds.column_type(name));
        let types = types.collect::<Result<_, _>>()?;
        Ok((Self { keys, types }, shape))
    }

    /// The columns that the script declares, after all rows were checked.
    pub(super) fn declared(rows: &Rows<'_>, declared: &[SqlColumn]) -> Result<(Self, Shape), RowsError> {
        let mut keys = RowColumns::declared(NAMING, declared.iter().map(|column| column.name.as_str()))?;
        each_cell(rows, &mut keys, |_, position, cell| {
            let column = declared.get(position);
            column.map_or(Ok(()), |column| declared::check(cell, column.column_type))?;
            if Kinds::from_item(cell) == Kinds::OTHER { Err(unfit(cell)) } else { Ok(()) }
        })?;
        let types = declared.iter().map(|column| ColumnType::declared(column.column_type)).collect();
        // it has its columns, whatever the input was
        Ok((Self { keys, types }, Shape::Rows))
    }

    /// Returns names and types, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        self.keys.names().iter().map(String::as_str).zip(self.types.iter().copied())
    }

    pub(super) fn types(&self) -> Vec<ColumnType> {
        self.types.clone()
    }
}

/// Calls `take` with every cell, its row, from 1, and the position of its column. Returns the number of rows.
fn each_cell(
    rows: &Rows<'_>,
    keys: &mut RowColumns,
    mut take: impl FnMut(u64, usize, &Item<'_>) -> Result<(), String>,
) -> Result<u64, RowsError> {
    let (mut row, mut unfit) = (0, None);
    let count = rows.each(keys, |cells| {
        row += 1;
        for (position, cell) in cells.iter().enumerate() {
            let checked = match cell {
                Item::Other(value) => check_integers(value).and_then(|()| take(row, position, cell)),
                cell => take(row, position, cell),
            };
            if let Err(reason) = checked {
                unfit = Some((position, reason.clone()));
                return Err(RowsError::Unfit(reason));
            }
        }
        Ok(())
    });
    match unfit {
        Some((position, reason)) => {
            let name = keys.names().get(position).map_or("", String::as_str);
            Err(RowsError::Unfit(at_cell(name, row, &reason)))
        }
        None => count,
    }
}

/// Checks that PostgreSQL neither refuses nor truncates a name.
pub(super) fn check_name(name: &str, what: &str) -> Result<(), String> {
    match name {
        "" => Err(format!("a {what} is empty, which PostgreSQL does not allow; rename it")),
        name if name.contains('\0') => {
            Err(format!("the {what} {name:?} contains a NUL character, which PostgreSQL does not allow"))
        }
        name if name.len() > MAX_NAME_BYTES => Err(format!(
            "the {what} {name:?} has {} bytes, but a name in PostgreSQL has at most {MAX_NAME_BYTES}; shorten it",
            name.len()
        )),
        _ => Ok(()),
    }
}

/// Refuses huge numbers: writing one as decimal digits would take minutes.
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
    if bits > numeric::MAX_BITS {
        Err(format!("a number of {bits} bits is larger than PostgreSQL's `numeric` can be"))
    } else {
        Ok(())
    }
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
        Ok(Columns::from_rows(&Rows::new(&input)?)?.0)
    }

    fn type_of(values: &[Value]) -> ColumnType {
        let rows = values.iter().map(|value| Value::Map(vec![(text("x"), value.clone())]));
        let input = cbor::encode(&Value::List(rows.collect()));
        let columns = Columns::from_rows(&Rows::new(&input).expect("rows")).expect("columns").0;
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
            (vec![date()], T::Date),
            (vec![date(), local()], T::Timestamp),
            (vec![zoned()], T::Timestamptz),
            (vec![Value::Time("12:00:00".into())], T::Time),
            (vec![Value::Time("12:00:00+01:00".into())], T::Timetz),
            (vec![Value::Uuid(uuid::Uuid::nil())], T::Uuid),
            (vec![Value::Bytes(vec![0])], T::Bytea),
            (vec![Value::List(vec![])], T::Jsonb),
            (vec![Value::Map(vec![]), text("x"), int(1)], T::Jsonb),
            (vec![text("x")], T::Text),
            (vec![text("x"), int(1), Value::Null, Value::List(vec![])], T::Jsonb),
        ] {
            assert_eq!(type_of(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn values_that_no_type_holds_are_refused() {
        let local = || Value::DateTime("2026-09-30T12:00:00".into());
        let zoned = || Value::DateTime("2026-09-30T12:00:00Z".into());
        for (values, expected) in [
            (vec![Value::Decimal(Decimal { mantissa: 15.into(), exponent: i64::MAX })], "`numeric`"),
            (vec![Value::Date("soon".into())], "years 1 to 9999"),
            (vec![Value::Null, Value::DateTime("2026-09-30T12:00:00.1234567".into())], "row 2"),
            (
                vec![Value::Null, text("x"), int(1)],
                "row 3 (the first is row 1): the value is an int, but those before it are text",
            ),
            (vec![text("x"), Value::Bytes(vec![0])], "the value is bytes"),
            (vec![Value::Float(0.5), Value::Date("2026-09-30".into())], "the value is a date"),
            (vec![Value::Date("2026-09-30".into()), Value::List(vec![]), text("x")], "row 2"),
            (vec![local(), zoned()], "some values of this column have an offset"),
            (vec![Value::Date("2026-09-30".into()), zoned()], "some values of this column have an offset"),
            (
                vec![Value::Time("12:00".into()), Value::Time("12:00Z".into())],
                "some values of this column have an offset",
            ),
        ] {
            let rows = values.iter().map(|value| Value::Map(vec![(text("x"), value.clone())]));
            let input = cbor::encode(&Value::List(rows.collect()));
            match Columns::from_rows(&Rows::new(&input).expect("rows")) {
                Err(RowsError::Unfit(reason)) => {
                    assert!(reason.contains("column `x`, row ") && reason.contains(expected), "{reason}");
                }
                other => panic!("{values:?}: {:?}", other.map(|_| "columns")),
            }
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
