//! [`ListReport`]: the list that a running step yields, on its way to the hub.
//!
//! A list that is complete within a second is a part of the outcome. Of a step that yields for longer, the worker reports the elements so
//! far, in pieces, so that the rounds of its loop start. One piece is on its way at a time; what arrives meanwhile is the next one. If
//! the window of a loop is full, or many elements wait, the step is suspended: its sandbox host sends no more before the last ones
//! are acknowledged.
//!
//! If an earlier attempt reported elements, this one has to yield the same ones first. They are compared and not reported again.

use std::sync::Arc;
use std::time::Duration;

use bue_client::{Backoff, ClientError, HubClient};
use bue_model::wire::{Lease, LeasedStep, ListPiece, PieceVerdict};
use bue_model::{Chunk, Failure, FailureKind, ValueRef};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::fetch::FetchError;
use crate::output::{ListWriter, Output};
use crate::recorded_list::{RecordedError, RecordedList};
use crate::reporter::is_permanent;

/// How long a list may grow before its elements are reported in pieces.
const FIRST_PIECE: Duration = Duration::from_secs(1);

/// Chunks that may wait for the next piece. Each has some 50 KB, most of them in the bucket.
const MAX_WAITING: usize = 64;

/// The milliseconds that the hub may wait for room in a window before it answers.
const ROOM_POLL_MS: u64 = 30_000;

/// Sends pieces.
#[derive(Clone, Debug)]
pub(crate) struct PieceSender {
    /// The worker's name.
    pub(crate) worker: String,
    pub(crate) hub: Arc<HubClient>,
}

/// Why a list cannot be reported.
#[derive(Debug)]
pub(crate) enum ListReportError {
    /// The step is at fault: the attempt failed.
    Failed(Failure),
    /// The lease has ended.
    LeaseLost,
    /// A recorded element could not be read.
    Fetch(FetchError),
    /// Elements could not be stored.
    Store(ClientError),
}

impl From<RecordedError> for ListReportError {
    fn from(error: RecordedError) -> Self {
        match error {
            RecordedError::Failed(failure) => Self::Failed(failure),
            RecordedError::Fetch(error) => Self::Fetch(error),
        }
    }
}

impl From<ClientError> for ListReportError {
    fn from(error: ClientError) -> Self {
        Self::Store(error)
    }
}

/// The list of a running step.
pub(crate) struct ListReport<'a> {
    output: Output<'a>,
    recorded: RecordedList,
    /// What follows the elements that are recorded, and is on no way to the hub.
    waiting: ListWriter,
    /// `None` if the list is reported as a whole.
    pieces: Option<Pieces>,
}

impl<'a> ListReport<'a> {
    /// Creates the report of a list that is empty. Without a sender, it is a part of the outcome as a whole.
    pub(crate) fn new(lease: &Lease, step: &LeasedStep, output: Output<'a>, sender: Option<&PieceSender>) -> Self {
        let recorded = RecordedList::new(lease, step);
        let sender = sender.filter(|_| step.reports_pieces);
        let pieces = sender.map(|sender| Pieces::new(sender.clone(), lease, step.window, recorded.count()));
        Self { output, recorded, waiting: ListWriter::default(), pieces }
    }

    /// Adds elements: a CBOR array of `count`. Whether they may be reported before the step ends is `early`.
    pub(crate) async fn push(&mut self, count: u32, items: Bytes, early: bool) -> Result<(), ListReportError> {
        if let Some((count, items)) = self.recorded.skip(count, items, self.output).await? {
            self.waiting.push(count, items, self.output).await?;
        }
        if let Some(pieces) = &mut self.pieces {
            pieces.is_early = early;
            pieces.send_if_due(&mut self.waiting);
        }
        Ok(())
    }

    /// Whether the step may go on.
    pub(crate) fn takes_more(&self) -> bool {
        self.pieces.as_ref().is_none_or(|pieces| pieces.takes_more(&self.waiting))
    }

    /// Whether the step may go on before the elements that it has just yielded are stored.
    pub(crate) fn lets_run_ahead(&self) -> bool {
        self.takes_more() && !self.pieces.as_ref().is_some_and(|pieces| pieces.has_window)
    }

    /// Waits until the report has made progress: then ask again whether the step may go on. Cancel safe.
    pub(crate) async fn progress(&mut self) -> Result<(), ListReportError> {
        let Some(pieces) = &mut self.pieces else { return std::future::pending().await };
        pieces.progress(&self.waiting).await?;
        pieces.send_if_due(&mut self.waiting);
        Ok(())
    }

