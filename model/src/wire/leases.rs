//! Leases: what workers request, receive and renew.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::workers::{WorkerAbilities, WorkerStatus};
use crate::ids::{JobId, RunId, Token};
use crate::job::{BlobRef, Chunk, ValueRef};
use crate::language::Language;
use crate::length_limit;
use crate::log::{LogWatch, MAX_LOG_WATCHES};
use crate::plan::Capability;
use crate::trace::TraceContext;

/// Milliseconds a lease lasts by default. Workers renew their leases four times within it, so one that misses all of them is
/// gone or cut off, and its jobs run elsewhere within ten seconds.
pub const LEASE_MS: u64 = 8_000;

/// A worker's request for jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// The worker's name, for logs. Unique while it runs.
    pub worker: String,
    /// The scopes that it serves, first ones first.
    pub scopes: Vec<String>,
    /// Whether the last scope, the lowest priority and the youngest job come first.
    pub reverse: bool,
    /// The largest number of jobs to lease.
    pub count: u32,
    /// The milliseconds that the hub may wait for jobs before it answers with none: a long poll.
    pub wait_ms: u64,
    /// Of this many leases, one goes to the job that would be served last, so that low scopes and priorities do not starve. 0 for
    /// none.
    pub anti_starvation_interval: u32,
    /// What its steps may use, for people.
    pub abilities: WorkerAbilities,
    /// What it does, for people.
    pub status: WorkerStatus,
}

/// A request without a worker, scopes and room for jobs.
impl Default for LeaseRequest {
    fn default() -> Self {
        Self {
            worker: String::new(),
            scopes: Vec::new(),
            reverse: false,
            count: 0,
            wait_ms: 0,
            anti_starvation_interval: ANTI_STARVATION_INTERVAL,
            abilities: WorkerAbilities::default(),
            status: WorkerStatus::default(),
        }
    }
}

/// [`LeaseRequest::anti_starvation_interval`] unless the worker's user sets it.
pub const ANTI_STARVATION_INTERVAL: u32 = 16;

/// Leased jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeaseBatch {
    /// The milliseconds that each lease lasts unless a heartbeat extends it.
    pub lease_ms: u64,
    /// The steps of the leases, each once.
    pub steps: Vec<LeasedStep>,
    /// The leases.
    pub leases: Vec<Lease>,
    /// The logs that somebody follows at this hub.
    #[serde(deserialize_with = "length_limit::bounded_list::<_, _, MAX_LOG_WATCHES>")]
    pub log_watches: Vec<LogWatch>,
}

/// What a worker needs to know about a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeasedStep {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: Language,
    /// The function, or the table that the first input becomes.
    pub function: String,
    /// Its bundle in the bucket.
    pub code: BlobRef,
    /// The milliseconds that an attempt may take.
    pub timeout_ms: u64,
    /// The milliseconds after which an attempt is notified, if it is: fewer than `timeout_ms`.
    pub soft_timeout_ms: Option<u64>,
    /// The value of `{{scope}}` in SQL.
    pub scope: String,
    /// The value of `{{priority}}` in SQL.
    pub priority: i64,
    /// The value of `{{retries}}` in SQL.
    pub retries: u32,
    /// The permissions that it requests.
    pub allow: Vec<Capability>,
    /// The keyword arguments of the function: a CBOR map with texts as keys. `None` if there are none.
    pub keywords: Option<Bytes>,
    /// The text of the loop that runs over its result, for messages. Such a result is reported as [`ValueRef::List`].
    pub loop_text: Option<String>,
    /// Whether elements of the result may be reported before the step ends, as a [`ListPiece`](super::ListPiece).
    pub reports_pieces: bool,
    /// The smallest `!window` of the loops that run over its result: the step is not to be further ahead of their rounds.
    pub window: Option<u32>,
}

/// A lease: the right to run a job for a limited time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Its run.
    pub run: RunId,
    /// The fencing token, which every heartbeat and report must contain.
    pub token: Token,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The position of its step in [`LeaseBatch::steps`].
    pub step: u32,
    /// Its arguments, in order.
    pub inputs: Vec<JobInput>,
    /// The CBOR map that the step can read as `bue.env`.
    pub env: Option<Bytes>,
    /// The field of its first input that its `!rate` or `!at_most` counts by. The hub never reads values, so the worker does not run the job but
    /// reports the hash of the field's value as [`Outcome::Keyed`]; the hub leases the job again when they allow it.
    pub count_by: Option<String>,
    /// The span of the attempt, which the HTTP requests of the step name as their parent. `None` unless the hub exports traces.
    pub trace: Option<TraceContext>,
    /// The elements of its list that earlier attempts reported in pieces. Rounds of a loop have started for them, so this attempt has to
    /// yield the same ones first. Its own pieces and its outcome contain only those that follow.
    pub recorded: Vec<Chunk>,
}

/// An argument of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobInput {
    /// A value.
    Value(ValueRef),
    /// An element of a chunk of a list.
    Element {
        /// The chunk.
        chunk: Chunk,
        /// The position in the chunk.
        index: u32,
    },
    /// A gathered list.
    Gathered(Vec<Gathered>),
    /// A part of an element that is a list itself.
    Part {
        /// The chunk.
        chunk: Chunk,
        /// The position of the element in the chunk.
        index: u32,
        /// The position of the part in the element.
        part: u32,
    },
}

/// An element of a gathered list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gathered {
    /// The round's result.
    Value(ValueRef),
    /// The round was cancelled; the element is null.
    Nothing,
}

/// A worker's message that it is alive and still runs these jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The worker's name.
    pub worker: String,
    /// Its leases.
    pub leases: Vec<(JobId, Token)>,
    /// What it does, for people.
    pub status: WorkerStatus,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The jobs that the worker no longer holds a lease of: reaped, cancelled or reset. It must stop them and report nothing.
    pub lost: Vec<JobId>,
    /// The logs that somebody follows at this hub.
    #[serde(deserialize_with = "length_limit::bounded_list::<_, _, MAX_LOG_WATCHES>")]
    pub log_watches: Vec<LogWatch>,
}
