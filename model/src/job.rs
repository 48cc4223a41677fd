//! The states of jobs, the answer of a step ([`Answer`]), and the outcome that a worker reports ([`Outcome`]).

use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{BlobHash, RateKey};
use crate::words::sentence;

/// The size in bytes up to which values are stored inline, in messages and rows. Larger ones are blobs in the bucket.
pub const INLINE_LIMIT: usize = 64 * 1024;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Not all parents have completed.
    Blocked,
    /// Ready to be leased, now or from a later time on.
    Available,
    /// A worker holds a lease.
    Running,
    /// Final: it has a result.
    Completed,
    /// Final: its attempts are used up.
    Failed,
    /// Final: it was cancelled.
    Cancelled,
}

impl JobState {
    /// All states, from the first to the final ones.
    pub const ALL: [Self; 6] =
        [Self::Blocked, Self::Available, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// Returns its name in JSON and tables.
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

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Some job may still run.
    Running,
    /// All jobs are final, and none failed.
    Completed,
    /// No job can run any more, and some job failed.
    Failed,
    /// The user cancelled it.
    Cancelled,
}

impl RunState {
    /// Returns its name in JSON and tables.
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

/// A reference to a blob in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// Its hash, which is its name.
    pub hash: BlobHash,
    /// Its length in bytes.
    pub len: u64,
}

/// A stored value (CBOR), or a reference to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueRef {
    /// At most [`INLINE_LIMIT`] bytes of CBOR.
    Inline(Bytes),
    /// CBOR in the bucket.
    Blob(BlobRef),
    /// A list in chunks: the elements of a loop. An element can be read without the whole list.
    List(Vec<Chunk>),
}

/// A part of a list: a CBOR array of `count` elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The number of its elements.
    pub count: u32,
    /// [`ValueRef::Inline`] or [`ValueRef::Blob`]. A nested list is refused when it is read.
    #[serde(deserialize_with = "flat")]
    pub value: Box<ValueRef>,
}

/// Reads a [`ValueRef`] that is not a list. Its variants are the first two of [`ValueRef`], so the encoding is the same, and
/// hostile bytes cannot cause recursion.
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

/// What a step returned. Produced by a guest, passed on by the sandbox host, not stored yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It has a result.
    Completed {
        /// The result as CBOR. Empty if `streamed`.
        value: Bytes,
        /// Whether the result is a list whose elements were emitted in batches while the step ran.
        streamed: bool,
        /// What its dependants inherit.
        hints: Hints,
    },
    /// Run it again later with the same inputs.
    Pending {
        /// The milliseconds to wait, if the step gave them.
        delay_ms: Option<u64>,
        /// The scope in which it runs from now on, if the step gave one.
        scope: Option<String>,
    },
    /// Restart its call from the first step.
    Reset {
        /// The milliseconds to wait, if the step gave them.
        delay_ms: Option<u64>,
    },
    /// Cancel its call and everything that depends on it.
    Cancelled,
    /// The attempt failed.
    Failed(Failure),
}

/// What a step's `Result` may set for the jobs that depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Their priority.
    pub priority: Option<i64>,
    /// The CBOR map that they can read as `bue.env`.
    pub env: Option<Bytes>,
    /// Their scope.
    pub scope: Option<String>,
}

/// The outcome of an attempt, as the worker reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It has a result.
    Completed {
        /// Its result, stored before it is reported. A [`ValueRef::List`] if a loop runs over it.
        value: ValueRef,
        /// What its dependants inherit.
        hints: Hints,
    },
    /// Run it again later with the same inputs.
    Pending {
        /// The milliseconds to wait, if the step gave them.
        delay_ms: Option<u64>,
        /// The scope in which it runs from now on, if the step gave one.
        scope: Option<String>,
    },
    /// Restart its call from the first step.
    Reset {
        /// The milliseconds to wait, if the step gave them.
        delay_ms: Option<u64>,
    },
    /// Cancel its call and everything that depends on it.
    Cancelled,
    /// The attempt failed.
    Failed(Failure),
    /// The worker releases the job, and the attempt does not count: the worker is draining, or the sandbox host died.
    Released {
        /// The reason, for the log.
        reason: String,
        /// Whether only this job was affected, so that none beside it can be the cause.
        alone: bool,
    },
    /// The job was not run: the hub asked for the rate key of its input ([`Lease::count_by`](crate::wire::Lease::count_by)).
    Keyed {
        /// The rate key.
        key: RateKey,
    },
}

/// Why an attempt failed, for people and for scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// What happened, where, and what to do, in complete sentences.
    pub message: String,
    /// The traceback, if the language has one, with the user's files and lines.
    pub trace: Option<String>,
    /// The milliseconds that a server asked to wait (`Retry-After`).
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// Creates a failure with a message and nothing else.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), trace: None, retry_after_ms: None }
    }

    /// Creates the failure of a step that exceeded a limit. The message is a part of a sentence.
    #[must_use]
    pub fn limit(message: &str) -> Self {
        Self::new(FailureKind::Limit, sentence(message))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The step raised an exception or returned an error.
    Raised,
    /// It exceeded a limit, which the message names with its value.
    Limit,
    /// It asked for something that it is not allowed.
    Denied,
    /// Its inputs do not suit its language.
    BadInput,
    /// Its result cannot be encoded, or is not an answer.
    BadResult,
    /// Its code cannot be loaded: no such function, a syntax error, an import that fails.
    BadCode,
    /// The guest trapped.
    Trap,
    /// bue itself failed; the step is not at fault.
    Internal,
}

impl FailureKind {
    /// Returns its name in JSON and tables.
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
