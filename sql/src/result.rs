//! Buffers the rows of the last statement, which become the result.

use std::collections::HashSet;

use bue_model::words::bytes_text;
use bue_model::{Failure, cbor};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes of rows that are sent to a loop at once.
const BATCH_BYTES: usize = 64 * 1024;
/// Rows that are sent at once, as many as the host takes from a guest.
const BATCH_ROWS: u32 = 1_000;

/// The limits of a SQL step, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLimits {
    /// A result that is one list, a batch for a loop, and a single text, blob or statement.
    pub result_bytes: u64,
    /// All batches together.
    pub stream_bytes: u64,
}

/// Rows for a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBatch {
    /// The number of rows.
    pub count: u32,
    /// A CBOR array of them.
    pub rows: Bytes,
}

/// Encoded rows, counted and limited.
#[derive(Debug)]
pub struct RowBuffer {
    /// CBOR maps, one after the other. Append a row here, then call [`RowBuffer::row_written`].
    pub rows: Vec<u8>,
    count: u32,
    limits: RowLimits,
    /// Bytes of rows that were taken for the list.
    taken: u64,
    streamed: u64,
}

impl RowBuffer {
    /// Without rows.
    #[must_use]
    pub const fn new(limits: RowLimits) -> Self {
        Self { rows: Vec::new(), count: 0, limits, taken: 0, streamed: 0 }
    }

    /// Counts a row that was appended to [`rows`](Self::rows).
    ///
    /// # Errors
    /// The rows are over the result limit.
    pub fn row_written(&mut self) -> Result<(), Failure> {
        let count = self.count.checked_add(1);
        self.count = count.ok_or_else(|| Failure::limit("the SQL returns more rows than can be counted"))?;
        if self.taken.saturating_add(self.rows.len() as u64) > self.limits.result_bytes {
            let allowed = bytes_text(self.limits.result_bytes);
            return Err(Failure::limit(&format!(
                "the SQL's rows are more than the result limit of {allowed}; select less, or loop over the rows"
            )));
        }
        Ok(())
    }

    /// Returns whether the rows so far make a batch.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.rows.len() >= BATCH_BYTES || (self.count > 0 && self.count.is_multiple_of(BATCH_ROWS))
    }

    /// Returns whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes the rows so far, for a loop.
    ///
    /// # Errors
    /// The rows are over the stream limit.
    pub fn take_batch(&mut self) -> Result<RowBatch, Failure> {
        let count = core::mem::take(&mut self.count);
        let batch = RowBatch { count, rows: array(count, &core::mem::take(&mut self.rows)) };
        self.streamed = self.streamed.saturating_add(batch.rows.len() as u64);
        if self.streamed > self.limits.stream_bytes {
            let allowed = bytes_text(self.limits.stream_bytes);
            return Err(Failure::limit(&format!("the SQL's rows are more than the stream limit of {allowed}")));
        }
        Ok(batch)
    }

    /// Takes a part of the rows of the list, and still counts them.
    pub fn take_part(&mut self) -> Vec<u8> {
        self.taken = self.taken.saturating_add(self.rows.len() as u64);
        core::mem::take(&mut self.rows)
    }

    /// Returns the head of the list, behind which all parts belong.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        cbor::array_head(self.count.into())
    }

    /// Returns all rows as one list.
    #[must_use]
    pub fn into_list(self) -> Bytes {
        array(self.count, &self.rows)
    }
}

fn array(count: u32, rows: &[u8]) -> Bytes {
    let mut bytes = cbor::array_head(count.into());
    bytes.extend_from_slice(rows);
    Bytes::from(bytes)
}

/// Makes the names of columns unique: a name that occurs again gets the suffix `:1`, `:2` and so on, as SQLite does in
/// subqueries.
#[must_use]
pub fn unique_names<'n>(columns: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut used = HashSet::new();
    for name in columns {
        let mut unique = name.to_owned();
        let mut number = 0;
        while !used.insert(unique.clone()) {
            number += 1;
            unique = format!("{name}:{number}");
        }
        names.push(unique);
    }
    names
}
