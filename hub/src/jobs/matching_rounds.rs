//! Which rounds of a loop in a rerun have the same elements as rounds of the same loop in the original run. Pure.
//!
//! The hub does not decode values. In short lists, whose chunks are inline, it compares the encoded elements; of longer lists, whose
//! chunks are blobs, it compares the hashes of the chunks.

use std::collections::{HashMap, HashSet, VecDeque};

use blake3::Hash;
use bue_model::{ValueRef, cbor};

use super::changes::rows::ChunkRow;
use super::columns::from_postcard;
use crate::error::HubError;

/// Rounds in a row that have the same elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MatchingRounds {
    /// The first one of the rerun.
    pub(crate) first: i64,
    pub(crate) count: i64,
    /// The first one of the original.
    pub(crate) original: i64,
}

/// Elements that are compared as one: a single one, or those of a chunk.
#[derive(Clone, Copy, Debug)]
struct Part {
    first: i64,
    count: i64,
    hash: Hash,
}

/// Returns the rounds of a list that have counterparts in the original list, in order. Each round has at most one counterpart, and
/// is the counterpart of at most one; a round whose element is still at its place keeps it.
///
/// # Errors
/// A chunk is damaged.
pub(crate) fn matching_rounds(list: &[ChunkRow], original: &[ChunkRow]) -> Result<Vec<MatchingRounds>, HubError> {
    let (parts, originals) = (parts_of(list)?, parts_of(original)?);
    let at_place: HashMap<i64, &Part> = originals.iter().map(|part| (part.first, part)).collect();
    let is_same = |part: &Part, other: &&Part| other.hash == part.hash && other.count == part.count;
    let kept: HashSet<i64> = parts
        .iter()
        .filter(|part| at_place.get(&part.first).is_some_and(|other| is_same(part, other)))
        .map(|part| part.first)
        .collect();
    let mut moved: HashMap<Hash, VecDeque<&Part>> = HashMap::new();
    for part in originals.iter().filter(|part| !kept.contains(&part.first)) {
        moved.entry(part.hash).or_default().push_back(part);
    }
    let mut matching = Vec::new();
    for part in &parts {
        let original = match kept.contains(&part.first) {
            true => Some(part.first),
            false => {
                moved.get_mut(&part.hash).and_then(VecDeque::pop_front).filter(|o| is_same(part, o)).map(|o| o.first)
            }
        };
        if let Some(original) = original {
            add(&mut matching, MatchingRounds { first: part.first, count: part.count, original });
        }
    }
    Ok(matching)
}

/// Adds rounds, to the last ones if they continue them.
fn add(matching: &mut Vec<MatchingRounds>, rounds: MatchingRounds) {
    match matching.last_mut() {
        Some(last) if last.first + last.count == rounds.first && last.original + last.count == rounds.original => {
            last.count += rounds.count;
        }
        _ => matching.push(rounds),
    }
}

fn parts_of(chunks: &[ChunkRow]) -> Result<Vec<Part>, HubError> {
    let mut parts = Vec::new();
    for chunk in chunks {
        let value: ValueRef = from_postcard(&chunk.value)?;
        match &value {
            ValueRef::Inline(bytes) => match elements(bytes, chunk.count) {
                Some(hashes) => {
                    parts.extend((chunk.first..).zip(hashes).map(|(first, hash)| Part { first, count: 1, hash }));
                }
                None => parts.push(whole(chunk)),
            },
            ValueRef::Blob(_) | ValueRef::List(_) => parts.push(whole(chunk)),
        }
    }
    Ok(parts)
}

/// Returns the hashes of the elements of a chunk, unless that is not the list of this many elements that it should be.
fn elements(chunk: &[u8], count: i64) -> Option<Vec<Hash>> {
    let items = cbor::array_items(chunk).ok()??;
    let hashes: Vec<Hash> = items.map(|item| item.map(blake3::hash)).collect::<Result<_, _>>().ok()?;
    (i64::try_from(hashes.len()) == Ok(count)).then_some(hashes)
}

fn whole(chunk: &ChunkRow) -> Part {
    Part { first: chunk.first, count: chunk.count, hash: blake3::hash(&chunk.value) }
}

#[cfg(test)]
mod tests {
    use bue_model::{BlobHash, BlobRef, Value};

    use super::*;
    use crate::jobs::columns::to_postcard;

    fn inline(elements: &[&str]) -> Vec<ChunkRow> {
        let count = i64::try_from(elements.len()).expect("few");
        let list = elements.iter().map(|element| Value::Text((*element).to_owned())).collect();
        let value = ValueRef::Inline(cbor::encode(&Value::List(list)).into());
        vec![ChunkRow { source: 1, first: 0, count, value: to_postcard(&value).expect("bytes") }]
    }

    /// Chunks in the bucket: hash and number of elements.
    fn blobs(chunks: &[(u8, i64)]) -> Vec<ChunkRow> {
        let mut first = 0;
        let row = |(hash, count): &(u8, i64)| {
            let value = ValueRef::Blob(BlobRef { hash: BlobHash([*hash; 32]), len: 9 });
            first += count;
            ChunkRow { source: 1, first: first - count, count: *count, value: to_postcard(&value).expect("bytes") }
        };
        chunks.iter().map(row).collect()
    }

    fn matching(list: &[ChunkRow], original: &[ChunkRow]) -> Vec<(i64, i64, i64)> {
        let rounds = matching_rounds(list, original).expect("no damage");
        rounds.iter().map(|rounds| (rounds.first, rounds.count, rounds.original)).collect()
    }

    #[test]
    fn elements_are_found_wherever_they_are_and_each_once() {
        assert_eq!(matching(&inline(&["a", "b", "c"]), &inline(&["a", "b", "c"])), [(0, 3, 0)]);
        assert_eq!(matching(&inline(&["x", "a", "b"]), &inline(&["a", "b"])), [(1, 2, 0)]);
        assert_eq!(matching(&inline(&["a", "c"]), &inline(&["a", "b", "c"])), [(0, 1, 0), (1, 1, 2)]);
        assert_eq!(matching(&inline(&["b", "a"]), &inline(&["a", "b"])), [(0, 1, 1), (1, 1, 0)]);
        assert_eq!(matching(&inline(&["a", "a", "a"]), &inline(&["b", "a"])), [(1, 1, 1)], "it stays where it is");
        assert_eq!(matching(&inline(&["a", "a"]), &inline(&["b", "c", "a"])), [(0, 1, 2)], "there is one");
        assert_eq!(matching(&inline(&[]), &inline(&["a"])), []);
    }

    #[test]
    fn long_lists_are_compared_in_chunks() {
        let original = blobs(&[(1, 1_000), (2, 1_000), (3, 10)]);
        assert_eq!(matching(&blobs(&[(1, 1_000), (2, 1_000), (4, 11)]), &original), [(0, 2_000, 0)]);
        assert_eq!(matching(&blobs(&[(9, 5), (1, 1_000), (3, 10)]), &original), [(5, 1_000, 0), (1_005, 10, 2_000)]);
        assert_eq!(matching(&blobs(&[(1, 999)]), &original), [], "as many elements");
    }

    #[test]
    fn a_chunk_that_is_no_list_is_compared_as_a_whole() {
        let damaged = |text: &str| {
            let value = ValueRef::Inline(text.as_bytes().to_vec().into());
            vec![ChunkRow { source: 1, first: 0, count: 3, value: to_postcard(&value).expect("bytes") }]
        };
        assert_eq!(matching(&damaged("abc"), &damaged("abc")), [(0, 3, 0)]);
        assert_eq!(matching(&damaged("abd"), &damaged("abc")), []);
    }
}
