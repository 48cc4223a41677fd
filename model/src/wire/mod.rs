//! The messages between workers, command, hub and bucket: postcard after one version byte, over HTTP.
//!
//! | route | request | answer |
//! | --- | --- | --- |
//! | `POST /v1/runs` | [`Submission`] | [`RunId`](crate::RunId) |
//! | `POST /v1/leases` | [`LeaseRequest`] | [`LeaseBatch`] |
//! | `POST /v1/heartbeats` | [`Heartbeat`] | [`HeartbeatAnswer`] |
//! | `POST /v1/outcomes` | [`ReportBatch`] | [`Verdict`] each, in order |
//! | `POST /v1/pieces` | [`ListPiece`] | [`PieceVerdict`] |
//! | `GET /v1/runs/{id}/results` | query `call`, `round` ([`ResultCursor`]) | [`ResultPage`] |
//! | `GET /v1/jobs/{id}/log` | | `Option<`[`ValueRef`](crate::ValueRef)`>` |
//! | `GET /v1/jobs/{id}/task` | | [`LeaseBatch`] of that job, under no lease |
//! | `POST /v1/collections` of the bucket | [`Collection`] | [`Collected`] |
//!
//! What people and scripts read (`GET /v1/runs/{id}`, `GET /v1/runs/{id}/jobs`, `GET /v1/jobs/{id}`, `GET /v1/jobs/{id}/why`,
//! `GET /v1/workers`, `GET /v1/info`) is JSON of the views below.

mod collections;
mod errors;
mod jobs;
mod leases;
mod pieces;
mod reports;
mod results;
mod runs;
mod workers;

use serde::{Deserialize, Serialize};

pub use collections::{Collected, Collection};
pub use errors::{ErrorBody, ErrorView, FieldError};
pub use jobs::{AtMostView, JobPage, JobQuery, JobView, MAX_ATTEMPT_VIEWS, ParentView, WhyView};
pub use leases::{
    ANTI_STARVATION_INTERVAL, Gathered, Heartbeat, HeartbeatAnswer, JobInput, LEASE_MS, Lease, LeaseBatch,
    LeaseRequest, LeasedStep,
};
pub use pieces::{ListPiece, PieceVerdict};
pub use reports::{Report, ReportBatch, Verdict};
pub use results::{CallResult, FailedJob, NoValue, ResultCursor, ResultPage, RoundValue};
pub use runs::{
    Changed, JobCounts, MAX_STEP_VIEWS, RunPage, RunPipeline, RunView, StepView, Submission, UnservedScope,
};
pub use workers::{MAX_HOST, WorkerAbilities, WorkerStatus, WorkerView};

/// The version of the messages in this module. It is the first byte of every postcard body; servers and clients refuse any other.
pub const WIRE_VERSION: u8 = 12;

/// The size in bytes of the largest request body that the hub accepts and of the largest answer that a client accepts, except for
/// blobs.
pub const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// The media type of postcard bodies.
pub const CONTENT_TYPE: &str = "application/vnd.bue.postcard";

/// Information about a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubView {
    /// Its version of bue.
    pub version: String,
    /// The address of its bucket, `host:port`, as seen from the hub's machine. `None` if it is not configured.
    pub bucket: Option<String>,
    /// The scopes that the token of the request is for. Empty if it is for all scopes, or if there is no token.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The version of its postcard messages, [`WIRE_VERSION`]. 0 for a hub that does not say it.
    #[serde(default)]
    pub wire: u8,
}
