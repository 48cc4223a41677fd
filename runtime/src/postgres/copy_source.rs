//! Converts an input to a table: its columns first, then its rows in COPY's format, in chunks.
//!
//! The rows are read twice and never held all at once: first for the columns and their types, then to be sent.

use bue_model::{Failure, SqlColumn};
use bue_sql::rows::Rows;
use bue_sql::rows_error::{RowsError, at_cell};
use bue_sql::table::{Shape, not_a_table, quoted};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::columns::{Columns, check_name};
use super::copy::{HEADER, TRAILER, encode_row};

/// Bytes of rows that are sent in one chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// An input and the table that it becomes.
#[derive(Clone, Debug)]
pub(super) struct InputTable {
    pub(super) table: String,
    /// The input's position, from 1.
    pub(super) input: usize,
    /// CBOR.
    pub(super) bytes: Bytes,
    /// The columns that the script declares.
    pub(super) declared: Option<Vec<SqlColumn>>,
}

/// A part of a table.
pub(super) enum TablePart {
    /// The columns in the syntax of CREATE TABLE.
    Columns(String),
    /// A chunk of COPY's data.
    Rows(Bytes),
}

impl InputTable {
    /// Sends the columns, then all rows. Blocks until they are received: call it on a separate thread.
    pub(super) fn send(&self, to: &mpsc::Sender<TablePart>) -> Result<Shape, Failure> {
        check_name(&self.table, "table's name").map_err(|reason| self.not_a_table(&reason))?;
        self.try_send(to).map_err(|error| error.failure(&self.table, self.input, "return a list of maps"))
    }

    fn try_send(&self, to: &mpsc::Sender<TablePart>) -> Result<Shape, RowsError> {
        let rows = Rows::new(&self.bytes)?;
        let (mut columns, shape) = match &self.declared {
            Some(declared) => Columns::declared(&rows, declared)?,
            None => Columns::from_rows(&rows)?,
        };
        if to.blocking_send(TablePart::Columns(definition(&columns))).is_ok() {
            match send_rows(&rows, &mut columns, to) {
                // the receiver was dropped because the server failed, which it reports itself
                Ok(()) | Err(SendError::ReceiverGone) => {}
                Err(SendError::Rows(error)) => return Err(error),
            }
        }
        Ok(shape)
    }

    pub(super) fn not_a_table(&self, reason: &str) -> Failure {
        not_a_table(&self.table, self.input, reason)
    }
}

enum SendError {
    Rows(RowsError),
    ReceiverGone,
}

impl From<RowsError> for SendError {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

fn send_rows(rows: &Rows<'_>, columns: &mut Columns, to: &mpsc::Sender<TablePart>) -> Result<(), SendError> {
    let (types, names) = (columns.types(), columns.keys.names().to_vec());
    let mut chunk = HEADER.to_vec();
    let mut index = 0_u64;
    rows.each(&mut columns.keys, |cells| {
        index += 1;
        encode_row(&mut chunk, cells, &types).map_err(|error| {
            let name = names.get(error.column).map_or("", String::as_str);
            RowsError::Unfit(at_cell(name, index, &error.reason))
        })?;
        if chunk.len() >= CHUNK_BYTES {
            let full = core::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8));
            to.blocking_send(TablePart::Rows(full.into())).map_err(|_| SendError::ReceiverGone)?;
        }
        Ok::<_, SendError>(())
    })?;
    chunk.extend_from_slice(TRAILER);
    to.blocking_send(TablePart::Rows(chunk.into())).map_err(|_| SendError::ReceiverGone)
}

fn definition(columns: &Columns) -> String {
    let columns: Vec<String> =
        columns.iter().map(|(name, column)| format!("{} {}", quoted(name), column.sql())).collect();
    columns.join(", ")
}
