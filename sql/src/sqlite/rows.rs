//! Creates a table from each input.

use bue_model::cbor::Item;
use bue_model::{SqlColumn, SqlTable, SqlType};
use rusqlite::Connection;

use super::chunks::{ChunkedRows, Input};
use super::column::Column;
use super::error::{InputError, InputProblem};
use super::host::Host;
use super::storage::{ColumnKinds, Storage};
use crate::rows::{Columns, Naming};
use crate::table::{Shape, Table, quoted, table_name};

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
pub(super) fn fill(
    connection: &Connection,
    first: &SqlTable,
    input_lengths: &[u64],
    host: &mut dyn Host,
) -> Result<Tables, InputError> {
    let mut filled = Tables { tables: Vec::new(), have_decimals: false };
    for (index, (number, len)) in (0..).zip(input_lengths).enumerate() {
        let (name, input) = (table_name(&first.name, index), index + 1);
        let declared = first.columns.as_deref().filter(|_| index == 0);
        let rows = ChunkedRows::new(host, Input { index: number, len: *len }).map_err(InputProblem::from);
        let table = rows.and_then(|rows| match declared {
            Some(columns) => fill_declared(connection, &name, rows, columns),
            None => fill_table(connection, &name, rows),
        });
        let table = table.map_err(|problem| InputError { table: name.clone(), input, problem })?;
        filled.have_decimals |= table.has_decimals;
        filled.tables.push(Table { name, input, shape: table.shape });
    }
    Ok(filled)
}

struct FilledTable {
    shape: Shape,
    has_decimals: bool,
}

/// Creates a table with the columns that the script declares, and checks the rows against them.
fn fill_declared(
    connection: &Connection,
    table: &str,
    mut rows: ChunkedRows<'_>,
    declared: &[SqlColumn],
) -> Result<FilledTable, InputProblem> {
    let mut columns = Columns::declared(NAMING, declared.iter().map(|column| column.name.as_str()))?;
    Insertion { connection, table, rows: &mut rows, types: Types::Declared(declared) }.run(&mut columns)?;
    // it has its columns, whatever the input was
    let has_decimals = declared.iter().any(|column| column.column_type == SqlType::Decimal);
    Ok(FilledTable { shape: Shape::Rows, has_decimals })
}

/// Rows usually have the same keys and only values that SQLite has, so this begins with the columns of the first row, without
/// types. If another row has more columns, or if a value may need a type, it starts again with the columns and types of all
/// rows.
fn fill_table(connection: &Connection, table: &str, mut rows: ChunkedRows<'_>) -> Result<FilledTable, InputProblem> {
    let mut columns = rows.first_columns(NAMING)?;
    match (Insertion { connection, table, rows: &mut rows, types: Types::Unknown }).run(&mut columns) {
        Err(InputProblem::StartAgain) => {
            connection.execute_batch(&format!("ROLLBACK; DROP TABLE {}", quoted(table)))?;
            let (mut columns, kinds) = columns_and_kinds(&mut rows)?;
            let types = Types::Known(&kinds);
            let count = Insertion { connection, table, rows: &mut rows, types }.run(&mut columns)?;
            let has_decimals = kinds.iter().any(|kinds| kinds.has_decimals());
            Ok(FilledTable { shape: rows.shape(&columns, count), has_decimals })
        }
        inserted => Ok(FilledTable { shape: rows.shape(&columns, inserted?), has_decimals: false }),
    }
}

/// Reads all rows for their columns and for what these hold.
fn columns_and_kinds(rows: &mut ChunkedRows<'_>) -> Result<(Columns, Vec<ColumnKinds>), InputProblem> {
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
struct Insertion<'a, 'h> {
    connection: &'a Connection,
    table: &'a str,
    rows: &'a mut ChunkedRows<'h>,
    types: Types<'a>,
}

/// The types of the columns.
#[derive(Clone, Copy)]
enum Types<'a> {
    /// Not known yet.
    Unknown,
    /// What the columns hold.
    Known(&'a [ColumnKinds]),
    /// What the script declares.
    Declared(&'a [SqlColumn]),
}

impl Types<'_> {
    fn column(self, index: usize) -> Column {
        let column = match self {
            Self::Unknown => None,
            Self::Known(kinds) => kinds.get(index).map(|kinds| Column::new(kinds.storage())),
            Self::Declared(columns) => columns.get(index).map(|column| Column::declared(column.column_type)),
        };
        column.unwrap_or(Column::new(Storage::Any))
    }

    /// Checks that a row fits the columns so far.
    fn check(self, cells: &[Item<'_>], column_count: usize) -> Result<(), InputProblem> {
        let is_typed = |cells: &[Item<'_>]| cells.iter().any(ColumnKinds::needs_type);
        match cells.len() > column_count || (matches!(self, Self::Unknown) && is_typed(cells)) {
            true => Err(InputProblem::StartAgain),
            false => Ok(()),
        }
    }
}

impl Insertion<'_, '_> {
    /// Returns the number of rows.
    fn run(self, columns: &mut Columns) -> Result<u64, InputProblem> {
        let names: Vec<String> = columns.names().to_vec();
        let mut converters: Vec<Column> = (0..names.len()).map(|index| self.types.column(index)).collect();
        let table = quoted(self.table);
        self.connection.execute_batch(&format!("CREATE TABLE {table} ({})", definitions(&names, &converters)))?;
        let parameters = vec!["?"; names.len().max(1)].join(", ");
        let mut statement = self.connection.prepare(&format!("INSERT INTO {table} VALUES ({parameters})"))?;
        self.connection.execute_batch("BEGIN")?;
        let (mut row, types) = (0, self.types);
        let count = self.rows.each(columns, |cells| {
            row += 1;
            types.check(cells, names.len())?;
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
}

fn definitions(names: &[String], columns: &[Column]) -> String {
    let define = |(name, column): (&String, &Column)| format!("{} {}", quoted(name), column.storage().sql());
    match names {
        [] => quoted(NO_COLUMNS),
        names => names.iter().zip(columns).map(define).collect::<Vec<_>>().join(", "),
    }
}
