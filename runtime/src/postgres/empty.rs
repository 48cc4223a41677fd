//! Columns of empty inputs: an empty list has no keys, so its table gets the columns that the statements refer to.
//!
//! PostgreSQL says which column a statement lacks, and where. A column that is added is `text`, or else the first type of
//! [`TYPES`] with which PostgreSQL accepts what the statement does with it.

use bue_model::Failure;
use bue_sql::table::{Shape, Table, quoted};
use tokio_postgres::Client;
use tokio_postgres::error::{ErrorPosition, SqlState};

use super::failure::from_server_error;

/// Types of an added column, in the order in which they are tried.
const TYPES: [&str; 13] = [
    "text",
    "numeric",
    "timestamptz",
    "boolean",
    "jsonb",
    "date",
    "uuid",
    "bigint",
    "integer",
    "double precision",
    "bytea",
    "time",
    "text[]",
];

/// Times that a statement is prepared at most.
const MAX_PROBES: usize = 1000;

/// The tables of empty inputs.
pub(super) struct EmptyTables {
    tables: Vec<String>,
    has_prepared: bool,
}

/// A column that was added.
#[derive(Clone)]
struct Added {
    table: String,
    column: String,
}

/// Why PostgreSQL does not accept a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    code: SqlState,
    /// The character of the statement, from 1.
    position: Option<u32>,
}

impl EmptyTables {
    pub(super) fn new(tables: &[Table]) -> Self {
        let empty = tables.iter().filter(|table| table.shape == Shape::Empty);
        Self { tables: empty.map(|table| table.name.clone()).collect(), has_prepared: false }
    }

    /// Returns whether statements were prepared on the connection.
    pub(super) const fn has_prepared(&self) -> bool {
        self.has_prepared
    }

    /// Adds the columns that a statement lacks. If PostgreSQL still does not accept it, executing it will say why.
    pub(super) async fn add_columns(&mut self, client: &Client, statement: &str) -> Result<(), Failure> {
        if self.tables.is_empty() {
            return Ok(());
        }
        self.has_prepared = true;
        Fitting { client, statement, tables: &self.tables, added: Vec::new(), probes: 0, seen: Vec::new() }.run().await
    }
}

/// The columns of one statement.
struct Fitting<'f> {
    client: &'f Client,
    statement: &'f str,
    tables: &'f [String],
    /// The columns that this statement needed. Those of earlier statements may hold rows by now, so they stay as they are.
    added: Vec<Added>,
    probes: usize,
    /// The refusals so far: a change that leads back to one is none.
    seen: Vec<Refusal>,
}

