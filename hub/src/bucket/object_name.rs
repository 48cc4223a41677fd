//! The names of objects: made of hashes, ids, numbers and hexadecimal digits, never of text that a client sent.

use bue_model::value_name::check_value_name;
use bue_model::{BlobHash, RunId, Timestamp, UploadId};

use crate::error::HubError;

/// The folder of the keys' expiry times.
pub(super) const EXPIRING: &str = "expiring";
/// Holds the id of the database whose runs the references name.
pub(super) const OWNER: &str = "owner";
/// Written to check that the store is writable.
pub(super) const READY: &str = "ready";

/// `blobs/a7/a7c3…`
pub(super) fn blob(hash: &BlobHash) -> String {
    format!("{}/{hash}", blobs(hash.0[0]))
}

/// `refs/a7/a7c3…_0190…`: the run needs the blob.
pub(super) fn reference(hash: &BlobHash, run: RunId) -> String {
    format!("{}/{hash}_{run}", references(hash.0[0]))
}

/// `keys/5e/5e01…`
pub(super) fn key(hash: &BlobHash) -> String {
    format!("keys/{:02x}/{hash}", hash.0[0])
}

/// `expiring/00000001763750000000_5e01…`: sorts by time.
pub(super) fn expiry(at: Timestamp, key: &BlobHash) -> String {
    format!("{EXPIRING}/{:020}_{key}", at.0)
}

/// The folder of the blobs whose hashes begin with this byte.
pub(super) fn blobs(shard: u8) -> String {
    format!("blobs/{shard:02x}")
}

/// The folder of the references to blobs whose hashes begin with this byte.
pub(super) fn references(shard: u8) -> String {
    format!("refs/{shard:02x}")
}

/// The folder of the names of values, in an S3 store.
pub(super) const NAMES: &str = "names";
/// Bytes of a value's name that decide where it is in the order; those with the same ones are in the order of their hashes. Twice as many
/// digits and the rest of the object's name have room in the 1,024 bytes that S3 allows, with a folder before it.
pub(super) const INDEXED_BYTES: usize = 350;
/// Digits of a segment of an object's name. Servers that store objects as files allow 255 characters.
const DIGITS: usize = 200;

/// `names/7265706f727473-`: stands for the name of a value, and sorts as that does. Its bytes as digits end with `-`, which sorts before
/// all digits. If they are not all of the name, its hash follows, and the object contains the name.
pub(super) fn value_name(name: &str) -> String {
    let bytes = name.as_bytes();
    let hash = match bytes.get(..INDEXED_BYTES).filter(|indexed| indexed.len() < bytes.len()) {
        Some(_) => Key::of(name).hash.to_string(),
        None => String::new(),
    };
    format!("{}-{hash}", value_name_prefix(bytes))
}

/// Returns what the names of the objects begin with that stand for names with this beginning, or with as much of it as decides.
pub(super) fn value_name_prefix(prefix: &[u8]) -> String {
    let mut name = format!("{NAMES}/");
    for (at, byte) in prefix.iter().take(INDEXED_BYTES).enumerate() {
        if at > 0 && at * 2 % DIGITS == 0 {
            name.push('/');
        }
        name.push_str(&format!("{byte:02x}"));
    }
    name
}

/// Parses a [`value_name`]: the inner `None` means that the object contains the name; the outer one, that the name has another form.
pub(super) fn parse_value_name(name: &str) -> Option<Option<String>> {
    let (digits, hash) = name.strip_prefix(NAMES)?.split_once('-')?;
    if !hash.is_empty() {
        return Some(None);
    }
    let digits: Vec<u8> = digits.bytes().filter(|digit| *digit != b'/').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    Some(Some(String::from_utf8(bytes?).ok()?))
}

/// Parses the last segment of a [`reference`]; `None` if the name has another form.
pub(super) fn parse_reference(name: &str) -> Option<(BlobHash, RunId)> {
    let (hash, run) = name.split_once('_')?;
    Some((hash.parse().ok()?, run.parse().ok()?))
}

/// Parses the last segment of an [`expiry`]; `None` if the name has another form.
pub(super) fn parse_expiry(name: &str) -> Option<(Timestamp, BlobHash)> {
    let (at, key) = name.split_once('_')?;
    Some((Timestamp(at.parse().ok()?), key.parse().ok()?))
}

/// A valid key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The hash of its text.
    pub(super) hash: BlobHash,
    /// Its text, under which its value is listed; `None` for a part of an upload.
    pub(super) name: Option<String>,
}

impl Key {
    /// Checks a key, see [`check_value_name`].
    pub(crate) fn new(text: &str) -> Result<Self, HubError> {
        match check_value_name(text) {
            Ok(()) => Ok(Self { name: Some(text.to_owned()), ..Self::of(text) }),
            Err(reason) => Err(HubError::BadKey { key: text.chars().take(80).collect(), reason }),
        }
    }

    /// The key of a part of an upload. No client can name it: its text has a control character.
    pub(crate) fn part(upload: UploadId, part: u32) -> Self {
        Self::of(&format!("\0part/{upload}/{part}"))
    }

    fn of(text: &str) -> Self {
        Self { hash: BlobHash(*blake3::hash(text.as_bytes()).as_bytes()), name: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_of_a_value_is_not_a_key() {
        let part = format!("\0part/{}/0", uuid::Uuid::nil());
        for text in ["", "a/../b", "a\\b", &part] {
            assert!(matches!(Key::new(text), Err(HubError::BadKey { .. })), "{text:?}");
        }
        assert!(Key::new("reports/2026/käse.csv").is_ok());
        assert_ne!(Key::part(UploadId(uuid::Uuid::nil()), 1).hash, Key::part(UploadId(uuid::Uuid::nil()), 11).hash);
    }

    #[test]
    fn names_are_parsed_back_into_their_parts() {
        let (hash, run) = (BlobHash([0xa7; 32]), RunId(uuid::Uuid::from_u128(7)));
        let name = reference(&hash, run);
        let file = name.strip_prefix("refs/a7/").expect("its folder");
        assert_eq!(parse_reference(file), Some((hash, run)));
        let name = expiry(Timestamp(5), &hash);
        let file = name.strip_prefix("expiring/").expect("its folder");
        assert_eq!(parse_expiry(file), Some((Timestamp(5), hash)));
        for file in ["", "x", "a7_b", ".hidden"] {
            assert_eq!((parse_reference(file), parse_expiry(file)), (None, None), "{file}");
        }
    }
}
