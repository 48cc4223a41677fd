//! What worker, command and hub say to each other over HTTP, as postcard behind one version byte.
//!
//! | route | request | answer |
//! | --- | --- | --- |
//! | `POST /v1/runs` | [`Submission`] | [`RunId`] |
//! | `POST /v1/leases` | [`LeaseRequest`] | [`LeaseBatch`] |
//! | `POST /v1/heartbeats` | [`Heartbeat`] | [`HeartbeatAnswer`] |
//! | `POST /v1/outcomes` | [`ReportBatch`] | [`Verdict`] each, in order |
//! | `GET /v1/runs/{id}/results` | query `call`, `round` ([`ResultCursor`]) | [`ResultPage`] |
//! | `GET /v1/jobs/{id}/log` | | `Option<`[`ValueRef`]`>` |
//! | `GET /v1/jobs/{id}/task` | | [`LeaseBatch`] of that job, under no lease |
//! | `POST /v1/collections` of the bucket | [`Collection`] | [`Collected`] |
//!
//! What people and their scripts read (`GET /v1/runs/{id}`, `GET /v1/jobs/{id}`, `GET /v1/jobs/{id}/why`, `GET /v1/info`) is
//! JSON of the views below.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::depth;
use crate::ids::{JobId, RunId, Timestamp, Token};
use crate::job::{BlobRef, Chunk, Failure, JobState, Outcome, RunState, ValueRef};
use crate::language::Language;
use crate::plan::{Capability, Plan};

/// Version of the messages in this module. The first byte of every postcard body; another one is refused.
pub const WIRE_VERSION: u8 = 2;

/// Bytes of the largest request body the hub takes and of the largest answer a client takes, blobs aside.
pub const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// Media type of postcard bodies.
pub const CONTENT_TYPE: &str = "application/vnd.bue.postcard";

/// Milliseconds a lease lasts by default. Workers renew their leases four times within it, so one that misses all of them is
/// gone or cut off, and its jobs run elsewhere within ten seconds.
pub const LEASE_MS: u64 = 8_000;

/// A plan to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Made by the client; the same id again is the same run and changes nothing.
    pub run: RunId,
    /// For people: the script's path as the user gave it.
    pub name: String,
    /// What to run.
    pub plan: Plan,
    /// The [`Bundle`](crate::Bundle) of each step of the plan, in order, already in the bucket.
    pub code: Vec<BlobRef>,
}

/// A worker has room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// The worker's name for logs; unique in its life.
    pub worker: String,
    /// Scopes it serves, first ones first.
    pub scopes: Vec<String>,
    /// Last scope, lowest priority and youngest first.
    pub reverse: bool,
    /// Jobs it can take.
    pub count: u32,
    /// Milliseconds the hub may wait for work before it answers with none.
    pub wait_ms: u64,
}

/// Jobs to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeaseBatch {
    /// Milliseconds each lease lasts unless a heartbeat extends it.
    pub lease_ms: u64,
    /// The steps that the leases below run, each once.
    pub steps: Vec<LeasedStep>,
    /// The jobs.
    pub leases: Vec<Lease>,
}

/// What a worker must know of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeasedStep {
    /// The user's name for it.
    pub name: String,
    /// What runs it.
    pub language: Language,
    /// Function or table.
    pub function: String,
    /// Its bundle in the bucket.
    pub code: BlobRef,
    /// Milliseconds one attempt may take.
    pub timeout_ms: u64,
    /// For `{{scope}}` in SQL.
    pub scope: String,
    /// For `{{priority}}` in SQL.
    pub priority: i64,
    /// For `{{retries}}` in SQL.
    pub retries: u32,
    /// What it asks to be allowed.
    pub allow: Vec<Capability>,
    /// A loop runs over its result, which is reported as [`ValueRef::List`]; the text says which, for messages.
    pub loop_text: Option<String>,
}

/// The right to run a job until a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Its run.
    pub run: RunId,
    /// Must be given with every heartbeat and report.
    pub token: Token,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Position in [`LeaseBatch::steps`].
    pub step: u32,
    /// Its arguments, in order.
    pub inputs: Vec<JobInput>,
    /// CBOR map it can read as `bue.env`.
    pub env: Option<Bytes>,
    /// Its `!rate` counts by this field of its first input, and the hub opens no values. The job is not to be run yet: the
    /// worker reports the field's value as [`Outcome::Keyed`], and the job comes again when that may start.
    pub count_by: Option<String>,
}

/// One argument of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobInput {
    /// A value.
    Value(ValueRef),
    /// One element of a piece of a list.
    Element {
        /// The piece.
        chunk: Chunk,
        /// Position in the piece.
        index: u32,
    },
    /// A list of values.
    Gathered(Vec<Gathered>),
}

/// One element of a gathered list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gathered {
    /// The round's result.
    Value(ValueRef),
    /// The round was cancelled: null.
    Nothing,
}

/// A worker is alive and still runs these jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The worker.
    pub worker: String,
    /// Its jobs.
    pub leases: Vec<(JobId, Token)>,
}

/// What became of the leases of a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// Jobs that are not the worker's any more: reaped, cancelled or reset. It must stop them and report nothing.
    pub lost: Vec<JobId>,
}

