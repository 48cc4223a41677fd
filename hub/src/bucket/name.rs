//! Where things are kept: names made of hashes, ids and numbers, never of what a client sent.

use bue_model::{BlobHash, RunId, Timestamp};

use crate::error::HubError;

/// Bytes of a key.
const MAX_KEY: usize = 1024;

/// Folder of the expiries of keys.
pub(super) const EXPIRING: &str = "expiring";
/// Whose runs the blobs are kept for.
pub(super) const OWNER: &str = "owner";
/// What was written to see whether anything can be.
pub(super) const READY: &str = "ready";

/// `blobs/a7/a7c3…`
pub(super) fn blob(hash: &BlobHash) -> String {
    format!("{}/{hash}", blobs(hash.0[0]))
}

/// `refs/a7/a7c3…_0190…`: the blob is wanted by the run.
pub(super) fn reference(hash: &BlobHash, run: RunId) -> String {
    format!("{}/{hash}_{run}", references(hash.0[0]))
}

/// `keys/5e/5e01…`
pub(super) fn key(hash: &BlobHash) -> String {
    format!("keys/{:02x}/{hash}", hash.0[0])
}

/// `expiring/00000001763750000000_5e01…`: in the order of time.
pub(super) fn expiry(at: Timestamp, key: &BlobHash) -> String {
    format!("{EXPIRING}/{:020}_{key}", at.0)
}

/// The folder of the blobs whose hashes begin with a byte.
pub(super) fn blobs(shard: u8) -> String {
    format!("blobs/{shard:02x}")
}

/// The folder of their references.
pub(super) fn references(shard: u8) -> String {
    format!("refs/{shard:02x}")
}

/// What [`reference`] was made of; `None` for a file of somebody else.
pub(super) fn read_reference(file: &str) -> Option<(BlobHash, RunId)> {
    let (hash, run) = file.split_once('_')?;
    Some((hash.parse().ok()?, run.parse().ok()?))
}

/// What [`expiry`] was made of.
pub(super) fn read_expiry(file: &str) -> Option<(Timestamp, BlobHash)> {
    let (at, key) = file.split_once('_')?;
    Some((Timestamp(at.parse().ok()?), key.parse().ok()?))
}

/// A key's name, checked: the hash of its text.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub(super) BlobHash);

impl Key {
    /// A name is parts with `/` between them; no part is empty, `.` or `..`, and nothing in it is invisible.
    pub(crate) fn new(text: &str) -> Result<Self, HubError> {
        let refuse = |reason| Err(HubError::BadKey { key: text.chars().take(80).collect(), reason });
        if text.is_empty() || text.len() > MAX_KEY {
            return refuse("it is empty or longer than 1024 bytes");
        }
        if text.chars().any(|letter| letter.is_control() || letter == '\\') {
            return refuse("it has a control character or a backslash");
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse("a part of it is empty, `.` or `..`");
        }
        Ok(Self(BlobHash(*blake3::hash(text.as_bytes()).as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_lead_elsewhere_is_no_key() {
        for text in ["", "..", "a/../b", "/etc/passwd", "a//b", "a/", ".", "a\\b", "a\0b", "a\nb", "a\u{85}b"] {
            assert!(matches!(Key::new(text), Err(HubError::BadKey { .. })), "{text:?}");
        }
        assert!(Key::new(&"a".repeat(1025)).is_err());
        for text in ["a", "reports/2026/käse.csv", "...", "a b", "%2e%2e", "‥/a", "．．/a"] {
            assert!(Key::new(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn what_a_name_was_made_of_is_read_back() {
        let (hash, run) = (BlobHash([0xa7; 32]), RunId(uuid::Uuid::from_u128(7)));
        let name = reference(&hash, run);
        let file = name.strip_prefix("refs/a7/").expect("its folder");
        assert_eq!(read_reference(file), Some((hash, run)));
        let name = expiry(Timestamp(5), &hash);
        let file = name.strip_prefix("expiring/").expect("its folder");
        assert_eq!(read_expiry(file), Some((Timestamp(5), hash)));
        for file in ["", "x", "a7_b", ".hidden"] {
            assert_eq!((read_reference(file), read_expiry(file)), (None, None), "{file}");
        }
    }
}
