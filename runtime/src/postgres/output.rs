//! Converts result rows to CBOR.
//!
//! PostgreSQL sends every value as text, written by the type's output function, so every type is supported, alone or in an
//! array. Types that correspond to a kind of value are parsed; all others stay texts.

use bue_model::cbor;
use bue_model::{Decimal, Value};
use bue_sql::json::{MAX_NUMBER_CHARS, encode_json};
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

    /// Appends a value. One without a counterpart (`infinity`, a year BC) stays a text. Texts, lists and JSON, which may be large,
    /// are written without an intermediate [`Value`].
    fn encode(&self, to: &mut Vec<u8>, text: &str) {
        let begin = to.len();
        let is_converted = match self {
            Self::Json => encode_json(to, text),
            Self::List(element) => array::encode(to, text, &|to, item| element.encode(to, item)).is_some(),
            Self::Text => false,
            scalar => scalar.parse(text).map(|value| to.extend_from_slice(&cbor::encode(&value))).is_some(),
        };
        if !is_converted {
            to.truncate(begin);
            let written = Encoder::new(to).str(text).is_ok();
            debug_assert!(written, "a Vec takes everything");
        }
    }

    /// Converts the text of a single value; `None` if it has no counterpart.
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
            Self::Json | Self::List(_) | Self::Text => None,
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
            None => to.extend_from_slice(cbor::NULL),
        }
    }
}

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

    fn value(kind: &ColumnKind, text: &str) -> Value {
        let mut bytes = Vec::new();
        kind.encode(&mut bytes, text);
        cbor::decode(&bytes).expect("CBOR")
    }

    #[test]
    fn lists_are_encoded_in_place() {
        let kind = ColumnKind::List(Box::new(ColumnKind::Int));
        let row = Value::List(vec![Value::Int(1), Value::Null, Value::Text("x".to_owned())]);
        assert_eq!(value(&kind, "{1,NULL,x}"), row);
        let (nested, empty) = (Value::List(vec![row.clone(), row]), Value::List(vec![]));
        assert_eq!(value(&kind, "{{1,NULL,x},{1,NULL,x}}"), nested);
        assert_eq!(value(&kind, "{}"), empty);
        let text = format!("{{{}0}}", "0,".repeat(100_000));
        let mut bytes = Vec::new();
        kind.encode(&mut bytes, &text);
        assert_eq!(bytes.len(), 5 + 100_001, "a byte for each number");
        assert!(bytes.capacity() <= 2 * text.len(), "{} bytes", bytes.capacity());
    }

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
            assert_eq!(value(&kind, text), Value::Text(text.to_owned()));
        }
        let long = "9".repeat(MAX_NUMBER_CHARS + 1);
        assert_eq!(value(&ColumnKind::Decimal, &long), Value::Text(long));
        let deep = ["[".repeat(127), "]".repeat(127)].concat();
        assert!(matches!(value(&ColumnKind::Json, &deep), Value::Text(_)));
        let twice = r#"[1,{"a":1,"a":2}]"#;
        assert_eq!(value(&ColumnKind::Json, twice), Value::Text(twice.to_owned()));
    }

    #[test]
    fn offsets_get_their_minutes() {
        for (text, expected) in [
            ("2026-09-30 12:00:00", "2026-09-30T12:00:00"),
            ("2026-09-30 12:00:00.5+02", "2026-09-30T12:00:00.5+02:00"),
            ("2026-09-30 12:00:00-05:30", "2026-09-30T12:00:00-05:30"),
        ] {
            assert_eq!(value(&ColumnKind::DateTime, text), Value::DateTime(expected.to_owned()));
        }
        assert_eq!(value(&ColumnKind::Time, "12:00:00+02"), Value::Time("12:00:00+02:00".to_owned()));
    }
}
