//! The tables of SQL steps, which a plan has as text.

use bue_model::{SqlTable, Step};

use crate::text::is_word_continue;

/// The table of a SQL step.
pub(super) fn table(step: &Step) -> Option<SqlTable> {
    step.language.has_table().then(|| SqlTable::from_text(&step.function))
}

/// The function of a step, or its table, as a script has it.
pub(super) fn function_text(step: &Step) -> String {
    let Some(SqlTable { name, columns: Some(columns) }) = table(step) else { return step.function.clone() };
    let columns: Vec<String> =
        columns.iter().map(|column| format!("{} {}", name_text(&column.name), column.column_type.name())).collect();
    format!("{name}({})", columns.join(", "))
}

/// The name of a column, in quotes unless it is a word.
fn name_text(name: &str) -> String {
    if name.chars().all(is_word_continue) { name.to_owned() } else { format!("\"{name}\"") }
}
