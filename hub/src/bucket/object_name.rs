//! The names of objects: made of hashes, ids and numbers, never of text that a client sent.

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

/// A valid key, as the hash of its text.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub(super) BlobHash);

impl Key {
    /// Checks a key, see [`check_value_name`].
    pub(crate) fn new(text: &str) -> Result<Self, HubError> {
        match check_value_name(text) {
            Ok(()) => Ok(Self::of(text)),
            Err(reason) => Err(HubError::BadKey { key: text.chars().take(80).collect(), reason }),
        }
    }

    /// The key of a part of an upload. No client can name it: its text has a control character.
    pub(crate) fn part(upload: UploadId, part: u32) -> Self {
        Self::of(&format!("\0part/{upload}/{part}"))
    }

    fn of(text: &str) -> Self {
        Self(BlobHash(*blake3::hash(text.as_bytes()).as_bytes()))
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
        assert_ne!(Key::part(UploadId(uuid::Uuid::nil()), 1).0, Key::part(UploadId(uuid::Uuid::nil()), 11).0);
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
