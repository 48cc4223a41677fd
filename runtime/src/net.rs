//! What a running guest has under way on the network, seen from its sandbox host: tickets, and the port they go through.
//!
//! ```text
//! guest -- start, wait, close --> Net (one a step) -- NetRequest --> NetPort --> frames --> egress, in the parent
//!                                                  <-- (Ticket, Ended) --
//! ```
//! There is no policy here: what a guest may reach is decided where the network is. What is bounded here is the memory
//! that a guest may make this process hold.

use core::time::Duration;
use std::collections::HashMap;

use bue_model::guest::Waited;
use bue_model::net::{Body, Ended, NetError, NetErrorKind, Operation, Ticket};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::limits::{Limits, bytes_text};
use crate::log::{Channel, Log};

/// Bytes that one [`Operation::Read`] gives at most.
pub(crate) const MOST_READ: u32 = 256 * 1024;

/// Bytes one reply to a guest may hold before the rest is left for its next wait.
const MOST_WAITED: usize = 1 << 20;

/// Operations a step may have begun and not yet fetched, for each exchange it may have.
const TICKETS_PER_EXCHANGE: usize = 4;

/// Different refusals that are noted in a step's log.
const MOST_NOTED: usize = 20;

/// What a step asks of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NetRequest {
    Start(Ticket, Operation),
    Close(Ticket),
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

/// A step began more operations than it may have.
#[derive(Debug, thiserror::Error)]
#[error(
    "the step began more than {0} network operations without waiting for any; wait for some of them before the next, or run it on a worker with a higher limit `net_exchanges`"
)]
pub(crate) struct TooManyTickets(usize);

/// The network as one step has it.
pub(crate) struct Net {
    port: NetPort,
    log: Log,
    last_ticket: Ticket,
    tickets: HashMap<Ticket, Begun>,
    most_tickets: usize,
    buffered: u64,
    most_buffered: u64,
    noted: Vec<String>,
}

/// An operation that was begun and whose end the guest has not fetched.
struct Begun {
    exchange: Ticket,
    /// Bytes it may make this process hold.
    bytes: u64,
    ended: Option<Ended>,
}

impl Net {
    pub(crate) fn new(port: NetPort, limits: &Limits, log: &Log) -> Self {
        Self {
            port,
            log: log.clone(),
            last_ticket: 0,
            tickets: HashMap::new(),
            most_tickets: (limits.net_exchanges as usize).saturating_mul(TICKETS_PER_EXCHANGE),
            buffered: 0,
            most_buffered: limits.net_buffered_bytes,
            noted: Vec::new(),
        }
    }

