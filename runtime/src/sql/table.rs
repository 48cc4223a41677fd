//! Inputs as tables: their names, their columns' names, and what to say of an input that is none.

use bue_model::{Failure, FailureKind, Json, Value};

/// Keys of a map that are named in a message.
const NAMED_KEYS: usize = 8;

/// A table that an input became.
pub(crate) struct Table {
    pub(crate) name: String,
    /// Position of the input, from 1.
    pub(crate) input: usize,
    pub(crate) shape: Shape,
}

/// What the input was, where that explains a query that fails.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Rows,
    /// A single map, with these keys.
    OneMap(Vec<String>),
    /// An empty list.
    Empty,
}

/// The name of the table that an input becomes, counted from 0: the step's own for the first, then `pipe1`, `pipe2`.
pub(crate) fn table_name(first: &str, index: usize) -> String {
    if index == 0 { first.to_owned() } else { format!("pipe{index}") }
}

/// A name as SQL writes it whatever it holds.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A key as a column's name: texts are themselves, other keys are their JSON.
pub(crate) fn key_text(key: &Value) -> String {
    match key {
        Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => text.clone(),
        Value::Uuid(uuid) => uuid.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        other => serde_json::to_string(&Json(other)).unwrap_or_default(),
    }
}

/// Where a column is missing, the reason is often that an input is not what the author thinks.
pub(crate) fn unlike_rows(tables: &[Table]) -> Option<String> {
    tables.iter().find_map(|table| match &table.shape {
        Shape::Rows => None,
        Shape::Empty => Some(format!(
            "Table `{}` has no columns, because step input {} is an empty list and no row says which there are",
            table.name, table.input
        )),
        Shape::OneMap(keys) => {
            let got = format!("a map with the keys {}", key_list(keys));
            Some(needs_rows(&table.name, table.input, &got, "return the list itself"))
        }
    })
}

/// What to say of an input that is no table.
pub(crate) fn needs_rows(table: &str, input: usize, got: &str, instead: &str) -> String {
    format!("needs rows (a list of maps) for table `{table}`, but step input {input} is {got}; {instead}")
}

/// The failure of an input that is rows, and yet cannot be a table.
pub(crate) fn no_table(table: &str, input: usize, why: &str) -> Failure {
    Failure::new(FailureKind::BadInput, format!("Step input {input} cannot become table `{table}`: {why}"))
}

fn key_list(keys: &[String]) -> String {
    let named = keys.iter().take(NAMED_KEYS).cloned().collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(NAMED_KEYS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
