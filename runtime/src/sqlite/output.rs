//! Rows of a statement become CBOR, row by row, without a tree between.

use bue_model::cbor;
use bue_model::{Failure, FailureKind};
use bytes::Bytes;
use minicbor::Encoder;
use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement};
use tokio::sync::mpsc;

use super::failure::RunError;
use crate::failure::limit;
use crate::limits::{Limits, bytes_text};
use crate::task::Items;

/// Bytes of rows that are given to a loop at once.
const BATCH: usize = 64 * 1024;

/// Collects the rows of the last statement, or hands them on.
pub(super) struct Output {
    rows: Vec<u8>,
    count: u32,
    result_bytes: u64,
    stream_bytes: u64,
    streamed: u64,
    items: Option<mpsc::Sender<Items>>,
}

impl Output {
    pub(super) fn new(limits: &Limits, items: Option<mpsc::Sender<Items>>) -> Self {
        let Limits { result_bytes, stream_bytes, .. } = *limits;
        Self { rows: Vec::new(), count: 0, result_bytes, stream_bytes, streamed: 0, items }
    }

    /// Runs a statement to its end. Only the last one's rows are kept.
    pub(super) fn take(&mut self, mut statement: Statement<'_>, is_last: bool) -> Result<(), RunError> {
        let names = column_names(&statement);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if is_last {
                self.add(&names, row)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, names: &[String], row: &Row<'_>) -> Result<(), RunError> {
        put_row(&mut self.rows, names, row)?;
        self.count = self
            .count
            .checked_add(1)
            .ok_or_else(|| RunError::Limit(limit("the SQL gives more rows than can be counted")))?;
        if self.rows.len() as u64 > self.result_bytes {
            let allowed = bytes_text(self.result_bytes);
            return Err(RunError::Limit(limit(format!(
                "the SQL's rows are more than the result limit of {allowed}; select less, or loop over the rows"
            ))));
        }
        if self.items.is_some() && self.rows.len() >= BATCH {
            self.hand_on()?;
        }
        Ok(())
    }

    /// Gives the rows so far to the loop, and waits until it takes them.
    fn hand_on(&mut self) -> Result<(), RunError> {
        let count = core::mem::take(&mut self.count);
        let items = Items { count, items: array(count, &core::mem::take(&mut self.rows)) };
        self.streamed = self.streamed.saturating_add(items.items.len() as u64);
        if self.streamed > self.stream_bytes {
            let allowed = bytes_text(self.stream_bytes);
            return Err(RunError::Limit(limit(format!("the SQL's rows are more than the stream limit of {allowed}"))));
        }
        let sent = self.items.as_ref().map_or(Ok(()), |to| to.blocking_send(items));
        sent.map_err(|_| RunError::Limit(Failure::new(FailureKind::Internal, "Nobody takes the step's rows any more")))
    }

    /// The result: a list of the rows; empty where they were handed on.
    pub(super) fn finish(mut self) -> Result<Bytes, Failure> {
        if self.items.is_none() {
            return Ok(array(self.count, &self.rows));
        }
        if self.count > 0 {
            self.hand_on().map_err(|error| match error {
                RunError::Limit(failure) => failure,
                RunError::Sqlite(error) => super::guard::internal(&error),
            })?;
        }
        Ok(Bytes::new())
    }
}

fn array(count: u32, rows: &[u8]) -> Bytes {
    let mut bytes = cbor::array_head(count.into());
    bytes.extend_from_slice(rows);
    Bytes::from(bytes)
}

/// The columns' names, each once: a name that stands there already gets `:1`, `:2` and so on behind it, as SQLite itself
/// does in subqueries.
fn column_names(statement: &Statement<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for name in statement.column_names() {
        let mut unique = name.to_owned();
        let mut number = 0;
        while !seen.insert(unique.clone()) {
            number += 1;
            unique = format!("{name}:{number}");
        }
        names.push(unique);
    }
    names
}

fn put_row(to: &mut Vec<u8>, names: &[String], row: &Row<'_>) -> Result<(), RunError> {
    let mut encoder = Encoder::new(to);
    let written = encoder.map(names.len() as u64).is_ok();
    debug_assert!(written, "a Vec takes everything");
    for (index, name) in names.iter().enumerate() {
        let value = row.get_ref(index)?;
        let written = encoder.str(name).is_ok() && put_value(&mut encoder, value).is_ok();
        debug_assert!(written, "a Vec takes everything");
    }
    Ok(())
}

/// SQLite's types are kept. A text that is not UTF-8 (`CAST(x'ff' AS TEXT)`) is given as bytes.
fn put_value(
    to: &mut Encoder<&mut Vec<u8>>,
    value: ValueRef<'_>,
) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
    match value {
        ValueRef::Null => to.null()?,
        ValueRef::Integer(number) => to.i64(number)?,
        ValueRef::Real(number) => to.f64(number)?,
        ValueRef::Blob(bytes) => to.bytes(bytes)?,
        ValueRef::Text(bytes) => match core::str::from_utf8(bytes) {
            Ok(text) => to.str(text)?,
            Err(_) => to.bytes(bytes)?,
        },
    };
    Ok(())
}
