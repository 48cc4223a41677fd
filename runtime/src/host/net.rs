//! What a running guest has under way on the network, seen from its sandbox host: tickets, and the port they go through.
//!
//! ```text
//! guest -- start, wait, close --> Net (one a step) -- NetRequest --> NetPort --> frames --> egress, in the parent
//!                                                  <-- (Ticket, Ended) --
//! ```
//! There is no policy here: what a guest may reach is decided where the network is. What is bounded here is the memory
//! that a guest may make this process hold.

use core::time::Duration;
use std::collections::{HashMap, HashSet};

use bue_model::guest::Waited;
use bue_model::net::{Body, Ended, NetError, NetErrorKind, Operation, Ticket};
use tokio::time::Instant;

use crate::step::limits::{Limits, bytes_text};
use crate::step::log::{Channel, Log};
use crate::step::net_port::{MAX_READ_BYTES, NetPort};

/// Bytes one reply to a guest may hold before the rest is left for its next wait.
const MOST_WAITED: usize = 1 << 20;

/// Operations a step may have begun and not yet fetched, for each exchange it may have.
const TICKETS_PER_EXCHANGE: usize = 4;

/// Different refusals that are noted in a step's log.
const MOST_NOTED: usize = 20;

/// A step began more operations than it may have.
#[derive(Debug, thiserror::Error)]
#[error(
    "the step began more than {0} network operations without waiting for any; wait for some of them before the next, or run it on a worker with a higher limit `net_exchanges`"
)]
pub(crate) struct TooManyTickets(usize);

/// A refusal is a line in the log, whatever the step makes of it.
pub(crate) struct RefusalNotes {
    log: Log,
    noted: Vec<String>,
}

impl RefusalNotes {
    pub(crate) fn new(log: &Log) -> Self {
        Self { log: log.clone(), noted: Vec::new() }
    }

    /// Writes one down, the first time.
    pub(crate) fn note(&mut self, message: &str) {
        if self.noted.len() < MOST_NOTED && !self.noted.iter().any(|noted| noted == message) {
            self.noted.push(message.to_owned());
            // a step that prints too much ends by itself
            let _ = self.log.print(Channel::Out, format!("bue: refused: {message}\n").as_bytes());
        }
    }
}

/// The network as one step has it.
pub(crate) struct Net {
    port: NetPort,
    last_ticket: Ticket,
    tickets: HashMap<Ticket, Begun>,
    most_tickets: usize,
    /// Exchanges that may not be over.
    exchanges: HashSet<Ticket>,
    /// Operations whose exchange was given up and whose end was not told yet.
    given_up: usize,
    buffered: u64,
    most_buffered: u64,
    notes: RefusalNotes,
}

/// An operation that was begun and whose end the guest has not fetched.
struct Begun {
    exchange: Ticket,
    /// Bytes it may make this process hold.
    bytes: u64,
    state: State,
}

/// How far an operation is.
enum State {
    UnderWay,
    /// The guest does not wait for it any more.
    GivenUp,
    Ended(Ended),
}

impl Net {
    pub(crate) fn new(port: NetPort, limits: &Limits, log: &Log) -> Self {
        Self {
            port,
            last_ticket: 0,
            tickets: HashMap::new(),
            most_tickets: (limits.net_exchanges as usize).saturating_mul(TICKETS_PER_EXCHANGE),
            exchanges: HashSet::new(),
            given_up: 0,
            buffered: 0,
            most_buffered: limits.net_buffered_bytes,
            notes: RefusalNotes::new(log),
        }
    }

