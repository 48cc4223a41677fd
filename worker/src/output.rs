//! Stores the results of steps: small values inline, large ones in the bucket, the lists of loops in chunks.

use bue_client::ClientError;
use bue_model::cbor::Kind;
use bue_model::job::{Hints, INLINE_LIMIT};
use bue_model::{Chunk, Failure, FailureKind, Outcome, RunId, ValueRef, cbor};
use bytes::Bytes;

use crate::fetch::Fetch;

/// The size in bytes up to which a loop's list is stored inline: every job of the loop's body gets its chunk in a message.
const INLINE_LIST_LIMIT: usize = 4 * 1024;

/// What a step returned, if it is malformed.
const NO_VALUE: &str = "something that is not a value";

/// The largest number of elements in a chunk of a list that is split here.
const MAX_CHUNK_ITEMS: u32 = 1_000;

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

    /// Takes the chunks that have arrived. Those that follow are a new list.
    pub(crate) fn take(&mut self) -> Vec<Chunk> {
        self.inline_bytes = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Returns the number of chunks.
    pub(crate) const fn len(&self) -> usize {
        self.chunks.len()
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
    let mut list = ListBuilder::default();
    for item in items {
        let Ok(item) = item else {
            let message = format!("{loop_text} needs a list to run over, and got a damaged one");
            return Ok(Outcome::Failed(Failure::new(FailureKind::BadResult, message)));
        };
        list.push(item, output).await?;
    }
    Ok(Outcome::Completed { value: list.finish(output).await?, hints })
}

/// A list that arrives one element at a time.
#[derive(Debug, Default)]
pub(crate) struct ListBuilder {
    list: ListWriter,
    chunk: ChunkBuilder,
}

impl ListBuilder {
    /// Appends an encoded element.
    pub(crate) async fn push(&mut self, item: &[u8], output: Output<'_>) -> Result<(), ClientError> {
        if !self.chunk.has_room(item) {
            self.store_chunk(output).await?;
        }
        self.chunk.push(item);
        Ok(())
    }

    /// Returns the list.
    pub(crate) async fn finish(mut self, output: Output<'_>) -> Result<ValueRef, ClientError> {
        if self.chunk.count > 0 {
            self.store_chunk(output).await?;
        }
        Ok(self.list.finish())
    }

    async fn store_chunk(&mut self, output: Output<'_>) -> Result<(), ClientError> {
        let (count, items) = std::mem::take(&mut self.chunk).finish();
        self.list.push(count, items, output).await
    }
}

/// The elements of the next chunk.
#[derive(Debug, Default)]
struct ChunkBuilder {
    count: u32,
    bytes: Vec<u8>,
}

impl ChunkBuilder {
    /// Whether the element belongs to this chunk. The first one does, whatever its size.
    fn has_room(&self, item: &[u8]) -> bool {
        self.count == 0 || (self.count < MAX_CHUNK_ITEMS && self.bytes.len() + item.len() <= MAX_CHUNK_BYTES)
    }

    fn push(&mut self, item: &[u8]) {
        self.count += 1;
        self.bytes.extend_from_slice(item);
    }

    /// Returns the number of elements, and the array of them.
    fn finish(self) -> (u32, Bytes) {
        let head = cbor::array_head(self.count.into());
        (self.count, [head, self.bytes].concat().into())
    }
}

/// Describes a value without decoding it: it may have many elements.
pub(crate) fn describe(value: &[u8]) -> &'static str {
    let mut reader = cbor::Reader::new(value);
    match reader.enter() {
        Ok(Kind::List(_)) => "a list",
        Ok(Kind::Map(_)) => "a map",
        Ok(Kind::Other) => reader.item().map_or(NO_VALUE, |item| item.kind()),
        Err(_) => NO_VALUE,
    }
}

#[cfg(test)]
mod tests {
    use bue_model::Value;

    use super::*;

    /// Returns the numbers of elements of the chunks.
    fn counts(items: &[&[u8]]) -> Vec<u32> {
        let (mut chunk, mut counts) = (ChunkBuilder::default(), Vec::new());
        for item in items {
            if !chunk.has_room(item) {
                counts.push(std::mem::take(&mut chunk).finish().0);
            }
            chunk.push(item);
        }
        counts.push(chunk.finish().0);
        counts
    }

    #[test]
    fn a_chunk_is_bounded_in_elements_and_bytes_but_never_empty() {
        let small: Vec<&[u8]> = vec![&[1]; 2_500];
        assert_eq!(counts(&small), [MAX_CHUNK_ITEMS, MAX_CHUNK_ITEMS, 500]);
        let big = vec![0_u8; MAX_CHUNK_BYTES - 1];
        assert_eq!(counts(&[&big, &big]), [1, 1]);
        let huge = vec![0_u8; MAX_CHUNK_BYTES * 2];
        assert_eq!(counts(&[&huge, &[1], &[1], &huge]), [1, 2, 1]);
    }

    #[test]
    fn a_value_that_is_no_list_is_described_by_its_head() {
        let value = Value::Map(vec![(Value::Int(1), Value::Null)]);
        for (value, expected) in [(value, "a map"), (Value::Int(1), "an int"), (Value::Text("x".into()), "a text")] {
            assert_eq!(describe(&cbor::encode(&value)), expected);
        }
        // a map of 2^32 entries, none of which is there
        assert_eq!(describe(&[0xbb, 0, 0, 0, 1, 0, 0, 0, 0]), "a map");
        // a list behind a tag that is unknown
        assert_eq!(describe(&[0xd9, 0xd9, 0xf7, 0x80]), "a list");
        assert_eq!(describe(&[0xff]), NO_VALUE);
    }

    #[test]
    fn a_chunk_is_an_array_of_its_elements() {
        let mut chunk = ChunkBuilder::default();
        chunk.push(&[1]);
        chunk.push(&[0x61, b'x']);
        assert_eq!(chunk.finish(), (2, Bytes::from_static(&[0x82, 1, 0x61, b'x'])));
    }
}
