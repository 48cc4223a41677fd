//! Buffers the rows of the last statement, which become the result.

use std::collections::HashSet;

use bue_model::{Failure, cbor};
use bytes::Bytes;

use crate::step::failure::limit;
use crate::step::limits::{Limits, bytes_text};
use crate::step::task::Items;

/// Bytes of rows that are sent to a loop at once.
const BATCH_BYTES: usize = 64 * 1024;

/// Encoded rows, counted and limited.
pub(crate) struct RowBuffer {
    /// CBOR maps, one after the other. Append a row here, then call [`RowBuffer::row_written`].
    pub(crate) rows: Vec<u8>,
    count: u32,
    result_bytes: u64,
    stream_bytes: u64,
    streamed: u64,
}

impl RowBuffer {
    pub(crate) const fn new(limits: &Limits) -> Self {
        let (result_bytes, stream_bytes) = (limits.result_bytes, limits.stream_bytes);
        Self { rows: Vec::new(), count: 0, result_bytes, stream_bytes, streamed: 0 }
    }

    /// Counts a row that was appended to [`rows`](Self::rows).
    ///
    /// # Errors
    /// The rows are over the result limit.
    pub(crate) fn row_written(&mut self) -> Result<(), Failure> {
        self.count = self.count.checked_add(1).ok_or_else(|| limit("the SQL returns more rows than can be counted"))?;
        if self.rows.len() as u64 > self.result_bytes {
            let allowed = bytes_text(self.result_bytes);
            return Err(limit(format!(
                "the SQL's rows are more than the result limit of {allowed}; select less, or loop over the rows"
            )));
        }
        Ok(())
    }

    /// Returns whether the rows so far make a batch.
    pub(crate) const fn is_batch(&self) -> bool {
        self.rows.len() >= BATCH_BYTES
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes the rows so far, for a loop.
    ///
    /// # Errors
    /// The rows are over the stream limit.
    pub(crate) fn take_batch(&mut self) -> Result<Items, Failure> {
        let count = core::mem::take(&mut self.count);
        let items = Items { count, items: array(count, &core::mem::take(&mut self.rows)) };
        self.streamed = self.streamed.saturating_add(items.items.len() as u64);
        if self.streamed > self.stream_bytes {
            let allowed = bytes_text(self.stream_bytes);
            return Err(limit(format!("the SQL's rows are more than the stream limit of {allowed}")));
        }
        Ok(items)
    }

    /// Returns all rows as one list.
    pub(crate) fn into_list(self) -> Bytes {
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
pub(crate) fn unique_names<'n>(columns: impl IntoIterator<Item = &'n str>) -> Vec<String> {
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
