//! A job's states, what a step said ([`Answer`]) and what a worker reports of it ([`Outcome`]).

use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{BlobHash, RateKey};

/// Values up to this many bytes travel inside messages and rows; larger ones by reference, through the bucket.
pub const INLINE_LIMIT: usize = 64 * 1024;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Not all parents have completed.
    Blocked,
    /// Ready, now or from a later time on.
    Available,
    /// A worker holds a lease.
    Running,
    /// Final: it has a value.
    Completed,
    /// Final: its attempts are used up.
    Failed,
    /// Final: called off.
    Cancelled,
}

impl JobState {
    /// As written in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Available => "available",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Something may still happen by itself.
    Running,
    /// Nothing is open and nothing failed.
    Completed,
    /// Nothing is open and some job failed.
    Failed,
    /// The user called it off.
    Cancelled,
}

impl RunState {
    /// As written in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A blob in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// Its name.
    pub hash: BlobHash,
    /// Its length in bytes.
    pub len: u64,
}

/// A stored value (CBOR), or where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueRef {
    /// At most [`INLINE_LIMIT`] bytes of CBOR.
    Inline(Bytes),
    /// CBOR in the bucket.
    Blob(BlobRef),
    /// A list in pieces: what a loop runs over. Its elements can be reached without reading all of it.
    List(Vec<Chunk>),
}

/// A piece of a list: a CBOR array of `count` elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Elements in it.
    pub count: u32,
    /// [`ValueRef::Inline`] or [`ValueRef::Blob`], never a list again: bytes that say so are refused.
    #[serde(deserialize_with = "flat")]
    pub value: Box<ValueRef>,
}

/// Reads a [`ValueRef`] that is no list. Its variants are the first two of [`ValueRef`], so the bytes are the same, and
/// hostile bytes cannot make the reader recurse.
fn flat<'de, D: Deserializer<'de>>(from: D) -> Result<Box<ValueRef>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename = "ValueRef")]
    enum Flat {
        Inline(Bytes),
        Blob(BlobRef),
    }
    Ok(Box::new(match Flat::deserialize(from)? {
        Flat::Inline(bytes) => ValueRef::Inline(bytes),
        Flat::Blob(blob) => ValueRef::Blob(blob),
    }))
}

/// What a step's code said, before it is stored anywhere. Made by a guest, passed on by the sandbox host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It has a result.
    Completed {
        /// CBOR. Empty where `streamed`.
        value: Bytes,
        /// The result is a list whose elements were emitted one batch after the other while the step ran.
        streamed: bool,
        /// What the dependants inherit.
        hints: Hints,
    },
    /// Run it again later with the same inputs.
    Pending {
        /// Milliseconds to wait, where the step says so.
        delay_ms: Option<u64>,
    },
    /// Start its call again from the first step.
    Reset {
        /// Milliseconds to wait, where the step says so.
        delay_ms: Option<u64>,
    },
    /// Call off its call and what depends on it.
    Cancelled,
    /// One attempt failed.
    Failed(Failure),
}

/// What a `Result` may say about the jobs that depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Their priority.
    pub priority: Option<i64>,
    /// CBOR map they can read as `bue.env`.
    pub env: Option<Bytes>,
}

/// What a worker reports of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It has a result.
    Completed {
        /// Stored before this is reported. For the source of a loop: a [`ValueRef::List`].
        value: ValueRef,
        /// What the dependants inherit.
        hints: Hints,
    },
    /// Run it again later with the same inputs.
    Pending {
        /// Milliseconds to wait, where the step says so.
        delay_ms: Option<u64>,
    },
    /// Start its call again from the first step.
    Reset {
        /// Milliseconds to wait, where the step says so.
        delay_ms: Option<u64>,
    },
    /// Call off its call and what depends on it.
    Cancelled,
    /// One attempt failed.
    Failed(Failure),
    /// The worker gives the job back without an attempt being counted: it drains, or a sandbox host died under it.
    Released {
        /// For the log.
        reason: String,
    },
    /// It was not run: the hub had asked what its start counts as ([`Lease::count_by`](crate::wire::Lease::count_by)).
    Keyed {
        /// That.
        key: RateKey,
    },
}

/// Why an attempt failed, for people and for scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub kind: FailureKind,
    /// What happened, where, and what to do: complete sentences.
    pub message: String,
    /// The traceback, where the language has one. Names the user's files and lines.
    pub trace: Option<String>,
    /// Milliseconds the other side asked us to wait (`Retry-After`).
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure with a message and nothing else.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), trace: None, retry_after_ms: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The step raised, or said `error`.
    Raised,
    /// It went over a limit, which the message names with its value.
    Limit,
    /// It asked for something it may not have.
    Denied,
    /// Its inputs are not what its language needs.
    BadInput,
    /// Its result cannot travel, or is not an answer.
    BadResult,
    /// Its code cannot be loaded: no such function, a syntax error, an import that fails.
    BadCode,
    /// The guest stopped in a way that is no exception of its language.
    Trap,
    /// bue itself failed; no fault of the step.
    Internal,
}

impl FailureKind {
    /// As written in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Limit => "limit",
            Self::Denied => "denied",
            Self::BadInput => "bad_input",
            Self::BadResult => "bad_result",
            Self::BadCode => "bad_code",
            Self::Trap => "trap",
            Self::Internal => "internal",
        }
    }
}
