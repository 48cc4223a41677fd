//! An input becomes a table: its columns first, then its rows as COPY reads them, piece by piece.
//!
//! The rows are read twice and never all held: once for the columns and their types, once to be sent.

use bue_model::{Failure, FailureKind, Value, cbor};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::columns::{Columns, Row, check_name};
use super::copy::{HEAD, TAIL, Writer};
use crate::sql::{Shape, key_text, needs_rows, quoted};

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
        let whole: Vec<u8>;
        let (items, shape) = match cbor::array_items(&self.bytes).map_err(|error| self.unreadable(&error))? {
            Some(items) if items.is_empty() => (items, Shape::Empty),
            Some(items) => (items, Shape::Rows),
            None => match self.value(&self.bytes)? {
                Value::Map(row) => {
                    (vec![self.bytes.as_ref()], Shape::OneMap(row.iter().map(|(key, _)| key_text(key)).collect()))
                }
                // behind a tag that says nothing to us
                list @ Value::List(_) => {
                    whole = cbor::encode(&list);
                    (cbor::array_items(&whole).ok().flatten().unwrap_or_default(), Shape::Rows)
                }
                other => return Err(self.no_rows(other.kind())),
            },
        };
        let columns = self.columns(&items)?;
        if to.blocking_send(Fed::Columns(definition(&columns))).is_ok() {
            self.send_rows(&items, &columns, to)?;
        }
        Ok(shape)
    }

    fn columns(&self, items: &[&[u8]]) -> Result<Columns, Failure> {
        let mut columns = Columns::default();
        for (index, item) in items.iter().enumerate() {
            columns.note(&self.row(index, item)?).map_err(|why| self.no_table(&why))?;
        }
        Ok(columns)
    }

    /// Ends early where nobody takes the rows any more: whoever did knows why.
    fn send_rows(&self, items: &[&[u8]], columns: &Columns, to: &mpsc::Sender<Fed>) -> Result<(), Failure> {
        let writer = Writer::new(columns);
        let mut piece = HEAD.to_vec();
        for (index, item) in items.iter().enumerate() {
            let row = self.row(index, item)?;
            writer.put(&mut piece, row).map_err(|why| self.no_table(&format!("row {index}: {why}")))?;
            if piece.len() >= PIECE && to.blocking_send(Fed::Rows(core::mem::take(&mut piece).into())).is_err() {
                return Ok(());
            }
        }
        piece.extend_from_slice(TAIL);
        // the same
        let _ = to.blocking_send(Fed::Rows(piece.into()));
        Ok(())
    }

    fn row(&self, index: usize, item: &[u8]) -> Result<Row, Failure> {
        match self.value(item)? {
            Value::Map(row) => Ok(row),
            other => Err(self.no_rows(&format!("a list whose element {index} is {}", other.kind()))),
        }
    }

    fn value(&self, bytes: &[u8]) -> Result<Value, Failure> {
        cbor::decode(bytes).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &cbor::CborError) -> Failure {
        Failure::new(FailureKind::BadInput, format!("Step input {} cannot be read: {error}", self.input))
    }

    fn no_rows(&self, got: &str) -> Failure {
        Failure::new(FailureKind::BadInput, needs_rows(&self.table, self.input, got, "return a list of maps"))
    }

    pub(super) fn no_table(&self, why: &str) -> Failure {
        let (input, table) = (self.input, &self.table);
        Failure::new(FailureKind::BadInput, format!("Step input {input} cannot become table `{table}`: {why}"))
    }
}

fn definition(columns: &Columns) -> String {
    let columns: Vec<String> =
        columns.iter().map(|(name, column)| format!("{} {}", quoted(name), column.sql())).collect();
    columns.join(", ")
}
