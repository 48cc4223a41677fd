//! Rows of a statement become CBOR, row by row, without a tree between.

use bue_model::{Failure, FailureKind};
use bytes::Bytes;
use minicbor::Encoder;
use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement};
use tokio::sync::mpsc;

use super::error::RunError;
use crate::sql::result::{RowBuffer, unique_names};
use crate::step::limits::Limits;
use crate::step::task::Items;

/// Collects the rows of the last statement, or hands them on.
pub(super) struct Output {
    buffer: RowBuffer,
    items: Option<mpsc::Sender<Items>>,
}

impl Output {
    pub(super) fn new(limits: &Limits, items: Option<mpsc::Sender<Items>>) -> Self {
        Self { buffer: RowBuffer::new(limits), items }
    }

    /// Runs a statement to its end. Only the last one's rows are kept.
    pub(super) fn take(&mut self, mut statement: Statement<'_>, is_last: bool) -> Result<(), RunError> {
        let names = unique_names(statement.column_names());
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if is_last {
                self.add(&names, row)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, names: &[String], row: &Row<'_>) -> Result<(), RunError> {
        put_row(&mut self.buffer.rows, names, row)?;
        self.buffer.row_written().map_err(RunError::Limit)?;
        if self.items.is_some() && self.buffer.is_batch() {
            self.hand_on().map_err(RunError::Limit)?;
        }
        Ok(())
    }

    /// Gives the rows so far to the loop, and waits until it takes them.
    fn hand_on(&mut self) -> Result<(), Failure> {
        let items = self.buffer.take_batch()?;
        let sent = self.items.as_ref().map_or(Ok(()), |to| to.blocking_send(items));
        sent.map_err(|_| Failure::new(FailureKind::Internal, "Nobody takes the step's rows any more"))
    }

    /// The result: a list of the rows; empty where they were handed on.
    pub(super) fn finish(mut self) -> Result<Bytes, Failure> {
        if self.items.is_none() {
            return Ok(self.buffer.into_list());
        }
        if !self.buffer.is_empty() {
            self.hand_on()?;
        }
        Ok(Bytes::new())
    }
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
