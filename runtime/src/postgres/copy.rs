//! Rows in the binary format of COPY.

use bue_model::Value;
use bue_model::cbor::Item;
use bue_sql::item::to_value;
use bue_sql::json::json_text;
use bue_sql::time;

use super::columns::ColumnType;
use super::numeric;

/// The header: a signature, flags, and no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The trailer.
pub(super) const TRAILER: &[u8] = &[0xff, 0xff];

/// The version of jsonb's binary form.
const JSONB_VERSION: u8 = 1;

/// A value that its column cannot hold.
pub(super) struct CellError {
    /// The column's position.
    pub(super) column: usize,
    pub(super) reason: String,
}

/// Appends a row with one cell per column.
pub(super) fn encode_row(to: &mut Vec<u8>, cells: &[Item<'_>], types: &[ColumnType]) -> Result<(), CellError> {
    let too_many = |_| CellError { column: types.len(), reason: "PostgreSQL allows fewer columns".to_owned() };
    let count = i16::try_from(types.len()).map_err(too_many)?;
    to.extend_from_slice(&count.to_be_bytes());
    cells.iter().zip(types).enumerate().try_for_each(|(column, (cell, column_type))| {
        encode_cell(to, cell, *column_type).map_err(|reason| CellError { column, reason })
    })
}

/// Appends a length and as many bytes; the length is -1 for null.
fn encode_cell(to: &mut Vec<u8>, cell: &Item<'_>, column: ColumnType) -> Result<(), String> {
    if *cell == Item::Null {
        to.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    encode_item(to, cell, column)?;
    let len = i32::try_from(to.len() - start - 4).map_err(|_| "a value is longer than 2 GiB".to_owned())?;
    if let Some(head) = to.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        *head = len.to_be_bytes();
    }
    Ok(())
}

/// Appends the most frequent kinds of values without copying them.
fn encode_item(to: &mut Vec<u8>, item: &Item<'_>, column: ColumnType) -> Result<(), String> {
    match (column, item) {
        (ColumnType::Bigint, Item::Int(number)) => to.extend_from_slice(&number.to_be_bytes()),
        (ColumnType::Double, Item::Float(number)) => to.extend_from_slice(&number.to_be_bytes()),
        (ColumnType::Text, Item::Text(text)) => to.extend_from_slice(without_nul(text)?.as_bytes()),
        (ColumnType::Bytea, Item::Bytes(bytes)) => to.extend_from_slice(bytes),
        (_, Item::Other(value)) => return encode_value(to, value, column),
        (_, item) => return encode_value(to, &to_value(item), column),
    }
    Ok(())
}

/// Appends a value. The column's type was chosen so that it fits.
fn encode_value(to: &mut Vec<u8>, value: &Value, column: ColumnType) -> Result<(), String> {
    match (column, value) {
        (ColumnType::Boolean, Value::Bool(truth)) => to.push(u8::from(*truth)),
        (ColumnType::Bigint, Value::Int(number)) => to.extend_from_slice(&number.to_be_bytes()),
        (ColumnType::Bigint, Value::Bool(truth)) => to.extend_from_slice(&i64::from(*truth).to_be_bytes()),
        (ColumnType::Double, value) => to.extend_from_slice(&float(value)?.to_be_bytes()),
        (ColumnType::Numeric, value) => to.extend_from_slice(&numeric(value)?),
        (ColumnType::Date, Value::Date(text)) => to.extend_from_slice(&valid(time::parse_date(text))?.to_be_bytes()),
        (ColumnType::Time, Value::Time(text)) => to.extend_from_slice(&valid(time::parse_time(text))?.to_be_bytes()),
        (ColumnType::Timetz, Value::Time(text)) => {
            let (micros, seconds_west) = valid(time::parse_zoned_time(text))?;
            to.extend_from_slice(&micros.to_be_bytes());
            to.extend_from_slice(&seconds_west.to_be_bytes());
        }
        (ColumnType::Timestamp, Value::DateTime(text)) => {
            to.extend_from_slice(&valid(time::parse_local(text))?.to_be_bytes());
        }
        (ColumnType::Timestamp, Value::Date(text)) => {
            to.extend_from_slice(&valid(time::parse_local(&format!("{text}T00:00")))?.to_be_bytes());
        }
        (ColumnType::Timestamptz, Value::DateTime(text)) => {
            to.extend_from_slice(&valid(time::parse_zoned(text))?.to_be_bytes());
        }
        (ColumnType::Uuid, Value::Uuid(uuid)) => to.extend_from_slice(uuid.as_bytes()),
        (ColumnType::Bytea, Value::Bytes(bytes)) => to.extend_from_slice(bytes),
        (ColumnType::Jsonb, value) => {
            to.push(JSONB_VERSION);
            to.extend_from_slice(json_text(value)?.as_bytes());
        }
        (ColumnType::Text, Value::Text(text)) => to.extend_from_slice(without_nul(text)?.as_bytes()),
        (column, value) => return Err(format!("{} is not a {}", value.kind(), column.sql())),
    }
    Ok(())
}

fn valid<T>(value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| "a date or time is invalid".to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "integers that would lose anything make the column numeric")]
fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        other => Err(format!("{} is not a double precision number", other.kind())),
    }
}

fn numeric(value: &Value) -> Result<Vec<u8>, String> {
    let digits = match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Int(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        // the shortest digits that parse to this float
        Value::Float(number) => number.to_string(),
        Value::Decimal(decimal) => numeric::to_digits(decimal),
        other => return Err(format!("{} is not a numeric", other.kind())),
    };
    numeric::to_binary(&digits).ok_or_else(|| format!("{} is not a numeric", value.kind()))
}

fn without_nul(text: &str) -> Result<&str, String> {
    match text.contains('\0') {
        true => Err("the text contains a NUL character, which PostgreSQL's text cannot hold; send bytes".to_owned()),
        false => Ok(text),
    }
}
