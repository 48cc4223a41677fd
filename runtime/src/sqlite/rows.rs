//! Inputs become tables.

use std::collections::HashMap;

use bue_model::{Json, Value, cbor};
use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::failure::FillError;
use crate::sql::{Shape, Table, key_text, quoted, table_name};

/// The name of the only column of a table whose rows have none: SQLite knows no table without columns.
const NO_COLUMN: &str = "(no columns)";

/// Makes a table of each input: the first has the step's name for it, the others are `pipe1`, `pipe2` and so on.
pub(super) fn fill(connection: &Connection, first: &str, inputs: &[Bytes]) -> Result<Vec<Table>, FillError> {
    let mut tables = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let name = table_name(first, index);
        let shape = fill_one(connection, &name, index + 1, input)?;
        tables.push(Table { name, input: index + 1, shape });
    }
    Ok(tables)
}

type Row = Vec<(Value, Value)>;

fn fill_one(connection: &Connection, table: &str, input: usize, bytes: &Bytes) -> Result<Shape, FillError> {
    let value = cbor::decode(bytes).map_err(|error| FillError::Unreadable { input, error })?;
    let no_rows = |got: String| FillError::NoRows { table: table.to_owned(), input, got };
    let (rows, shape) = match value {
        Value::List(items) if items.is_empty() => (Vec::new(), Shape::Empty),
        Value::List(items) => (maps(items).map_err(no_rows)?, Shape::Rows),
        Value::Map(row) => {
            let keys = row.iter().map(|(key, _)| key_text(key)).collect();
            (vec![row], Shape::OneMap(keys))
        }
        other => return Err(no_rows(other.kind().to_owned())),
    };
    let columns = Columns::of(&rows).map_err(|why| FillError::Columns { table: table.to_owned(), input, why })?;
    let filled = insert(connection, table, &columns, rows);
    filled.map_err(|error| FillError::Sqlite { table: table.to_owned(), input, error })?;
    Ok(shape)
}

/// The maps of a list, or what it holds instead.
fn maps(items: Vec<Value>) -> Result<Vec<Row>, String> {
    let mut rows = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Value::Map(row) => rows.push(row),
            other => return Err(format!("a list whose element {index} is {}", other.kind())),
        }
    }
    Ok(rows)
}

/// The union of the rows' keys, in order of first appearance.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    /// Positions by name as SQLite compares names: without regard to case in ASCII.
    positions: HashMap<String, usize>,
}

impl Columns {
    fn of(rows: &[Row]) -> Result<Self, String> {
        let mut columns = Self::default();
        for row in rows {
            for (key, _) in row {
                columns.add(key)?;
            }
        }
        if columns.names.is_empty() {
            columns.names.push(NO_COLUMN.to_owned());
        }
        Ok(columns)
    }

    fn add(&mut self, key: &Value) -> Result<(), String> {
        // most keys are known: look before anything is copied
        if let Value::Text(text) = key
            && self.positions.contains_key(text)
        {
            return Ok(());
        }
        let name = key_text(key);
        if name.contains('\0') {
            return Err(format!("the key {name:?} has a zero character, which SQLite cannot name"));
        }
        let position = *self.positions.entry(name.to_ascii_lowercase()).or_insert(self.names.len());
        if position == self.names.len() {
            self.names.push(name.clone());
        }
        self.positions.insert(name, position);
        Ok(())
    }

    fn position(&self, key: &Value) -> Option<usize> {
        match key {
            Value::Text(text) => self.positions.get(text).copied(),
            other => self.positions.get(&key_text(other)).copied(),
        }
    }
}

fn insert(connection: &Connection, table: &str, columns: &Columns, rows: Vec<Row>) -> rusqlite::Result<()> {
    let names: Vec<String> = columns.names.iter().map(|name| quoted(name)).collect();
    let table = quoted(table);
    connection.execute_batch(&format!("CREATE TABLE {table} ({})", names.join(", ")))?;
    let places = vec!["?"; names.len()].join(", ");
    let mut statement = connection.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
    connection.execute_batch("BEGIN")?;
    for row in rows {
        let mut cells: Vec<Cell> = names.iter().map(|_| Cell(Value::Null)).collect();
        for (key, value) in row {
            if let Some(cell) = columns.position(&key).and_then(|position| cells.get_mut(position)) {
                *cell = Cell(value);
            }
        }
        statement.execute(params_from_iter(cells))?;
    }
    connection.execute_batch("COMMIT")
}

/// A value on its way into a column without a type, which keeps it as it is given.
struct Cell(Value);

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match &self.0 {
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
}

const fn text(text: String) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(SqlValue::Text(text))
}
