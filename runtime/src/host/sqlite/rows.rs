//! Creates a table from each input.

use bue_model::cbor::Item;
use bue_model::{Json, Value};
use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};

use super::error::{FillError, FillProblem};
use crate::sql::rows::{Columns, Naming, Rows};
use crate::sql::table::{Shape, Table, quoted, table_name};

/// The name of the only column of a table whose rows have none: a table in SQLite has at least one column.
const NO_COLUMNS: &str = "(no columns)";

/// SQLite compares names without regard to ASCII case.
const NAMING: Naming = Naming { check: check_name, fold: str::to_ascii_lowercase };

/// Creates a table from each input: the first has the step's name for it, the others are `pipe1`, `pipe2` and so on.
pub(super) fn fill(connection: &Connection, first: &str, inputs: &[Bytes]) -> Result<Vec<Table>, FillError> {
    let mut tables = Vec::new();
    for (index, bytes) in inputs.iter().enumerate() {
        let (name, input) = (table_name(first, index), index + 1);
        let shape = fill_table(connection, &name, bytes).map_err(|problem| FillError {
            table: name.clone(),
            input,
            problem,
        })?;
        tables.push(Table { name, input, shape });
    }
    Ok(tables)
}

/// Rows usually have the same keys, so this begins with the columns of the first row. If another row has more, it starts again
/// with the columns of all rows.
fn fill_table(connection: &Connection, table: &str, input: &[u8]) -> Result<Shape, FillProblem> {
    let rows = Rows::new(input)?;
    let mut columns = rows.first_columns(NAMING)?;
    match insert(connection, table, &rows, &mut columns) {
        Err(FillProblem::MoreColumns) => {
            connection.execute_batch(&format!("ROLLBACK; DROP TABLE {}", quoted(table)))?;
            let (mut columns, shape) = rows.columns(NAMING)?;
            insert(connection, table, &rows, &mut columns)?;
            Ok(shape)
        }
        inserted => Ok(rows.shape(&columns, inserted?)),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    match name.contains('\0') {
        true => Err(format!("the key {name:?} has a zero character, which SQLite cannot name")),
        false => Ok(()),
    }
}

/// Creates the table and returns the number of its rows.
fn insert(connection: &Connection, table: &str, rows: &Rows<'_>, columns: &mut Columns) -> Result<u64, FillProblem> {
    let mut names: Vec<String> = columns.names().iter().map(|name| quoted(name)).collect();
    let column_count = names.len();
    if names.is_empty() {
        names.push(quoted(NO_COLUMNS));
    }
    let table = quoted(table);
    connection.execute_batch(&format!("CREATE TABLE {table} ({})", names.join(", ")))?;
    let parameters = vec!["?"; names.len()].join(", ");
    let mut statement = connection.prepare(&format!("INSERT INTO {table} VALUES ({parameters})"))?;
    connection.execute_batch("BEGIN")?;
    let count = rows.each(columns, |cells| {
        if cells.len() > column_count {
            return Err(FillProblem::MoreColumns);
        }
        for (index, cell) in cells.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, Cell(cell))?;
        }
        statement.raw_execute()?;
        Ok(())
    })?;
    connection.execute_batch("COMMIT")?;
    Ok(count)
}

/// A value to insert. The columns have no type, so SQLite stores it unchanged.
struct Cell<'c>(&'c Item<'c>);

impl rusqlite::ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Item::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Item::Bool(truth) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*truth))),
            Item::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Item::Float(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
            Item::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Item::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Item::Other(value) => return value_to_sql(value),
        })
    }
}

fn value_to_sql(value: &Value) -> rusqlite::Result<ToSqlOutput<'_>> {
    Ok(match value {
        Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
        Value::Bool(truth) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*truth))),
        Value::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
        Value::Float(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
        Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => {
            ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
        }
        Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Value::BigInt(number) => text(number.to_string()),
        Value::Uuid(uuid) => text(uuid.to_string()),
        Value::Decimal(decimal) => text(decimal.to_string()),
        other @ (Value::List(_) | Value::Map(_)) => {
            let json = serde_json::to_string(&Json(other));
            text(json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?)
        }
    })
}

const fn text(text: String) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(SqlValue::Text(text))
}
