//! The port between a step and its network: requests go out, results come back.

use bue_model::BlobHash;
use bue_model::net::{Completion, Operation, Ticket};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Bytes that one [`Operation::Read`] returns at most.
pub(crate) const MAX_READ_BYTES: u32 = 256 * 1024;

/// A step's request to the network or the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NetRequest {
    Start(Ticket, Operation),
    Close(Ticket),
    /// Store bytes. Ends with [`Completion::Data`], their hash in hexadecimal digits.
    PutBlob(Ticket, Bytes),
    /// Sleep until this simulated time, in milliseconds since 1970. Ends with [`Completion::Written`].
    Sleep(Ticket, u64),
    /// Get stored bytes. Ends with [`Completion::Data`].
    GetBlob(Ticket, BlobHash),
}

/// A step's connection to the network.
pub struct NetPort {
    /// Sends a request. Must not block.
    pub(crate) send: Box<dyn Fn(NetRequest) + Send + Sync>,
    /// Receives the results.
    pub(crate) completions: mpsc::UnboundedReceiver<(Ticket, Completion)>,
}

impl NetPort {
    /// Starts an operation under a ticket that was not used before.
    pub fn start(&self, ticket: Ticket, operation: Operation) {
        (self.send)(NetRequest::Start(ticket, operation));
    }

    /// Closes an exchange.
    pub fn close(&self, exchange: Ticket) {
        (self.send)(NetRequest::Close(exchange));
    }

    /// Returns the next operation that ends; `None` if no more will.
    pub async fn next(&mut self) -> Option<(Ticket, Completion)> {
        self.completions.recv().await
    }

    /// A port without a network.
    pub(crate) fn closed() -> Self {
        Self { send: Box::new(|_| ()), completions: mpsc::unbounded_channel().1 }
    }
}

impl core::fmt::Debug for NetPort {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("NetPort")
    }
}
