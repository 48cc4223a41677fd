//! The value of a setting.

use bue_model::plan::{AtMost, Capability, Rate};
use bytes::Bytes;

/// What a setting sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SettingValue {
    Scope(String),
    Priority(i64),
    Timeout {
        seconds: f64,
        /// Milliseconds after which the step is notified: fewer.
        soft_ms: Option<u64>,
    },
    Retries {
        count: u32,
        /// Milliseconds, after the first failed attempt and at most.
        delay: Option<(u64, u64)>,
    },
    /// Milliseconds, of the first and of the last interval.
    Every(u64, u64),
    /// Milliseconds.
    PendingLimit(u64),
    /// Milliseconds.
    Expires(u64),
    MaxHandbacks(u32),
    /// The name of a step.
    OnFailure(String),
    Rate(Rate),
    AtMost(AtMost),
    /// A CBOR map.
    With(Bytes),
    /// `@ name`, which has no effect.
    Tag,
    Allow(Vec<Capability>),
    Requires(Vec<String>),
    Files(Vec<String>),
}
