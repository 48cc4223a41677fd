//! Encodes the rows of a statement as CBOR, row by row, without an intermediate tree.

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

/// Collects the rows of the last statement, or sends them to the loop that runs over them.
pub(super) struct Output {
    buffer: RowBuffer,
    items: Option<mpsc::Sender<Items>>,
}

impl Output {
    pub(super) fn new(limits: &Limits, items: Option<mpsc::Sender<Items>>) -> Self {
        Self { buffer: RowBuffer::new(limits), items }
    }

    /// Executes a statement to its end. Only the rows of the last statement are kept.
    pub(super) fn execute(&mut self, mut statement: Statement<'_>, is_last: bool) -> Result<(), RunError> {
        let names = unique_names(statement.column_names());
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if is_last {
                self.add_row(&names, row)?;
            }
        }
        Ok(())
    }

    fn add_row(&mut self, names: &[String], row: &Row<'_>) -> Result<(), RunError> {
        encode_row(&mut self.buffer.rows, names, row)?;
        self.buffer.row_written().map_err(RunError::Limit)?;
        if self.items.is_some() && self.buffer.is_batch() {
            self.send_batch().map_err(RunError::Limit)?;
        }
        Ok(())
    }

    /// Sends the rows so far to the loop, and waits until it receives them.
    fn send_batch(&mut self) -> Result<(), Failure> {
        let items = self.buffer.take_batch()?;
        let sent = self.items.as_ref().map_or(Ok(()), |receiver| receiver.blocking_send(items));
        sent.map_err(|_| Failure::new(FailureKind::Internal, "The receiver of the step's rows is gone"))
    }

    /// Returns the result: a list of the rows, or nothing if they were sent to a loop.
    pub(super) fn finish(mut self) -> Result<Bytes, Failure> {
        if self.items.is_none() {
            return Ok(self.buffer.into_list());
        }
        if !self.buffer.is_empty() {
            self.send_batch()?;
        }
        Ok(Bytes::new())
    }
}

fn encode_row(buffer: &mut Vec<u8>, names: &[String], row: &Row<'_>) -> Result<(), RunError> {
    let mut encoder = Encoder::new(buffer);
    let written = encoder.map(names.len() as u64).is_ok();
    debug_assert!(written, "writing to a Vec cannot fail");
    for (index, name) in names.iter().enumerate() {
        let value = row.get_ref(index)?;
        let written = encoder.str(name).is_ok() && encode_value(&mut encoder, value).is_ok();
        debug_assert!(written, "writing to a Vec cannot fail");
    }
    Ok(())
}

/// Keeps SQLite's types. A text that is not UTF-8 (`CAST(x'ff' AS TEXT)`) becomes bytes.
fn encode_value(
    encoder: &mut Encoder<&mut Vec<u8>>,
    value: ValueRef<'_>,
) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
    match value {
        ValueRef::Null => encoder.null()?,
        ValueRef::Integer(number) => encoder.i64(number)?,
        ValueRef::Real(number) => encoder.f64(number)?,
        ValueRef::Blob(bytes) => encoder.bytes(bytes)?,
        ValueRef::Text(bytes) => match core::str::from_utf8(bytes) {
            Ok(text) => encoder.str(text)?,
            Err(_) => encoder.bytes(bytes)?,
        },
    };
    Ok(())
}
