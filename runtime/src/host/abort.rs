//! Why the host aborts a running guest.

use core::time::Duration;

use crate::host::net::TooManyTickets;
use crate::step::failure::TimeLimitExceeded;
use crate::step::limits::{bytes_text, time_text};

/// Returned from host functions and the epoch callback; wasmtime unwinds the guest with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestAbort {
    #[error(transparent)]
    Time(#[from] TimeLimitExceeded),
    #[error("the step computed longer than its processor limit of {}; split its work into smaller steps", time_text(*.0))]
    Cpu(Duration),
    #[error("the step gave one batch of {} for its loop, more than its result limit of {}", bytes_text(*bytes), bytes_text(*limit))]
    Batch { bytes: u64, limit: u64 },
    #[error("the step gave more than its stream limit of {} for its loop", bytes_text(*limit))]
    Stream { limit: u64 },
    #[error("the step handed over {} at once, more than its limit of {} (`result_bytes`, `net_buffered_bytes`); hand it over in pieces, or run it on a worker with higher limits", bytes_text(*bytes), bytes_text(*limit))]
    Request { bytes: u64, limit: u64 },
    #[error(transparent)]
    Tickets(#[from] TooManyTickets),
    /// Memory was refused to a SQL step, which cannot go on without.
    #[error("the step needs more memory than its limit")]
    Memory,
    #[error("the receiver of the step's elements is gone")]
    ReceiverGone,
    #[error("the guest broke its contract with the host: {0}")]
    Contract(String),
}