    /// Checks that nothing was reported of a list that arrives as one value.
    pub(crate) fn expect_nothing(&self) -> Result<(), ListReportError> {
        let reported = self.pieces.as_ref().map_or(self.recorded.count(), |pieces| pieces.next.first);
        if reported == 0 { Ok(()) } else { Err(self.recorded.cannot_be_compared().into()) }
    }

    /// Returns the end of the list, which follows what is recorded, when no piece is on its way any more.
    pub(crate) async fn finish(mut self) -> Result<ValueRef, ListReportError> {
        self.recorded.expect_all()?;
        if let Some(pieces) = &mut self.pieces {
            pieces.settle().await?;
        }
        Ok(self.waiting.finish())
    }
}

/// A request on its way.
type InFlight = BoxFuture<'static, Result<PieceVerdict, ClientError>>;

/// The pieces of a list.
struct Pieces {
    sender: PieceSender,
    /// The next piece, without elements. Its position is that of the first element that is not recorded.
    next: ListPiece,
    has_window: bool,
    /// When elements are reported that have arrived until then.
    begins_at: Instant,
    is_early: bool,
    is_full: bool,
    in_flight: Option<InFlight>,
}

impl Pieces {
    fn new(sender: PieceSender, lease: &Lease, window: Option<u32>, first: u64) -> Self {
        let worker = sender.worker.clone();
        let (run, job, token) = (lease.run, lease.job, lease.token);
        let next = ListPiece { worker, run, job, token, first, chunks: Vec::new(), wait_ms: 0 };
        // a step that must not be far ahead is held from the beginning
        let delay = if window.is_some() { Duration::ZERO } else { FIRST_PIECE };
        let begins_at = Instant::now() + delay;
        let (is_early, is_full, in_flight) = (false, false, None);
        Self { sender, next, has_window: window.is_some(), begins_at, is_early, is_full, in_flight }
    }

    fn takes_more(&self, waiting: &ListWriter) -> bool {
        if !self.is_early {
            return true;
        }
        let max_waiting = if self.has_window { 0 } else { MAX_WAITING };
        let is_busy = self.in_flight.is_some() && (self.has_window || waiting.len() >= max_waiting);
        !self.is_full && !is_busy
    }

    /// Sends what waits, or asks for room.
    fn send_if_due(&mut self, waiting: &mut ListWriter) {
        if self.in_flight.is_some() || !self.is_early {
            return;
        }
        if self.is_full {
            self.send(Vec::new(), ROOM_POLL_MS);
        } else if waiting.len() > 0 && Instant::now() >= self.begins_at {
            self.send(waiting.take(), 0);
        }
    }

    fn send(&mut self, chunks: Vec<Chunk>, wait_ms: u64) {
        let count: u64 = chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
        let piece = ListPiece { chunks, wait_ms, ..self.next.clone() };
        self.next.first += count;
        self.in_flight = Some(Box::pin(send(Arc::clone(&self.sender.hub), piece)));
    }

    /// Waits for an answer, or for the time of the first piece.
    async fn progress(&mut self, waiting: &ListWriter) -> Result<(), ListReportError> {
        if self.in_flight.is_some() {
            return self.answer().await;
        }
        if self.is_early && waiting.len() > 0 {
            sleep_until(self.begins_at).await;
            return Ok(());
        }
        std::future::pending().await
    }

    async fn answer(&mut self) -> Result<(), ListReportError> {
        let Some(in_flight) = &mut self.in_flight else { return Ok(()) };
        let verdict = in_flight.await;
        self.in_flight = None;
        match verdict {
            Ok(PieceVerdict::Accepted) => self.is_full = false,
            Ok(PieceVerdict::WindowFull) => self.is_full = true,
            Ok(PieceVerdict::LeaseLost) => return Err(ListReportError::LeaseLost),
            Err(error) => {
                let message = format!("the hub refused what the step yielded: {error}");
                return Err(ListReportError::Failed(Failure::new(FailureKind::BadResult, message)));
            }
        }
        Ok(())
    }

    /// Waits for the answer to elements that were sent. A question for room is dropped.
    async fn settle(&mut self) -> Result<(), ListReportError> {
        if self.is_full { Ok(()) } else { self.answer().await }
    }
}

/// Sends a piece until the hub has answered. It is idempotent, so any lost answer is retried.
async fn send(hub: Arc<HubClient>, piece: ListPiece) -> Result<PieceVerdict, ClientError> {
    let mut backoff = Backoff::default();
    loop {
        match hub.record_piece(&piece).await {
            Err(error) if !is_permanent(&error) => {
                tracing::warn!(job = %piece.job, %error, "failed to report elements of a list; trying again");
                backoff.wait().await;
            }
            answer => return answer,
        }
    }
}