/// Outcomes of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportBatch {
    /// The worker.
    pub worker: String,
    /// One a job.
    pub reports: Vec<Report>,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// Its lease's token.
    pub token: Token,
    /// What the step said.
    pub outcome: Outcome,
    /// Lines it printed, each with its time, UTF-8; `None` if it printed nothing.
    pub log: Option<ValueRef>,
    /// Milliseconds the step ran, waiting included.
    pub run_ms: u64,
}

/// What the hub made of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Taken, or taken before.
    Accepted,
    /// The lease had ended; nothing was changed.
    LeaseLost,
}

/// Part of a run's results, in the order of calls and rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultPage {
    /// The run.
    pub state: RunState,
    /// One for each call statement of the plan, in order.
    pub results: Vec<CallResult>,
    /// Jobs that failed, on the first page; the first thousand of them.
    pub failed: Vec<FailedJob>,
    /// Where the next page begins. `None` on the last page.
    pub next: Option<ResultCursor>,
}

/// A place among a run's results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultCursor {
    /// Call statements before it.
    pub call: u32,
    /// Rounds of the call's outermost loop before it. Above 0, the page's first result continues the last one of the
    /// page before.
    pub round: u64,
}

/// The value of a call statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// Line in the script.
    pub line: u32,
    /// Name the result is bound to.
    pub name: Option<String>,
    /// The value of its last job, for every round of the loops around it.
    pub value: RoundValue,
}

/// A value, once for every round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RoundValue {
    /// Cancelled, failed, or never reached.
    Nothing,
    /// The value.
    Value(ValueRef),
    /// The values of the rounds of a loop, in order.
    Rounds(#[serde(deserialize_with = "depth::bounded")] Vec<RoundValue>),
}

/// A job that failed for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedJob {
    /// The job.
    pub job: JobId,
    /// The step's name.
    pub step: String,
    /// Attempts made.
    pub attempts: u32,
    /// Worker of the last attempt.
    pub worker: Option<String>,
    /// What happened.
    pub failure: Failure,
    /// Where the last attempt's log is.
    pub log: Option<ValueRef>,
}

/// A run as people and scripts see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The run.
    pub id: RunId,
    /// The script.
    pub name: String,
    /// Where it stands.
    pub state: RunState,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When nothing was open any more.
    pub finished_at: Option<Timestamp>,
    /// Grows with every change of the run; a reader waits for a larger one.
    pub version: u64,
    /// Jobs, by step.
    pub steps: Vec<StepView>,
}

/// Jobs of one step of a run, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The step's name.
    pub name: String,
    /// Parents not completed.
    pub blocked: u64,
    /// Ready, or waiting for their time.
    pub available: u64,
    /// Being run.
    pub running: u64,
    /// Done.
    pub completed: u64,
    /// Failed for good.
    pub failed: u64,
    /// Called off.
    pub cancelled: u64,
    /// Times a job was started.
    pub attempts: u64,
    /// Attempts that ended in an error and were, or will be, tried again.
    pub retries: u64,
    /// Answers `pending`.
    pub pendings: u64,
    /// Answers `reset`.
    pub resets: u64,
    /// Milliseconds its attempts ran, added up.
    pub run_ms: u64,
}

/// A job as people and scripts see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// Its run.
    pub run: RunId,
    /// The step's name.
    pub step: String,
    /// Where it stands.
    pub state: JobState,
    /// Not before.
    pub available_at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// Parents not completed.
    pub waiting_for: u32,
    /// The worker that runs it, or ran it last.
    pub worker: Option<String>,
    /// Why it failed, or failed last.
    pub failure: Option<Failure>,
    /// Why it stays blocked for good: the job that failed.
    pub blocked_by: Option<JobId>,
}

/// What a job waits for, or what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyView {
    /// The job.
    pub job: JobView,
    /// The hub's time of this answer, to which all times in it relate.
    pub now: Timestamp,
    /// Its scope; empty where it is over.
    pub scope: String,
    /// Parents that have not completed, the first twenty.
    pub parents: Vec<ParentView>,
    /// Answers `pending` since it last began.
    pub pendings: u32,
    /// Times a worker gave it back, or was lost with it.
    pub releases: u32,
    /// When its lease ends unless a heartbeat extends it.
    pub lease_ends_at: Option<Timestamp>,
    /// When its `!rate` lets the next job start.
    pub rate_opens_at: Option<Timestamp>,
    /// Workers that served its scope in the last minute, as far as this hub has heard.
    pub served_by: Vec<String>,
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParentView {
    /// The job, or the loop.
    pub job: JobId,
    /// The step's name, or the loop's text.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// Of a loop that has begun: rounds that are over, and all of them.
    pub rounds: Option<(u64, u64)>,
}

/// What a hub says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubView {
    /// Its release.
    pub version: String,
    /// Its bucket, as `host:port` seen from the hub's machine. `None` where nobody told it.
    pub bucket: Option<String>,
}

/// What a cancel or a reset did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Jobs that were cancelled, or put back.
    pub jobs: u64,
}

/// The one shape of an error in an HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorView,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// For programs: `run_not_found`.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// What a hub tells the bucket, so that the bucket finds what nobody refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// The hub's database. A bucket serves one.
    pub database: Uuid,
    /// All runs of the database.
    pub runs: Vec<RunId>,
}

/// What the bucket threw away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// References of runs that are gone.
    pub references: u64,
    /// Blobs that nobody referred to.
    pub blobs: u64,
}
