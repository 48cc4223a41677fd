//! Encodes the rows of a statement as CBOR, row by row, without an intermediate tree.

use bue_model::Failure;
use bytes::Bytes;
use minicbor::Encoder;
use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement};

use super::error::RunError;
use super::host::Host;
use super::step::StepRequest;
use super::storage::Storage;
use crate::result::{RowBuffer, unique_names};

/// Sends the rows of the last statement to the host: as batches for a loop, or as parts of a list.
pub(super) struct Output<'h> {
    buffer: RowBuffer,
    is_streamed: bool,
    host: &'h mut dyn Host,
}

impl<'h> Output<'h> {
    pub(super) const fn new(step: &StepRequest, host: &'h mut dyn Host) -> Self {
        Self { buffer: RowBuffer::new(step.limits), is_streamed: step.is_streamed, host }
    }

    /// Executes a statement to its end. Only the rows of the last statement are kept.
    pub(super) fn execute(
        &mut self,
        mut statement: Statement<'_>,
        columns: &[OutputColumn],
        is_last: bool,
    ) -> Result<(), RunError> {
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if is_last {
                self.add_row(columns, row)?;
            }
        }
        Ok(())
    }

    fn add_row(&mut self, columns: &[OutputColumn], row: &Row<'_>) -> Result<(), RunError> {
        encode_row(&mut self.buffer.rows, columns, row)?;
        self.buffer.row_written().map_err(RunError::Limit)?;
        if self.buffer.is_batch() {
            self.send().map_err(RunError::Limit)?;
        }
        Ok(())
    }

    /// Sends the rows so far.
    fn send(&mut self) -> Result<(), Failure> {
        match self.is_streamed {
            true => self.host.emit(self.buffer.take_batch()?),
            false => self.host.append_rows(&self.buffer.take_part()),
        }
        Ok(())
    }

    /// Sends the last rows, and returns the head of the list, or nothing if a loop got the rows.
    pub(super) fn finish(mut self) -> Result<Bytes, Failure> {
        if !self.buffer.rows.is_empty() {
            self.send()?;
        }
        Ok(if self.is_streamed { Bytes::new() } else { self.buffer.head().into() })
    }
}

/// A column of the result.
pub(super) struct OutputColumn {
    name: String,
    /// That of the input's column from which it comes straight.
    storage: Storage,
}

/// The columns of a statement. If not `is_typed`, a column may have values of other tables than the one from which it seems to
/// come; a decimal is the same number as the float that it would be otherwise, so only decimals keep their kind.
pub(super) fn output_columns(statement: &Statement<'_>, names: &[String], is_typed: bool) -> Vec<OutputColumn> {
    let names = unique_names(names.iter().map(String::as_str));
    let columns = names.into_iter().zip(statement.columns());
    let storage = |declared_type: Option<&str>| match Storage::of_result(declared_type) {
        storage if is_typed || storage == Storage::Decimal => storage,
        _ => Storage::Any,
    };
    columns.map(|(name, column)| OutputColumn { name, storage: storage(column.decl_type()) }).collect()
}

fn encode_row(buffer: &mut Vec<u8>, columns: &[OutputColumn], row: &Row<'_>) -> Result<(), RunError> {
    let mut encoder = Encoder::new(buffer);
    let written = encoder.map(columns.len() as u64).is_ok();
    debug_assert!(written, "writing to a Vec cannot fail");
    for (index, column) in columns.iter().enumerate() {
        let value = row.get_ref(index)?;
        let written = encoder.str(&column.name).is_ok()
            && (column.storage.encode_original(encoder.writer_mut(), value)
                || encode_value(&mut encoder, value).is_ok());
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
