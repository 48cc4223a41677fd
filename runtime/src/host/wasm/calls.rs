//! Operations of a component in the parent, any number concurrently. Each call waits for the completion of its own ticket.

use core::convert::Infallible;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::BlobHash;
use bue_model::net::{Completion, NetError, NetErrorKind, Operation, Ticket};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::host::net::{RefusalNotes, too_long};
use crate::step::log::Log;
use crate::step::net_port::{NetPort, NetRequest};

/// Starts the operations of one step. Clones share their state.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Shared>);

struct Shared {
    send: Box<dyn Fn(NetRequest) + Send + Sync>,
    last_ticket: AtomicU64,
    waiting: WaitingCalls,
    /// No more completions will arrive.
    closed: Arc<AtomicBool>,
}

/// For each ticket, the sender that its call waits for.
type WaitingCalls = Arc<Mutex<HashMap<Ticket, oneshot::Sender<Completion>>>>;

fn lock(waiting: &WaitingCalls) -> MutexGuard<'_, HashMap<Ticket, oneshot::Sender<Completion>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Receives completions and passes each to its call.
pub(crate) struct Completions {
    receiver: mpsc::UnboundedReceiver<(Ticket, Completion)>,
    waiting: WaitingCalls,
    closed: Arc<AtomicBool>,
    notes: RefusalNotes,
}

/// A started operation. Dropping it ignores its completion.
pub(crate) struct PendingCall {
    pub(crate) ticket: Ticket,
    completion: oneshot::Receiver<Completion>,
    waiting: WaitingCalls,
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.ticket);
    }
}

impl PendingCall {
    /// Waits for its completion.
    pub(crate) async fn complete(mut self) -> Result<Completion, NetError> {
        match (&mut self.completion).await {
            Ok(Completion::Failed(error)) => Err(error),
            Ok(completion) => Ok(completion),
            Err(_) => Err(NetError::new(NetErrorKind::Denied, "there is no network here")),
        }
    }
}

impl Calls {
    pub(crate) fn new(net: NetPort, log: &Log) -> (Self, Completions) {
        let NetPort { send, completions: receiver } = net;
        let waiting = WaitingCalls::default();
        let closed = Arc::new(AtomicBool::new(false));
        let notes = RefusalNotes::new(log);
        let completions = Completions { receiver, waiting: Arc::clone(&waiting), closed: Arc::clone(&closed), notes };
        (Self(Arc::new(Shared { send, last_ticket: AtomicU64::new(0), waiting, closed })), completions)
    }

    /// Starts an operation on the network.
    pub(crate) fn start(&self, operation: Operation) -> PendingCall {
        match too_long(&operation) {
            Some(error) => self.start_failed(error),
            None => self.start_request(|ticket| NetRequest::Start(ticket, operation)),
        }
    }

    /// Starts an operation that has failed already.
    fn start_failed(&self, error: NetError) -> PendingCall {
        let ticket = self.next_ticket();
        let (sender, completion) = oneshot::channel();
        // the receiver is here
        let _ = sender.send(Completion::Failed(error));
        PendingCall { ticket, completion, waiting: Arc::clone(&self.0.waiting) }
    }

    fn next_ticket(&self) -> Ticket {
        self.0.last_ticket.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Cancels an exchange.
    pub(crate) fn close(&self, exchange: Ticket) {
        (self.0.send)(NetRequest::Close(exchange));
    }

    /// Returns the value of a secret.
    pub(crate) async fn secret(&self, name: String) -> Result<String, String> {
        match self.start(Operation::Secret { name }).complete().await {
            Ok(Completion::Secret(value)) => Ok(value),
            other => Err(error_text(other)),
        }
    }

    /// Stores bytes and returns their hash as hexadecimal digits.
    pub(crate) async fn put_blob(&self, bytes: Bytes) -> Result<String, String> {
        match self.start_request(|ticket| NetRequest::PutBlob(ticket, bytes)).complete().await {
            Ok(Completion::Data { bytes, .. }) => String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string()),
            other => Err(error_text(other)),
        }
    }

    /// Returns stored bytes.
    pub(crate) async fn get_blob(&self, hash: BlobHash) -> Result<Bytes, String> {
        match self.start_request(|ticket| NetRequest::GetBlob(ticket, hash)).complete().await {
            Ok(Completion::Data { bytes, .. }) => Ok(bytes),
            other => Err(error_text(other)),
        }
    }

    fn start_request(&self, request: impl FnOnce(Ticket) -> NetRequest) -> PendingCall {
        let ticket = self.next_ticket();
        let (sender, completion) = oneshot::channel();
        let waiting = Arc::clone(&self.0.waiting);
        if !self.0.closed.load(Ordering::Relaxed) {
            lock(&waiting).insert(ticket, sender);
            (self.0.send)(request(ticket));
        }
        PendingCall { ticket, completion, waiting }
    }
}

fn error_text(result: Result<Completion, NetError>) -> String {
    result.err().map_or_else(|| "the host sent an unexpected answer".to_owned(), |error| error.message)
}

impl Completions {
    /// Passes completions to their calls. Never returns; it is dropped when the step ends.
    pub(crate) async fn deliver(mut self) -> Infallible {
        while let Some((ticket, completion)) = self.receiver.recv().await {
            if let Completion::Failed(error) = &completion
                && error.kind == NetErrorKind::Denied
            {
                self.notes.note(&error.message);
            }
            if let Some(sender) = lock(&self.waiting).remove(&ticket) {
                // fails if the call was dropped meanwhile
                let _ = sender.send(completion);
            }
        }
        // no more completions will arrive: fail the calls that wait, and those that start from now on
        self.closed.store(true, Ordering::Relaxed);
        lock(&self.waiting).clear();
        core::future::pending().await
    }
}
