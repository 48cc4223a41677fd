//! Stores the results of steps: small values inline, large ones in the bucket, the lists of loops in chunks.

use bue_client::ClientError;
use bue_model::job::{Hints, INLINE_LIMIT};
use bue_model::{Chunk, Failure, FailureKind, Outcome, RunId, ValueRef, cbor};
use bytes::Bytes;

use crate::fetch::Fetch;

/// The size in bytes up to which a loop's list is stored inline: every job of the loop's body gets its chunk in a message.
const INLINE_LIST_LIMIT: usize = 4 * 1024;

/// The largest number of elements in a chunk of a list that is split here.
const MAX_CHUNK_ITEMS: usize = 1_000;

/// The size in bytes up to which a chunk of a list that is split here may grow.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// Where the results of a run are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output<'a> {
    pub(crate) fetch: &'a Fetch,
    pub(crate) run: RunId,
}

impl Output<'_> {
    /// Stores a value, inline or in the bucket.
    pub(crate) async fn store(self, value: Bytes) -> Result<ValueRef, ClientError> {
        match value.len() <= INLINE_LIMIT {
            true => Ok(ValueRef::Inline(value)),
            false => self.fetch.store(self.run, value).await.map(ValueRef::Blob),
        }
    }
}

/// A list that arrives in chunks.
#[derive(Debug, Default)]
pub(crate) struct ListWriter {
    chunks: Vec<Chunk>,
    inline_bytes: usize,
}

impl ListWriter {
    /// Appends a chunk: a CBOR array of `count` elements.
    pub(crate) async fn push(&mut self, count: u32, items: Bytes, output: Output<'_>) -> Result<(), ClientError> {
        self.inline_bytes += items.len();
        self.chunks.push(Chunk { count, value: Box::new(ValueRef::Inline(items)) });
        match self.inline_bytes > INLINE_LIST_LIMIT {
            true => self.move_to_bucket(output).await,
            false => Ok(()),
        }
    }

    /// Returns the list.
    pub(crate) fn finish(self) -> ValueRef {
        ValueRef::List(self.chunks)
    }

    /// Moves inline chunks to the bucket. Only those since the list outgrew its limit are inline: usually just the last one.
    async fn move_to_bucket(&mut self, output: Output<'_>) -> Result<(), ClientError> {
        for chunk in self.chunks.iter_mut().rev() {
            let ValueRef::Inline(items) = &*chunk.value else { break };
            *chunk.value = ValueRef::Blob(output.fetch.store(output.run, items.clone()).await?);
        }
        Ok(())
    }
}

/// Stores the list that a loop runs over, split into chunks. A failure if it is not a list.
pub(crate) async fn store_list(
    value: &Bytes,
    loop_text: &str,
    hints: Hints,
    output: Output<'_>,
) -> Result<Outcome, ClientError> {
    let Ok(Some(items)) = cbor::array_items(value) else {
        let message = format!("{loop_text} needs a list to run over, and got {}. Return a list.", describe(value));
        return Ok(Outcome::Failed(Failure::new(FailureKind::BadResult, message)));
    };
    let mut list = ListWriter::default();
    let mut remaining = items.as_slice();
    while !remaining.is_empty() {
        let (chunk, others) = remaining.split_at(chunk_len(remaining));
        let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        list.push(count, cbor::join_items(chunk.iter().copied()).into(), output).await?;
        remaining = others;
    }
    Ok(Outcome::Completed { value: list.finish(), hints })
}

/// Returns how many of these elements make one chunk: at least one, whatever its size.
fn chunk_len(items: &[&[u8]]) -> usize {
    let mut bytes = 0;
    let fit = items.iter().take(MAX_CHUNK_ITEMS).take_while(|item| {
        bytes += item.len();
        bytes <= MAX_CHUNK_BYTES
    });
    fit.count().max(1)
}

fn describe(value: &[u8]) -> &'static str {
    cbor::decode(value).map_or("something that is not a value", |value| value.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_bounded_in_elements_and_bytes_but_never_empty() {
        let small: Vec<&[u8]> = vec![&[1]; 2_500];
        assert_eq!(chunk_len(&small), MAX_CHUNK_ITEMS);
        let big = vec![0_u8; MAX_CHUNK_BYTES - 1];
        assert_eq!(chunk_len(&[&big, &big]), 1);
        let huge = vec![0_u8; MAX_CHUNK_BYTES * 2];
        assert_eq!(chunk_len(&[&huge, &[1]]), 1);
    }
}