    /// Begins an operation.
    ///
    /// # Errors
    /// The step has begun more than it may: it must be stopped.
    pub(crate) fn start(&mut self, mut operation: Operation) -> Result<Ticket, TooManyTickets> {
        if self.tickets.len() >= self.most_tickets {
            return Err(TooManyTickets(self.most_tickets));
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if let Operation::Read { max, .. } = &mut operation {
            *max = (*max).clamp(1, MOST_READ);
        }
        let bytes = weight(&operation);
        let fits = self.buffered.saturating_add(bytes) <= self.most_buffered;
        let ended = (!fits).then(|| Ended::Failed(too_much_buffered(self.most_buffered)));
        let begun = Begun { exchange: exchange(&operation, ticket), bytes: if fits { bytes } else { 0 }, ended };
        self.buffered += begun.bytes;
        self.tickets.insert(ticket, begun);
        if fits {
            self.port.start(ticket, operation);
        }
        Ok(ticket)
    }

    /// Gives what has ended of these, when something has or the time is over.
    pub(crate) async fn wait(&mut self, tickets: &[Ticket], timeout_ms: Option<u64>) -> Waited {
        let until = timeout_ms.map(|millis| Instant::now() + Duration::from_millis(millis).min(FAR));
        loop {
            while let Ok((ticket, ended)) = self.port.ended.try_recv() {
                self.note(ticket, ended);
            }
            let waited = self.take(tickets);
            if !waited.is_empty() || (tickets.is_empty() && until.is_none()) {
                return waited;
            }
            let arrived = match until {
                None => self.port.ended.recv().await,
                Some(until) => match tokio::time::timeout_at(until, self.port.ended.recv()).await {
                    Ok(arrived) => arrived,
                    Err(_) => return Waited::new(),
                },
            };
            match arrived {
                Some((ticket, ended)) => self.note(ticket, ended),
                None => match until {
                    // nothing will come any more, but time passes all the same
                    Some(until) if tickets.is_empty() => {
                        tokio::time::sleep_until(until).await;
                        return Waited::new();
                    }
                    _ => self.fail_all(),
                },
            }
        }
    }

    /// Gives an exchange up.
    pub(crate) fn close(&mut self, exchange: Ticket) {
        let buffered = &mut self.buffered;
        self.tickets.retain(|_, begun| {
            let stays = begun.exchange != exchange;
            *buffered -= if stays { 0 } else { begun.bytes };
            stays
        });
        self.port.close(exchange);
    }

    /// An operation has ended. One that is not known was given up.
    fn note(&mut self, ticket: Ticket, ended: Ended) {
        if let Ended::Failed(error) = &ended
            && error.kind == NetErrorKind::Denied
        {
            self.note_refusal(&error.message);
        }
        if let Some(begun) = self.tickets.get_mut(&ticket) {
            begun.ended = Some(ended);
        }
    }

    /// A refusal is a line in the log, whatever the step makes of it.
    fn note_refusal(&mut self, message: &str) {
        if self.noted.len() < MOST_NOTED && !self.noted.iter().any(|noted| noted == message) {
            self.noted.push(message.to_owned());
            // a step that prints too much ends by itself
            let _ = self.log.print(Channel::Out, format!("bue: refused: {message}\n").as_bytes());
        }
    }

    fn take(&mut self, tickets: &[Ticket]) -> Waited {
        let mut waited = Waited::new();
        let mut bytes = 0;
        for ticket in tickets {
            if bytes > MOST_WAITED {
                break;
            }
            let ended = match self.tickets.get_mut(ticket) {
                None => Some(Ended::Failed(NetError::new(NetErrorKind::Closed, "no such operation is under way"))),
                Some(begun) => begun.ended.take(),
            };
            let Some(ended) = ended else { continue };
            if let Some(begun) = self.tickets.remove(ticket) {
                self.buffered -= begun.bytes;
            }
            bytes += len(&ended);
            waited.push((*ticket, ended));
        }
        waited
    }

    /// The way to the network is gone.
    fn fail_all(&mut self) {
        for begun in self.tickets.values_mut() {
            let gone = || Ended::Failed(NetError::new(NetErrorKind::Denied, NO_NETWORK));
            begun.ended.get_or_insert_with(gone);
        }
    }
}

/// What the code of a module hears that asks for the network while it is imported, and steps where there is no egress.
const NO_NETWORK: &str = "there is no network here: while a module is imported, because what it then does is done once for \
                          all its steps; make the request inside the step's function";

/// What "for ever" comes to.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

fn exchange(operation: &Operation, ticket: Ticket) -> Ticket {
    match operation {
        Operation::Request(_) | Operation::Secret { .. } => ticket,
        Operation::Write { exchange, .. } | Operation::Read { exchange, .. } => *exchange,
    }
}

fn weight(operation: &Operation) -> u64 {
    match operation {
        Operation::Request(request) => match &request.body {
            Body::Whole(bytes) => bytes.len() as u64,
            Body::None | Body::Streamed => 0,
        },
        Operation::Write { bytes, .. } => bytes.len() as u64,
        Operation::Read { max, .. } => u64::from(*max),
        Operation::Secret { .. } => 0,
    }
}

fn len(ended: &Ended) -> usize {
    match ended {
        Ended::Response(response) => response.body.len(),
        Ended::Data { bytes, .. } => bytes.len(),
        Ended::Wrote | Ended::Secret(_) | Ended::Failed(_) => 0,
    }
}

fn too_much_buffered(most: u64) -> NetError {
    NetError::new(
        NetErrorKind::Limit,
        format!(
            "the step has more than its limit of {} under way (`net_buffered_bytes`); send the body in pieces, wait for some \
             of its requests before the next, or run it on a worker with a higher limit",
            bytes_text(most)
        ),
    )
}
