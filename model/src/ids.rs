//! Ids. Each is a distinct type, so that a job's id cannot be passed where a node's is expected.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of a run: one submission of a plan. The client generates it, so that submitting is idempotent: a random UUID, so that its
/// first characters suffice to name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub Uuid);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// The id of an upload: a value that is sent to the bucket in parts, before it gets its name. The bucket generates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UploadId(pub Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// The id of a job: one execution of a step in a run. Assigned by the store, in which it is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a node of a plan: its position in order of creation, counting loops and their bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in [`Plan::steps`](crate::Plan::steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepIndex(pub u32);

impl StepIndex {
    /// Returns it as an index into a slice.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A position in [`Plan::calls`](crate::Plan::calls).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallIndex(pub u32);

impl CallIndex {
    /// Returns it as an index into a slice.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A position in the list of a script's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParamIndex(pub u32);

impl ParamIndex {
    /// Returns it as an index into a slice.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The token of a lease. Heartbeats and reports carry it: the number tells the hub which lease of the job is meant, the seal that
/// it granted that lease to the sender.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token {
    /// The fencing number. It grows with every lease of the same job, so a report under an older lease is recognised.
    pub number: u64,
    /// A message authentication code of the hub over the job, the number and the worker. Zeros inside the hub, which checks the
    /// seal when a request arrives.
    pub seal: [u8; 16],
}

impl Token {
    /// Returns a token without a seal, which hubs reject.
    #[must_use]
    pub const fn unsealed(number: u64) -> Self {
        Self { number, seal: [0; 16] }
    }
}

impl fmt::Debug for Token {
    /// Omits the seal, which is a secret of the worker.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.number)
    }
}

/// A hash of the field that a `!rate … by FIELD` counts by: inputs with the same value in it have the same key. Computed by workers,
/// because the hub never reads values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RateKey(pub [u8; 16]);

/// Milliseconds since 1970-01-01T00:00:00Z by the hub's clock, the only one that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the time `ms` milliseconds later, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Returns the milliseconds since `earlier`, or 0 if `earlier` is later.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// The BLAKE3 hash of a blob's bytes: its name in the bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobHash(pub [u8; 32]);

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The error for a text that is not 64 hexadecimal digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob's hash is 64 hexadecimal digits")]
pub struct ParseHashError;

impl FromStr for BlobHash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ParseHashError);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0, |byte, digit| match digit {
                b'0'..=b'9' => Ok(byte << 4 | (digit - b'0')),
                b'a'..=b'f' => Ok(byte << 4 | (digit - b'a' + 10)),
                _ => Err(ParseHashError),
            })?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_a_round_trip() {
        let hash = BlobHash([0xa7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("a7".parse::<BlobHash>(), Err(ParseHashError));
        assert_eq!("g".repeat(64).parse::<BlobHash>(), Err(ParseHashError));
    }

    #[test]
    fn time_saturates() {
        assert_eq!(Timestamp(1).plus_ms(u64::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(1).since_ms(Timestamp(5)), 0);
    }
}
