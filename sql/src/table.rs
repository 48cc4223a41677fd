//! Inputs as tables: their names, their columns' names, and messages for inputs that cannot be one.

use bue_model::{Failure, FailureKind, Json, Value};

/// Keys of a map that are named in a message at most.
const MAX_NAMED_KEYS: usize = 8;

/// A table that an input became.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The input's position, from 1.
    pub input: usize,
    /// What the input was.
    pub shape: Shape,
}

/// What the input was, which can explain why a query fails.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// A list of maps.
    Rows,
    /// A single map, with these keys.
    OneMap(Vec<String>),
    /// An empty list.
    Empty,
}

/// Returns the name of the table that input `index` becomes: the step's name for input 0, then `pipe1`, `pipe2`.
#[must_use]
pub fn table_name(first: &str, index: usize) -> String {
    if index == 0 { first.to_owned() } else { format!("pipe{index}") }
}

/// Returns a name as a quoted SQL identifier.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the name of a key's column: a text is used as it is, other keys become JSON.
#[must_use]
pub fn key_text(key: &Value) -> String {
    match key {
        Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => text.clone(),
        Value::Uuid(uuid) => uuid.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        other => serde_json::to_string(&Json(other)).unwrap_or_default(),
    }
}

/// Explains a missing column by an input that is not what the author expects.
#[must_use]
pub fn explain_missing_column(tables: &[Table]) -> Option<String> {
    tables.iter().find_map(|table| match &table.shape {
        Shape::Rows => None,
        Shape::Empty => Some(format!(
            "Table `{0}` has no columns of its own, because step input {1} is an empty list; declare them next to the table's \
             name, as in `{0}(id int, day date)`",
            table.name, table.input
        )),
        Shape::OneMap(keys) => {
            let got = format!("a map with the keys {}", key_list(keys));
            Some(needs_rows(&table.name, table.input, &got, "return the list itself"))
        }
    })
}

/// Returns the message for an input that is not a list of maps.
#[must_use]
pub fn needs_rows(table: &str, input: usize, got: &str, instead: &str) -> String {
    format!("needs rows (a list of maps) for table `{table}`, but step input {input} is {got}; {instead}")
}

/// The failure of an input whose rows cannot become a table.
#[must_use]
pub fn not_a_table(table: &str, input: usize, reason: &str) -> Failure {
    Failure::new(FailureKind::BadInput, format!("Step input {input} cannot become table `{table}`: {reason}"))
}

fn key_list(keys: &[String]) -> String {
    let named = keys.iter().take(MAX_NAMED_KEYS).cloned().collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(MAX_NAMED_KEYS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