impl Fitting<'_> {
    async fn run(mut self) -> Result<(), Failure> {
        let mut refusal = self.probe().await?;
        while let Some(current) = refusal {
            let next = match current.code == SqlState::UNDEFINED_COLUMN {
                true => self.add_missing(&current).await?,
                false => self.change_types(&current).await?,
            };
            let Some(next) = next else { return Ok(()) };
            self.seen.push(current);
            refusal = next;
        }
        Ok(())
    }

    /// Adds the column of a refusal to the first table that makes it known, and returns the next refusal. `None` if no table
    /// does.
    async fn add_missing(&mut self, refusal: &Refusal) -> Result<Option<Option<Refusal>>, Failure> {
        let Some(column) = refusal.position.and_then(|position| name_at(self.statement, position)) else {
            return Ok(None);
        };
        for table in self.tables {
            let (table_name, name) = (quoted(table), quoted(&column));
            if !self.alter(&format!("ALTER TABLE pg_temp.{table_name} ADD COLUMN {name} {}", TYPES[0])).await? {
                continue;
            }
            let next = self.probe().await?;
            if next.as_ref() != Some(refusal) {
                self.added.push(Added { table: table.clone(), column });
                return Ok(Some(next));
            }
            self.alter(&format!("ALTER TABLE pg_temp.{table_name} DROP COLUMN {name}")).await?;
        }
        Ok(None)
    }

    /// Changes the type of one column, or of two, so that another refusal follows, or none.
    async fn change_types(&mut self, refusal: &Refusal) -> Result<Option<Option<Refusal>>, Failure> {
        for count in 1..=2 {
            for columns in groups(&self.added, count) {
                for column_type in TYPES {
                    let next = self.with_type(&columns, column_type).await?;
                    let Some(next) = next else { continue };
                    let is_new = next.as_ref().is_none_or(|next| next != refusal && !self.seen.contains(next));
                    if is_new {
                        return Ok(Some(next));
                    }
                }
                self.with_type(&columns, TYPES[0]).await?;
            }
        }
        Ok(None)
    }

    /// The refusal with other types; `None` if the types cannot be changed.
    async fn with_type(&mut self, columns: &[Added], column_type: &str) -> Result<Option<Option<Refusal>>, Failure> {
        for Added { table, column } in columns {
            let change = format!(
                "ALTER TABLE pg_temp.{} ALTER COLUMN {} TYPE {column_type} USING NULL",
                quoted(table),
                quoted(column)
            );
            if !self.alter(&change).await? {
                return Ok(None);
            }
        }
        if self.probes > MAX_PROBES {
            return Ok(None);
        }
        self.probe().await.map(Some)
    }

    /// Prepares the statement. `None` if PostgreSQL accepts it.
    async fn probe(&mut self) -> Result<Option<Refusal>, Failure> {
        self.probes += 1;
        self.execute("SAVEPOINT bue_probe").await?;
        let prepared = self.client.prepare(self.statement).await;
        let Err(error) = prepared else {
            self.execute("RELEASE bue_probe").await?;
            return Ok(None);
        };
        let Some(db) = error.as_db_error() else { return Err(from_server_error(&error, "")) };
        let position = match db.position() {
            Some(ErrorPosition::Original(position)) => Some(*position),
            _ => None,
        };
        self.execute("ROLLBACK TO bue_probe; RELEASE bue_probe").await?;
        Ok(Some(Refusal { code: db.code().clone(), position }))
    }

    /// Returns whether the table could be changed; a view may use it.
    async fn alter(&self, change: &str) -> Result<bool, Failure> {
        self.execute("SAVEPOINT bue_probe").await?;
        let changed = self.client.batch_execute(change).await;
        let end = if changed.is_ok() { "RELEASE bue_probe" } else { "ROLLBACK TO bue_probe; RELEASE bue_probe" };
        self.execute(end).await?;
        Ok(changed.is_ok())
    }

    async fn execute(&self, sql: &str) -> Result<(), Failure> {
        let executed = self.client.batch_execute(sql).await;
        executed.map_err(|error| from_server_error(&error, "The columns of an empty input cannot be found"))
    }
}

/// Every column, or every two of them; of the last ones first, because they are what the statement does now.
fn groups(added: &[Added], count: usize) -> Vec<Vec<Added>> {
    let ones = added.iter().rev();
    match count {
        1 => ones.map(|one| vec![one.clone()]).collect(),
        _ => ones
            .enumerate()
            .flat_map(|(index, one)| added.iter().rev().skip(index + 1).map(|other| vec![one.clone(), other.clone()]))
            .collect(),
    }
}

/// The name of a column at a position of a statement, counted in characters from 1: the last part of `schema.table."Column"`.
fn name_at(statement: &str, position: u32) -> Option<String> {
    let start = usize::try_from(position).ok()?.checked_sub(1)?;
    let (at, _) = statement.char_indices().nth(start)?;
    let mut rest = statement.get(at..)?;
    loop {
        let (name, after) = identifier(rest)?;
        match after.trim_start().strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None => return Some(name),
        }
    }
}

/// An identifier at the beginning of a text, and the text behind it. PostgreSQL folds names outside of quotes to lower case.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let (part, after) = rest.split_once('"')?;
            name.push_str(part);
            match after.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    rest = after;
                }
                None => return Some((name, after)),
            }
        }
    }
    let end = text.find(|char: char| !(char.is_alphanumeric() || matches!(char, '_' | '$'))).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    (!name.is_empty()).then(|| (name.to_ascii_lowercase(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_column_is_its_last_part() {
        for (statement, position, expected) in [
            ("SELECT Amount FROM x", 8, "amount"),
            ("SELECT é, r.\"The \"\"Day\" FROM r", 11, "The \"Day"),
            ("SELECT a . b . c1$", 8, "c1$"),
        ] {
            assert_eq!(name_at(statement, position).as_deref(), Some(expected), "{statement}");
        }
        assert_eq!(name_at("SELECT", 100), None);
        assert_eq!(name_at("SELECT +", 8), None);
        assert_eq!(name_at("SELECT \"open", 8), None);
    }
}
