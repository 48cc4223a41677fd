//! One SQL step, as it is sent to the guest.

use serde::{Deserialize, Serialize};

use crate::result::RowLimits;
use crate::text::SqlText;

/// A request to execute a step. The inputs are read from the [`Host`](super::Host).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRequest {
    /// The statements.
    pub sql: SqlText,
    /// The table that the first input becomes, as in a plan.
    pub table: String,
    /// The length of each input in bytes.
    pub inputs: Vec<u64>,
    /// Whether a loop runs over the rows. They are then emitted instead of being returned as a list.
    pub is_streamed: bool,
    /// The limits of the rows.
    pub limits: RowLimits,
    /// The memory of the guest in bytes, for messages.
    pub memory_bytes: u64,
}
