//! An input becomes a table: its columns first, then its rows as COPY reads them, piece by piece.
//!
//! The rows are read twice and never all held: once for the columns and their types, once to be sent.

use bue_model::Failure;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::columns::{Columns, check_name};
use super::copy::{HEAD, TAIL, put_row};
use crate::sql::rows::Rows;
use crate::sql::rows_error::RowsError;
use crate::sql::table::{Shape, no_table, quoted};

/// Bytes of rows that are sent at once.
const PIECE: usize = 64 * 1024;

/// Which input becomes which table.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) table: String,
    /// Position of the input, from 1.
    pub(super) input: usize,
    /// CBOR.
    pub(super) bytes: Bytes,
}

/// What comes out.
pub(super) enum Fed {
    /// The columns of the table, as CREATE TABLE has them.
    Columns(String),
    /// A piece of COPY's data.
    Rows(Bytes),
}

impl Source {
    /// Gives the columns, then all rows. Takes time, and waits until what it gives is taken: a thread is its place.
    pub(super) fn feed(&self, to: &mpsc::Sender<Fed>) -> Result<Shape, Failure> {
        check_name(&self.table, "table's name").map_err(|why| self.no_table(&why))?;
        self.try_feed(to).map_err(|error| error.failure(&self.table, self.input, "return a list of maps"))
    }

    fn try_feed(&self, to: &mpsc::Sender<Fed>) -> Result<Shape, RowsError> {
        let rows = Rows::of(&self.bytes)?;
        let (mut columns, shape) = Columns::of(&rows)?;
        if to.blocking_send(Fed::Columns(definition(&columns))).is_ok() {
            match send_rows(&rows, &mut columns, to) {
                // nobody takes the rows any more: whoever did knows why
                Ok(()) | Err(SendError::Nobody) => {}
                Err(SendError::Rows(error)) => return Err(error),
            }
        }
        Ok(shape)
    }

    pub(super) fn no_table(&self, why: &str) -> Failure {
        no_table(&self.table, self.input, why)
    }
}

enum SendError {
    Rows(RowsError),
    Nobody,
}

impl From<RowsError> for SendError {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

fn send_rows(rows: &Rows<'_>, columns: &mut Columns, to: &mpsc::Sender<Fed>) -> Result<(), SendError> {
    let types = columns.types();
    let mut piece = HEAD.to_vec();
    let mut index = 0_u64;
    rows.each(&mut columns.keys, |cells| {
        put_row(&mut piece, cells, &types).map_err(|why| RowsError::Unfit(format!("row {index}: {why}")))?;
        index += 1;
        if piece.len() >= PIECE {
            let full = core::mem::replace(&mut piece, Vec::with_capacity(PIECE + PIECE / 8));
            to.blocking_send(Fed::Rows(full.into())).map_err(|_| SendError::Nobody)?;
        }
        Ok::<_, SendError>(())
    })?;
    piece.extend_from_slice(TAIL);
    to.blocking_send(Fed::Rows(piece.into())).map_err(|_| SendError::Nobody)
}

fn definition(columns: &Columns) -> String {
    let columns: Vec<String> =
        columns.iter().map(|(name, column)| format!("{} {}", quoted(name), column.sql())).collect();
    columns.join(", ")
}
