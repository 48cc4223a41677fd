//! The way of a step's requests to the network, and of their results back.

use bue_model::BlobHash;
use bue_model::net::{Ended, Operation, Ticket};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Bytes that one [`Operation::Read`] gives at most.
pub(crate) const MAX_READ_BYTES: u32 = 256 * 1024;

/// What a step asks of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NetRequest {
    Start(Ticket, Operation),
    Close(Ticket),
    /// Store bytes. Ends with [`Ended::Data`], their name in hexadecimal digits.
    PutBlob(Ticket, Bytes),
    /// Stored bytes. Ends with [`Ended::Data`].
    GetBlob(Ticket, BlobHash),
}

/// The way to the network and back.
pub struct NetPort {
    /// Takes what a step asks. What it does may not block.
    pub(crate) send: Box<dyn Fn(NetRequest) + Send + Sync>,
    /// Gives what became of it.
    pub(crate) ended: mpsc::UnboundedReceiver<(Ticket, Ended)>,
}

impl NetPort {
    /// Begins an operation under a ticket that was not used before.
    pub fn start(&self, ticket: Ticket, operation: Operation) {
        (self.send)(NetRequest::Start(ticket, operation));
    }

    /// Gives an exchange up.
    pub fn close(&self, exchange: Ticket) {
        (self.send)(NetRequest::Close(exchange));
    }

    /// The next operation that ends, or `None` where nothing ends any more.
    pub async fn next(&mut self) -> Option<(Ticket, Ended)> {
        self.ended.recv().await
    }

    /// A port behind which there is nothing.
    pub(crate) fn closed() -> Self {
        Self { send: Box::new(|_| ()), ended: mpsc::unbounded_channel().1 }
    }
}

impl core::fmt::Debug for NetPort {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("NetPort")
    }
}
