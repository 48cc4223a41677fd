//! Creates a table from each input.

use bue_model::Value;
use bue_model::cbor::Item;
use bytes::Bytes;
use rusqlite::Connection;

use super::column::{Column, ColumnKinds, Storage};
use super::error::{InputError, InputProblem};
use crate::sql::rows::{Columns, Naming, Rows};
use crate::sql::table::{Shape, Table, quoted, table_name};

/// The name of the only column of a table whose rows have none: a table in SQLite has at least one column.
pub(super) const NO_COLUMNS: &str = "(no columns)";

/// SQLite compares names without regard to ASCII case.
const NAMING: Naming = Naming { check: check_name, fold: str::to_ascii_lowercase };

/// The tables of a step.
pub(super) struct Tables {
    pub(super) tables: Vec<Table>,
    /// Does one of them hold a decimal?
    pub(super) have_decimals: bool,
}

/// Creates a table from each input: the first has the step's name for it, the others are `pipe1`, `pipe2` and so on.
pub(super) fn fill(connection: &Connection, first: &str, inputs: &[Bytes]) -> Result<Tables, InputError> {
    let mut filled = Tables { tables: Vec::new(), have_decimals: false };
    for (index, bytes) in inputs.iter().enumerate() {
        let (name, input) = (table_name(first, index), index + 1);
        let table = fill_table(connection, &name, bytes).map_err(|problem| InputError {
            table: name.clone(),
            input,
            problem,
        })?;
        filled.have_decimals |= table.has_decimals;
        filled.tables.push(Table { name, input, shape: table.shape });
    }
    Ok(filled)
}

struct FilledTable {
    shape: Shape,
    has_decimals: bool,
}

/// Rows usually have the same keys and no decimals, so this begins with the columns of the first row, without types. If another
/// row has more columns, or if there is a decimal, it starts again with the columns and types of all rows.
fn fill_table(connection: &Connection, table: &str, input: &[u8]) -> Result<FilledTable, InputProblem> {
    let rows = Rows::new(input)?;
    let mut columns = rows.first_columns(NAMING)?;
    match (Insertion { connection, table, rows: &rows, kinds: None }).run(&mut columns) {
        Err(InputProblem::StartAgain) => {
            connection.execute_batch(&format!("ROLLBACK; DROP TABLE {}", quoted(table)))?;
            let (mut columns, kinds) = columns_and_kinds(&rows)?;
            let count = Insertion { connection, table, rows: &rows, kinds: Some(&kinds) }.run(&mut columns)?;
            let has_decimals = kinds.iter().any(|kinds| kinds.has_decimals());
            Ok(FilledTable { shape: rows.shape(&columns, count), has_decimals })
        }
        inserted => Ok(FilledTable { shape: rows.shape(&columns, inserted?), has_decimals: false }),
    }
}

/// Reads all rows for their columns and for what these hold.
fn columns_and_kinds(rows: &Rows<'_>) -> Result<(Columns, Vec<ColumnKinds>), InputProblem> {
    let (mut columns, mut kinds) = (Columns::new(NAMING), Vec::new());
    rows.each(&mut columns, |cells| {
        kinds.resize(cells.len().max(kinds.len()), ColumnKinds::default());
        kinds.iter_mut().zip(cells).for_each(|(kinds, cell)| kinds.add(cell));
        Ok::<_, InputProblem>(())
    })?;
    Ok((columns, kinds))
}

fn check_name(name: &str) -> Result<(), String> {
    match name.contains('\0') {
        true => Err(format!("the key {name:?} has a zero character, which SQLite cannot name")),
        false => Ok(()),
    }
}

/// Creates a table and inserts the rows.
struct Insertion<'a, 'r> {
    connection: &'a Connection,
    table: &'a str,
    rows: &'a Rows<'r>,
    /// What the columns hold; `None` if that is not known yet.
    kinds: Option<&'a [ColumnKinds]>,
}

impl Insertion<'_, '_> {
    /// Returns the number of rows.
    fn run(&self, columns: &mut Columns) -> Result<u64, InputProblem> {
        let names: Vec<String> = columns.names().to_vec();
        let mut converters: Vec<Column> = (0..names.len()).map(|index| Column::new(self.storage(index))).collect();
        let table = quoted(self.table);
        self.connection.execute_batch(&format!("CREATE TABLE {table} ({})", self.definitions(&names)))?;
        let parameters = vec!["?"; names.len().max(1)].join(", ");
        let mut statement = self.connection.prepare(&format!("INSERT INTO {table} VALUES ({parameters})"))?;
        self.connection.execute_batch("BEGIN")?;
        let mut row = 0;
        let count = self.rows.each(columns, |cells| {
            row += 1;
            self.check_cells(cells, names.len())?;
            for (index, (cell, column)) in cells.iter().zip(&mut converters).enumerate() {
                let value = column.convert(cell);
                let name = || names.get(index).cloned().unwrap_or_default();
                let value = value.map_err(|reason| InputProblem::Value { column: name(), row, reason })?;
                statement.raw_bind_parameter(index + 1, value)?;
            }
            statement.raw_execute()?;
            Ok::<_, InputProblem>(())
        })?;
        self.connection.execute_batch("COMMIT")?;
        Ok(count)
    }

    fn storage(&self, index: usize) -> Storage {
        self.kinds.and_then(|kinds| kinds.get(index)).map_or(Storage::Any, |kinds| kinds.storage())
    }

    fn definitions(&self, names: &[String]) -> String {
        let define = |(index, name): (usize, &String)| format!("{} {}", quoted(name), self.storage(index).sql());
        match names {
            [] => quoted(NO_COLUMNS),
            names => names.iter().enumerate().map(define).collect::<Vec<_>>().join(", "),
        }
    }

    fn check_cells(&self, cells: &[Item<'_>], column_count: usize) -> Result<(), InputProblem> {
        let is_decimal = |cell: &Item<'_>| matches!(cell, Item::Other(value) if matches!(**value, Value::Decimal(_)));
        match cells.len() > column_count || (self.kinds.is_none() && cells.iter().any(is_decimal)) {
            true => Err(InputProblem::StartAgain),
            false => Ok(()),
        }
    }
}
