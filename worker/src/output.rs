//! Puts what a step gave where it belongs: small values inline, large ones in the bucket, a loop's list in pieces.

use bue_client::ClientError;
use bue_model::job::{Hints, INLINE_LIMIT};
use bue_model::{Chunk, Failure, FailureKind, Outcome, RunId, ValueRef, cbor};
use bytes::Bytes;

use crate::fetch::Fetch;

/// A loop's list stays inline up to this many bytes in all, since every job of the loop's body is sent its piece.
const INLINE_LIST_LIMIT: usize = 4 * 1024;

/// Elements of one piece, where a list is cut up here.
const CHUNK_ITEMS: usize = 1_000;

/// Bytes of one piece, where a list is cut up here.
const CHUNK_BYTES: usize = 64 * 1024;

/// The bucket, for what a run gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output<'a> {
    pub(crate) fetch: &'a Fetch,
    pub(crate) run: RunId,
}

impl Output<'_> {
    /// A value of any size.
    pub(crate) async fn store(self, value: Bytes) -> Result<ValueRef, ClientError> {
        match value.len() <= INLINE_LIMIT {
            true => Ok(ValueRef::Inline(value)),
            false => self.fetch.store(self.run, value).await.map(ValueRef::Blob),
        }
    }
}

/// A list that arrives piece by piece.
#[derive(Debug, Default)]
pub(crate) struct ListWriter {
    chunks: Vec<Chunk>,
    inline_bytes: usize,
}

impl ListWriter {
    /// Takes a piece: a CBOR array of `count` elements.
    pub(crate) async fn push(&mut self, count: u32, items: Bytes, output: Output<'_>) -> Result<(), ClientError> {
        self.inline_bytes += items.len();
        self.chunks.push(Chunk { count, value: Box::new(ValueRef::Inline(items)) });
        match self.inline_bytes > INLINE_LIST_LIMIT {
            true => self.move_out(output).await,
            false => Ok(()),
        }
    }

    /// The list.
    pub(crate) fn finish(self) -> ValueRef {
        ValueRef::List(self.chunks)
    }

    /// Only the pieces that came since the list outgrew its limit are inline: usually the last one alone.
    async fn move_out(&mut self, output: Output<'_>) -> Result<(), ClientError> {
        for chunk in self.chunks.iter_mut().rev() {
            let ValueRef::Inline(items) = &*chunk.value else { break };
            *chunk.value = ValueRef::Blob(output.fetch.store(output.run, items.clone()).await?);
        }
        Ok(())
    }
}

/// A whole list that a loop runs over, cut into pieces; a failure if it is no list.
pub(crate) async fn cut_list(
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
    let mut rest = items.as_slice();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(piece_length(rest));
        let count = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        list.push(count, cbor::join_items(piece.iter().copied()).into(), output).await?;
        rest = behind;
    }
    Ok(Outcome::Completed { value: list.finish(), hints })
}

/// How many of these elements make one piece: at least one, whatever its size.
fn piece_length(items: &[&[u8]]) -> usize {
    let mut bytes = 0;
    let fit = items.iter().take(CHUNK_ITEMS).take_while(|item| {
        bytes += item.len();
        bytes <= CHUNK_BYTES
    });
    fit.count().max(1)
}

fn describe(value: &[u8]) -> &'static str {
    cbor::decode(value).map_or("something that is no value", |value| value.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_bounded_in_elements_and_bytes_but_never_empty() {
        let small: Vec<&[u8]> = vec![&[1]; 2_500];
        assert_eq!(piece_length(&small), CHUNK_ITEMS);
        let big = vec![0_u8; CHUNK_BYTES - 1];
        assert_eq!(piece_length(&[&big, &big]), 1);
        let huge = vec![0_u8; CHUNK_BYTES * 2];
        assert_eq!(piece_length(&[&huge, &[1]]), 1);
    }
}
