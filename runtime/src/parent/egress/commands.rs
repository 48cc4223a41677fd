//! What a step requests of an exchange while it is open, one of each kind at a time.

use bue_model::net::{Ticket, TlsSettings};
use bytes::Bytes;
use tokio::sync::mpsc;

/// The receiving ends of an exchange's queues. The commands are boxed, because a queue has room for 32 from the beginning, and
/// thousands of exchanges may wait for their turn.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) reads: mpsc::Receiver<Box<ReadCommand>>,
    pub(crate) writes: mpsc::Receiver<Box<WriteCommand>>,
}

/// Read from the response's body or from the connection.
#[derive(Debug)]
pub(crate) struct ReadCommand {
    pub(crate) ticket: Ticket,
    pub(crate) max: u32,
    pub(crate) timeout_ms: Option<u64>,
}

/// Write to the request's body or to the connection.
#[derive(Debug)]
pub(crate) enum WriteCommand {
    Write {
        ticket: Ticket,
        bytes: Bytes,
        last: bool,
    },
    /// Use TLS for what follows.
    StartTls {
        ticket: Ticket,
        settings: TlsSettings,
    },
}
