//! Pieces of lists: what a running attempt has yielded, reported before it ends.

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, RunId, Token};
use crate::job::Chunk;

/// The next elements of the list that a running attempt yields. The rounds of the loops that run over it start for them.
///
/// Sending it twice is harmless: the position says which elements are recorded already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPiece {
    /// The worker's name.
    pub worker: String,
    /// The run.
    pub run: RunId,
    /// The job whose list it is.
    pub job: JobId,
    /// The token of its lease.
    pub token: Token,
    /// The number of elements before it.
    pub first: u64,
    /// The elements. None to wait for room in the windows of the loops.
    pub chunks: Vec<Chunk>,
    /// The milliseconds that the hub may wait for room, if there is none, before it answers.
    pub wait_ms: u64,
}

/// The hub's answer to a [`ListPiece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PieceVerdict {
    /// Recorded, now or by an earlier request. More elements are welcome.
    Accepted,
    /// Recorded, and as many rounds as the `!window` of a loop allows have not ended: the step is to wait.
    WindowFull,
    /// The lease had ended. The piece changed nothing.
    LeaseLost,
}
