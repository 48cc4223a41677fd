//! Refuses steps whose input has the name of a table.
//!
//! An input is a temporary table, and PostgreSQL looks for a name among the temporary tables first. So `INSERT INTO sales` would
//! fill the input `sales`, which is dropped at the end, and not the table `sales`.

use bue_model::{Failure, FailureKind};
use bue_sql::text::SqlText;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::columns::check_name;
use super::failure::from_server_error;

/// Tables and views on the search path, except temporary ones.
const RELATIONS: &str = "SELECT c.relname, n.nspname FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.oid <> pg_catalog.pg_my_temp_schema() \
     AND n.nspname = ANY (pg_catalog.current_schemas(true)) AND c.relname IN ";

/// The rows that this transaction changed in a temporary table.
const CHANGES: &str = "SELECT c.relname, pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) \
     + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) \
     FROM pg_catalog.pg_class c WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relname IN ";

/// The names of a step's inputs.
pub(super) struct InputNames {
    names: Vec<String>,
}

/// A table that has the name of an input.
struct Shadowed {
    name: String,
    schema: String,
}

impl InputNames {
    /// Names that PostgreSQL cannot have are left out: creating the table fails.
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().filter(|name| check_name(name, "table's name").is_ok()).collect() }
    }

    /// Checks that no table on the search path has the name of an input that the statements use without a schema.
    pub(super) async fn check_names(&self, client: &Client, sql: &SqlText) -> Result<(), Failure> {
        for Shadowed { name, schema } in self.shadowed(client).await? {
            if let Some(at) = unqualified(&sql.text, &name) {
                let message = format!(
                    "`{name}` is both an input of this step and the table {schema}.{name}; name the input differently on \
                     the step's table line, or write pg_temp.{name} for the input and {schema}.{name} for the table"
                );
                return Err(sql.located(FailureKind::BadCode, &message, at));
            }
        }
        Ok(())
    }

    /// Returns how many rows were written to each input so far.
    pub(super) async fn changes(&self, client: &Client) -> Result<Vec<(String, String)>, Failure> {
        self.pairs(client, CHANGES).await
    }

    /// Checks that nothing was written to an input that has the name of a table: a function may have meant the table.
    pub(super) async fn check_changes(&self, client: &Client, before: &[(String, String)]) -> Result<(), Failure> {
        let shadowed = self.shadowed(client).await?;
        if shadowed.is_empty() {
            return Ok(());
        }
        let after = self.changes(client).await?;
        let is_changed = |name: &str| after.iter().any(|change| change.0 == name && !before.contains(change));
        match shadowed.into_iter().find(|shadowed| is_changed(&shadowed.name)) {
            None => Ok(()),
            Some(Shadowed { name, schema }) => Err(Failure::new(
                FailureKind::BadCode,
                format!(
                    "A statement, or a function that it calls, wrote to the input `{name}` of this step, and {schema}.{name} \
                     is a table; everything was rolled back. Name the input differently on the step's table line"
                ),
            )),
        }
    }

    async fn shadowed(&self, client: &Client) -> Result<Vec<Shadowed>, Failure> {
        let pairs = self.pairs(client, RELATIONS).await?;
        Ok(pairs.into_iter().map(|(name, schema)| Shadowed { name, schema }).collect())
    }

    async fn pairs(&self, client: &Client, query: &str) -> Result<Vec<(String, String)>, Failure> {
        if self.names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = self.names.iter().map(|name| literal(name)).collect();
        let answer = client.simple_query(&format!("{query}({})", names.join(", "))).await;
        let messages =
            answer.map_err(|error| from_server_error(&error, "The tables of the database cannot be listed"))?;
        let pair = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?.to_owned(), row.get(1)?.to_owned())),
            _ => None,
        };
        Ok(messages.iter().filter_map(pair).collect())
    }
}

/// A string that is the same whatever `standard_conforming_strings` is, which a script may change.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Returns the first byte of a name that stands without a schema, anywhere in a text, also inside strings: they may be code.
fn unqualified(text: &str, name: &str) -> Option<usize> {
    let (text, name) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    text.match_indices(&name).map(|(at, _)| at).find(|at| {
        let (before, after) = (text.get(..*at).unwrap_or_default(), text.get(at + name.len()..).unwrap_or_default());
        let (before, after) = (before.strip_suffix('"').unwrap_or(before), after.strip_prefix('"').unwrap_or(after));
        let is_whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        is_whole && !before.trim_end().ends_with('.') && !after.trim_start().starts_with('.')
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_schema_are_found() {
        for text in [
            "INSERT INTO sales SELECT 1",
            "select 1 from \"sales\"",
            "(Sales)",
            "sales",
            "'insert into sales'",
            "x,sales s",
        ] {
            assert!(unqualified(text, "sales").is_some(), "{text}");
        }
        for text in
            ["FROM public.sales", "public . \"sales\"", "sales.amount", "resales", "sales_2", "\"sales\".a", "sale"]
        {
            assert_eq!(unqualified(text, "sales"), None, "{text}");
        }
        assert_eq!(literal("a'b\\c"), "E'a''b\\\\c'");
    }
}
