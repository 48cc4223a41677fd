//! The words everyone shares: ids, values, plans, jobs, leases, outcomes.
//!
//! Plain data with `serde` derives and nothing else: no disk, no network, no clock. It builds for `wasm32`, because the
//! Python guest speaks the same words ([`guest`]).
//!
//! ```text
//! script text --lang--> Plan --client--> Submission --hub--> Lease --worker--> guest::CallRequest
//!                                                      ^                            |
//!                                                      +---- Report <--- Outcome <--- Answer
//! ```
#![forbid(unsafe_code)]

mod bounded;
pub mod bundle;
pub mod cbor;
mod depth;
pub mod guest;
pub mod ids;
pub mod job;
mod json;
pub mod language;
pub mod net;
pub mod plan;
mod rule;
mod serde_value;
pub mod value;
pub mod wire;

pub use bundle::{Bundle, Package, SourceFile};
pub use ids::{BlobHash, CallIndex, JobId, NodeId, RateKey, RunId, StepIndex, Timestamp, Token};
pub use job::{Answer, BlobRef, Chunk, Failure, FailureKind, JobState, Outcome, RunState, ValueRef};
pub use json::Json;
pub use language::Language;
pub use plan::{Call, ForEach, Input, JobNode, Node, Plan, Step};
pub use rule::{HostPattern, NetRule, NotARule};
pub use serde_value::{NotThatType, from_value, to_value};
pub use value::{Decimal, Value};
