//! What a component has under way in the parent, any number at once: each call waits for the end of its own ticket.

use core::convert::Infallible;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::BlobHash;
use bue_model::net::{Ended, NetError, NetErrorKind, Operation, Ticket};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::host::net::RefusalNotes;
use crate::step::log::Log;
use crate::step::net_port::{NetPort, NetRequest};

/// The calls of one step. Clones are one.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Shared>);

struct Shared {
    send: Box<dyn Fn(NetRequest) + Send + Sync>,
    last_ticket: AtomicU64,
    waiting: Waiting,
    /// Nothing ends any more.
    closed: Arc<AtomicBool>,
}

type Waiting = Arc<Mutex<HashMap<Ticket, oneshot::Sender<Ended>>>>;

fn locked(waiting: &Waiting) -> MutexGuard<'_, HashMap<Ticket, oneshot::Sender<Ended>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends as they come.
pub(crate) struct Arrivals {
    ended: mpsc::UnboundedReceiver<(Ticket, Ended)>,
    waiting: Waiting,
    closed: Arc<AtomicBool>,
    notes: RefusalNotes,
}

/// An operation that was begun. Dropping it before its end forgets it.
pub(crate) struct Begun {
    pub(crate) ticket: Ticket,
    end: oneshot::Receiver<Ended>,
    waiting: Waiting,
}

impl Drop for Begun {
    fn drop(&mut self) {
        locked(&self.waiting).remove(&self.ticket);
    }
}

impl Begun {
    /// How it ended.
    pub(crate) async fn end(mut self) -> Result<Ended, NetError> {
        match (&mut self.end).await {
            Ok(Ended::Failed(error)) => Err(error),
            Ok(ended) => Ok(ended),
            Err(_) => Err(NetError::new(NetErrorKind::Denied, "there is no network here")),
        }
    }
}

impl Calls {
    pub(crate) fn new(net: NetPort, log: &Log) -> (Self, Arrivals) {
        let NetPort { send, ended } = net;
        let waiting = Waiting::default();
        let closed = Arc::new(AtomicBool::new(false));
        let notes = RefusalNotes::new(log);
        let arrivals = Arrivals { ended, waiting: Arc::clone(&waiting), closed: Arc::clone(&closed), notes };
        (Self(Arc::new(Shared { send, last_ticket: AtomicU64::new(0), waiting, closed })), arrivals)
    }

    /// Begins an operation on the network.
    pub(crate) fn start(&self, operation: Operation) -> Begun {
        self.begin(|ticket| NetRequest::Start(ticket, operation))
    }

    /// Gives an exchange up.
    pub(crate) fn close(&self, exchange: Ticket) {
        (self.0.send)(NetRequest::Close(exchange));
    }

    /// The value of a secret.
    pub(crate) async fn secret(&self, name: String) -> Result<String, String> {
        match self.start(Operation::Secret { name }).end().await {
            Ok(Ended::Secret(value)) => Ok(value),
            ended => Err(why(ended)),
        }
    }

    /// Stores bytes under their hash.
    pub(crate) async fn put_blob(&self, bytes: Bytes) -> Result<String, String> {
        let ended = self.begin(|ticket| NetRequest::PutBlob(ticket, bytes)).end().await;
        match ended {
            Ok(Ended::Data { bytes, .. }) => String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string()),
            ended => Err(why(ended)),
        }
    }

    /// Stored bytes.
    pub(crate) async fn get_blob(&self, hash: BlobHash) -> Result<Bytes, String> {
        match self.begin(|ticket| NetRequest::GetBlob(ticket, hash)).end().await {
            Ok(Ended::Data { bytes, .. }) => Ok(bytes),
            ended => Err(why(ended)),
        }
    }

    fn begin(&self, request: impl FnOnce(Ticket) -> NetRequest) -> Begun {
        let ticket = self.0.last_ticket.fetch_add(1, Ordering::Relaxed) + 1;
        let (told, end) = oneshot::channel();
        let waiting = Arc::clone(&self.0.waiting);
        if !self.0.closed.load(Ordering::Relaxed) {
            locked(&waiting).insert(ticket, told);
            (self.0.send)(request(ticket));
        }
        Begun { ticket, end, waiting }
    }
}

fn why(ended: Result<Ended, NetError>) -> String {
    ended.err().map_or_else(|| "the host answered something else".to_owned(), |error| error.message)
}

impl Arrivals {
    /// Tells everybody who waits. Never ends: who runs it stops it with the step.
    pub(crate) async fn deliver(mut self) -> Infallible {
        while let Some((ticket, ended)) = self.ended.recv().await {
            if let Ended::Failed(error) = &ended
                && error.kind == NetErrorKind::Denied
            {
                self.notes.note(&error.message);
            }
            if let Some(told) = locked(&self.waiting).remove(&ticket) {
                // one that listens no more was dropped meanwhile
                let _ = told.send(ended);
            }
        }
        // nothing comes any more: whoever waits is told, and whoever begins something after this
        self.closed.store(true, Ordering::Relaxed);
        locked(&self.waiting).clear();
        core::future::pending().await
    }
}
