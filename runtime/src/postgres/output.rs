//! Converts result rows to CBOR.
//!
//! PostgreSQL sends every value as text, written by the type's output function, so every type is supported, alone or in an
//! array. Types that correspond to a kind of value are parsed; all others stay texts.

use bue_model::cbor;
use bue_model::{Decimal, Value};
use bue_sql::json::{MAX_NUMBER_CHARS, parse_json};
use minicbor::Encoder;
use tokio_postgres::types::{Kind as TypeKind, Type};

use super::array;

/// Executed before the last statement, so that its values have one known form. The order of day and month in a date's
/// *input* stays as the script set it.
pub(super) const OUTPUT_SETTINGS: &str =
    "SET LOCAL datestyle = 'ISO'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1";

/// The kind of value that a column's texts become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Bool,
    Int,
    Float,
    Decimal,
    Bytes,
    Uuid,
    Date,
    Time,
    DateTime,
    Json,
    List(Box<ColumnKind>),
    Text,
}

impl ColumnKind {
    pub(super) fn from_type(column: &Type) -> Self {
        match *column {
            Type::BOOL => Self::Bool,
            Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => Self::Int,
            Type::FLOAT4 | Type::FLOAT8 => Self::Float,
            Type::NUMERIC => Self::Decimal,
            Type::BYTEA => Self::Bytes,
            Type::UUID => Self::Uuid,
            Type::DATE => Self::Date,
            Type::TIME | Type::TIMETZ => Self::Time,
            Type::TIMESTAMP | Type::TIMESTAMPTZ => Self::DateTime,
            Type::JSON | Type::JSONB => Self::Json,
            // their text form has no braces, or another separator
            Type::INT2_VECTOR | Type::OID_VECTOR | Type::BOX_ARRAY => Self::Text,
            _ => match column.kind() {
                TypeKind::Array(element) => Self::List(Box::new(Self::from_type(element))),
                TypeKind::Domain(base) => Self::from_type(base),
                _ => Self::Text,
            },
        }
    }

    /// Converts a text. One without a counterpart (`infinity`, a year BC) stays a text.
    fn value(&self, text: &str) -> Value {
        self.parse(text).unwrap_or_else(|| Value::Text(text.to_owned()))
    }

    fn parse(&self, text: &str) -> Option<Value> {
        match self {
            Self::Bool => Some(Value::Bool(text == "t")),
            Self::Int => text.parse().ok().map(Value::Int),
            Self::Float => text.parse().ok().map(Value::Float),
            Self::Decimal => decimal(text),
            Self::Bytes => text.strip_prefix("\\x").and_then(bytes).map(Value::Bytes),
            Self::Uuid => text.parse().ok().map(Value::Uuid),
            Self::Date => is_date(text).then(|| Value::Date(text.to_owned())),
            Self::Time => Some(Value::Time(with_offset_minutes(text, 0))),
            Self::DateTime => datetime(text).map(Value::DateTime),
            Self::Json => parse_json(text),
            Self::List(element) => array::parse(text, &|item| element.value(item)),
            Self::Text => None,
        }
    }

    /// Appends a value. Texts are written without an intermediate [`Value`].
    fn encode(&self, to: &mut Vec<u8>, text: &str) {
        if *self == Self::Text {
            let written = Encoder::new(to).str(text).is_ok();
            debug_assert!(written, "a Vec takes everything");
        } else {
            to.extend_from_slice(&cbor::encode(&self.value(text)));
        }
    }
}

/// Appends a row.
pub(super) fn encode_row<'r>(
    to: &mut Vec<u8>,
    columns: &[(String, ColumnKind)],
    cell: impl Fn(usize) -> Option<&'r str>,
) {
    let written = Encoder::new(&mut *to).map(columns.len() as u64).is_ok();
    debug_assert!(written, "a Vec takes everything");
    for (index, (name, kind)) in columns.iter().enumerate() {
        let written = Encoder::new(&mut *to).str(name).is_ok();
        debug_assert!(written, "a Vec takes everything");
        match cell(index) {
            Some(text) => kind.encode(to, text),
            None => to.extend_from_slice(NULL),
        }
    }
}

/// CBOR null.
const NULL: &[u8] = &[0xf6];

fn decimal(text: &str) -> Option<Value> {
    if let "NaN" | "Infinity" | "-Infinity" = text {
        return text.parse().ok().map(Value::Float);
    }
    if text.len() > MAX_NUMBER_CHARS {
        return None;
    }
    let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent = -i64::try_from(fraction).ok()?;
    Some(Value::Decimal(Decimal { mantissa: text.replacen('.', "", 1).parse().ok()?, exponent }))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?)).collect()
}

fn is_date(text: &str) -> bool {
    bue_sql::time::parse_date(text).is_some()
}

/// Converts `2026-09-30 12:00:00.5+02` to ISO 8601.
fn datetime(text: &str) -> Option<String> {
    let (day, time) = text.split_once(' ')?;
    (is_date(day) && !time.contains(' ')).then(|| with_offset_minutes(&format!("{day}T{time}"), day.len()))
}

/// Adds the minutes of an offset, which PostgreSQL leaves out if they are zero.
fn with_offset_minutes(text: &str, day: usize) -> String {
    let offset = text.get(day..).and_then(|time| time.find(['+', '-'])).map(|sign| text.len() - day - sign);
    if offset == Some(3) { format!("{text}:00") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_without_a_counterpart_stay_texts() {
        for (kind, text) in [
            (ColumnKind::Date, "infinity"),
            (ColumnKind::Date, "0044-03-15 BC"),
            (ColumnKind::DateTime, "infinity"),
            (ColumnKind::DateTime, "0044-03-15 12:00:00+00 BC"),
            (ColumnKind::DateTime, "10000-01-01 00:00:00"),
            (ColumnKind::Json, "1e99999999999999999999"),
            (ColumnKind::Bytes, "\\x1"),
            (ColumnKind::Bytes, "\\xgg"),
            (ColumnKind::List(Box::new(ColumnKind::Int)), "1 2"),
        ] {
            assert_eq!(kind.value(text), Value::Text(text.to_owned()));
        }
        let long = "9".repeat(MAX_NUMBER_CHARS + 1);
        assert_eq!(ColumnKind::Decimal.value(&long), Value::Text(long));
        let deep = ["[".repeat(127), "]".repeat(127)].concat();
        assert!(matches!(ColumnKind::Json.value(&deep), Value::Text(_)));
    }

    #[test]
    fn offsets_get_their_minutes() {
        for (text, expected) in [
            ("2026-09-30 12:00:00", "2026-09-30T12:00:00"),
            ("2026-09-30 12:00:00.5+02", "2026-09-30T12:00:00.5+02:00"),
            ("2026-09-30 12:00:00-05:30", "2026-09-30T12:00:00-05:30"),
        ] {
            assert_eq!(ColumnKind::DateTime.value(text), Value::DateTime(expected.to_owned()));
        }
        assert_eq!(ColumnKind::Time.value("12:00:00+02"), Value::Time("12:00:00+02:00".to_owned()));
    }
}