    /// Begins an operation. Waits where what was given up is still on its way.
    ///
    /// # Errors
    /// The step has begun more than it may: it must be stopped.
    pub(crate) async fn start(&mut self, mut operation: Operation) -> Result<Ticket, TooManyTickets> {
        if let Operation::Read { max, .. } = &mut operation {
            *max = (*max).clamp(1, MAX_READ_BYTES);
        }
        let bytes = weight(&operation);
        while self.given_up > 0 && (self.tickets.len() >= self.most_tickets || !self.fits(bytes)) {
            match self.port.next().await {
                Some((ticket, ended)) => self.note(ticket, ended),
                None => self.fail_all(),
            }
        }
        if self.tickets.len() >= self.most_tickets {
            return Err(TooManyTickets(self.most_tickets));
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if matches!(operation, Operation::Request(_)) {
            self.exchanges.insert(ticket);
        }
        let exchange = exchange(&operation, ticket);
        if !self.fits(bytes) {
            let ended = Ended::Failed(too_much_buffered(self.most_buffered));
            self.exchanges.remove(&ticket);
            self.tickets.insert(ticket, Begun { exchange, bytes: 0, state: State::Ended(ended) });
            return Ok(ticket);
        }
        self.buffered += bytes;
        self.tickets.insert(ticket, Begun { exchange, bytes, state: State::UnderWay });
        self.port.start(ticket, operation);
        Ok(ticket)
    }

    fn fits(&self, bytes: u64) -> bool {
        self.buffered.saturating_add(bytes) <= self.most_buffered
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

    /// Gives an exchange up. What it had under way counts until its end is told: it may still be on its way.
    pub(crate) fn close(&mut self, exchange: Ticket) {
        let (given_up, buffered) = (&mut self.given_up, &mut self.buffered);
        self.tickets.retain(|_, begun| {
            if begun.exchange != exchange {
                return true;
            }
            if matches!(begun.state, State::UnderWay) {
                *given_up += 1;
                begun.state = State::GivenUp;
            }
            let stays = matches!(begun.state, State::GivenUp);
            *buffered -= if stays { 0 } else { begun.bytes };
            stays
        });
        if self.exchanges.remove(&exchange) {
            self.port.close(exchange);
        }
    }

    /// An operation has ended.
    fn note(&mut self, ticket: Ticket, ended: Ended) {
        if let Ended::Failed(error) = &ended
            && error.kind == NetErrorKind::Denied
        {
            self.notes.note(&error.message);
        }
        let Some(begun) = self.tickets.get_mut(&ticket) else { return };
        if is_over(ticket == begun.exchange, &ended) {
            self.exchanges.remove(&begun.exchange);
        }
        match begun.state {
            State::GivenUp => drop(self.forget(ticket)),
            State::UnderWay | State::Ended(_) => begun.state = State::Ended(ended),
        }
    }

    /// An operation counts no more; gives its end, if it was told.
    fn forget(&mut self, ticket: Ticket) -> Option<Ended> {
        let begun = self.tickets.remove(&ticket)?;
        self.buffered -= begun.bytes;
        match begun.state {
            State::Ended(ended) => return Some(ended),
            State::GivenUp => self.given_up -= 1,
            State::UnderWay => {}
        }
        None
    }

    fn take(&mut self, tickets: &[Ticket]) -> Waited {
        let mut waited = Waited::new();
        let mut bytes = 0;
        for ticket in tickets {
            if bytes > MOST_WAITED {
                break;
            }
            let ended = match self.tickets.get(ticket).map(|begun| &begun.state) {
                Some(State::UnderWay) => continue,
                Some(State::Ended(_)) => self.forget(*ticket),
                Some(State::GivenUp) | None => None,
            };
            let unknown = || Ended::Failed(NetError::new(NetErrorKind::Closed, "no such operation is under way"));
            let ended = ended.unwrap_or_else(unknown);
            bytes += len(&ended);
            waited.push((*ticket, ended));
        }
        waited
    }

    /// The way to the network is gone.
    fn fail_all(&mut self) {
        let open: Vec<Ticket> = self.tickets.keys().copied().collect();
        for ticket in open {
            self.note(ticket, Ended::Failed(NetError::new(NetErrorKind::Denied, NO_NETWORK)));
        }
    }
}

/// Is the exchange over with this end of one of its operations, perhaps its request?
fn is_over(request: bool, ended: &Ended) -> bool {
    match ended {
        Ended::Response(response) => response.last,
        Ended::Data { last, .. } => *last,
        // what is merely out of place ends nothing
        Ended::Failed(error) => request || error.kind != NetErrorKind::Closed,
        Ended::Wrote | Ended::Secret(_) => false,
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
