//! The types that all crates share: ids, values, plans, jobs, leases, outcomes.
//!
//! Plain data with `serde` derives, without IO and without a clock. It also builds for `wasm32`, because the guests exchange these
//! types with their host ([`guest`]).
//!
//! ```text
//! script text --lang--> Plan --client--> Submission --hub--> Lease --worker--> guest::CallRequest
//!                                                      ^                            |
//!                                                      +---- Report <--- Outcome <--- Answer
//! ```
#![forbid(unsafe_code)]
// This crate reads what strangers send. It inherits no lints, because it is copied into projects of users.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod attempt;
#[cfg(feature = "params")]
pub mod audit;
#[cfg(feature = "params")]
pub mod bulk;
pub mod bundle;
mod call_state;
pub mod cbor;
mod encoded_json;
#[cfg(feature = "params")]
pub mod failed_jobs;
pub mod guest;
#[cfg(feature = "params")]
pub mod history;
pub mod ids;
pub mod job;
mod json;
mod key_hashes;
pub mod keys;
pub mod language;
mod length_limit;
mod list_operation;
pub mod location;
pub mod log;
mod nesting_limit;
pub mod net;
mod net_rule;
pub mod param;
#[cfg(feature = "params")]
pub mod pipeline;
pub mod plan;
mod plan_versions;
#[cfg(feature = "params")]
pub mod rerun;
#[cfg(feature = "params")]
pub mod schedule;
mod serde_value;
pub mod sql_table;
pub mod text;
pub mod trace;
pub mod value;
pub mod value_name;
mod wall_part;
pub mod wire;
pub mod words;

pub use bundle::{Bundle, Package, SourceFile};
pub use call_state::{CallState, RoundCounts};
pub use encoded_json::EncodedJson;
pub use ids::{BlobHash, CallIndex, JobId, NodeId, ParamIndex, RateKey, RunId, StepIndex, Timestamp, Token, UploadId};
pub use job::{Answer, BlobRef, Chunk, Failure, FailureKind, JobState, Outcome, RunState, ValueRef};
pub use json::Json;
pub use key_hashes::KeyHashes;
pub use language::Language;
pub use list_operation::{ListOperation, MAX_BATCH, ParseListOperationError};
pub use location::{ArgumentSummary, Round};
pub use net_rule::{HostPattern, NetRule, ParseNetRuleError, Ports};
pub use plan::{Call, Finally, ForEach, Input, JobNode, Node, Plan, Step};
pub use serde_value::{ConvertError, from_value, to_value};
pub use sql_table::{SqlColumn, SqlTable, SqlType};
pub use trace::{ParseTraceContextError, TraceContext};
pub use value::{Decimal, Value};
pub use value_name::{NamePattern, ParseNamePatternError};
pub use wall_part::WallPart;
