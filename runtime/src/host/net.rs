//! The network operations of a running guest, in its sandbox host: tickets, and the port they go through.
//!
//! ```text
//! guest -- start, wait, close --> Net (one a step) -- NetRequest --> NetPort --> frames --> egress, in the parent
//!                                                  <-- (Ticket, Completion) --
//! ```
//! There is no policy here: the parent, which has the network, decides what a guest may reach. This module limits the memory
//! that a guest can make this process hold.

use core::time::Duration;
use std::collections::{HashMap, HashSet};

use bue_model::guest::Completions;
use bue_model::net::{Body, Completion, NetError, NetErrorKind, Operation, Ticket};
use tokio::time::Instant;

use crate::host::simulated_limit::SimulatedLimit;
use crate::step::failure::TimeLimitExceeded;
use crate::step::limits::{Limits, bytes_text};
use crate::step::log::{Channel, Log};
use crate::step::net_port::{MAX_READ_BYTES, NetPort, NetRequest};
use crate::step::timestamp::set_simulated_now;

/// Bytes in one reply to a guest after which further completions are left for its next wait.
const MAX_WAITED_BYTES: usize = 1 << 20;

/// Operations that a step may have started and not yet waited for, per exchange it may have.
const TICKETS_PER_EXCHANGE: usize = 4;

/// Maximum number of different refusals in a step's log.
const MAX_NOTES: usize = 20;

/// A step started more operations than it may have.
#[derive(Debug, thiserror::Error)]
#[error(
    "the step started more than {0} network operations without waiting for any; wait for some of them before the next, or run it on a worker with a higher limit `net_exchanges`"
)]
pub(crate) struct TooManyTickets(usize);

/// Writes refused requests to the step's log, even if the step handles the error.
pub(crate) struct RefusalNotes {
    log: Log,
    noted: Vec<String>,
}

impl RefusalNotes {
    pub(crate) fn new(log: &Log) -> Self {
        Self { log: log.clone(), noted: Vec::new() }
    }

    /// Logs a refusal, unless the same one is logged already.
    pub(crate) fn note(&mut self, message: &str) {
        if self.noted.len() < MAX_NOTES && !self.noted.iter().any(|noted| noted == message) {
            self.noted.push(message.to_owned());
            // a step that has printed too much is aborted anyway
            let _ = self.log.print(Channel::Out, format!("bue: refused: {message}\n").as_bytes());
        }
    }
}

/// The network operations of one step.
pub(crate) struct Net {
    port: NetPort,
    last_ticket: Ticket,
    operations: HashMap<Ticket, NetOperation>,
    max_tickets: usize,
    /// Exchanges that may not be complete.
    exchanges: HashSet<Ticket>,
    /// Operations whose exchange was cancelled and whose completion has not arrived.
    cancelled: usize,
    /// Bytes that operations may make this process hold, and the limit.
    buffered_bytes: u64,
    max_buffered_bytes: u64,
    notes: RefusalNotes,
}

/// An operation that was started and whose completion the guest has not received.
struct NetOperation {
    exchange: Ticket,
    /// Bytes that it may make this process hold.
    bytes: u64,
    state: OperationState,
}

/// The progress of an operation.
enum OperationState {
    Pending,
    /// The guest has closed its exchange.
    Cancelled,
    Completed(Completion),
}

impl Net {
    pub(crate) fn new(port: NetPort, limits: &Limits, log: &Log) -> Self {
        Self {
            port,
            last_ticket: 0,
            operations: HashMap::new(),
            max_tickets: (limits.net_exchanges as usize).saturating_mul(TICKETS_PER_EXCHANGE),
            exchanges: HashSet::new(),
            cancelled: 0,
            buffered_bytes: 0,
            max_buffered_bytes: limits.net_buffered_bytes,
            notes: RefusalNotes::new(log),
        }
    }

    /// Starts an operation. Waits for cancelled operations to complete, if there is no room before.
    ///
    /// # Errors
    /// The step has started more operations than it may: it must be aborted.
    pub(crate) async fn start(&mut self, mut operation: Operation) -> Result<Ticket, TooManyTickets> {
        if let Operation::Read { max, .. } | Operation::OpenValue { max, .. } = &mut operation {
            *max = (*max).clamp(1, MAX_READ_BYTES);
        }
        if let Some(problem) = too_long(&operation) {
            return self.start_failed(problem);
        }
        let bytes = buffer_bytes(&operation);
        while self.cancelled > 0 && (self.operations.len() >= self.max_tickets || !self.fits(bytes)) {
            match self.port.next().await {
                Some((ticket, completion)) => self.complete(ticket, completion),
                None => self.fail_all(),
            }
        }
        if self.operations.len() >= self.max_tickets {
            return Err(TooManyTickets(self.max_tickets));
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if is_exchange(&operation) {
            self.exchanges.insert(ticket);
        }
        let exchange = exchange_of(&operation, ticket);
        if !self.fits(bytes) {
            let completion = Completion::Failed(too_much_buffered(self.max_buffered_bytes));
            self.exchanges.remove(&ticket);
            self.operations
                .insert(ticket, NetOperation { exchange, bytes: 0, state: OperationState::Completed(completion) });
            return Ok(ticket);
        }
        self.buffered_bytes += bytes;
        self.operations.insert(ticket, NetOperation { exchange, bytes, state: OperationState::Pending });
        self.port.start(ticket, operation);
        Ok(ticket)
    }

    /// Starts an operation that has failed already.
    fn start_failed(&mut self, error: NetError) -> Result<Ticket, TooManyTickets> {
        if self.operations.len() >= self.max_tickets {
            return Err(TooManyTickets(self.max_tickets));
        }
        self.last_ticket += 1;
        let state = OperationState::Completed(Completion::Failed(error));
        self.operations.insert(self.last_ticket, NetOperation { exchange: self.last_ticket, bytes: 0, state });
        Ok(self.last_ticket)
    }

    fn fits(&self, bytes: u64) -> bool {
        self.buffered_bytes.saturating_add(bytes) <= self.max_buffered_bytes
    }

    /// Returns the completions of these tickets, when there is at least one or on timeout.
    pub(crate) async fn wait(&mut self, tickets: &[Ticket], timeout_ms: Option<u64>) -> Completions {
        let deadline = timeout_ms.map(|millis| Instant::now() + Duration::from_millis(millis).min(MAX_WAIT));
        loop {
            while let Ok((ticket, completion)) = self.port.completions.try_recv() {
                self.complete(ticket, completion);
            }
            let completions = self.take_completed(tickets);
            if !completions.is_empty() || (tickets.is_empty() && deadline.is_none()) {
                return completions;
            }
            let arrived = match deadline {
                None => self.port.completions.recv().await,
                Some(deadline) => match tokio::time::timeout_at(deadline, self.port.completions.recv()).await {
                    Ok(arrived) => arrived,
                    Err(_) => return Completions::new(),
                },
            };
            match arrived {
                Some((ticket, completion)) => self.complete(ticket, completion),
                None => match deadline {
                    // no completion will arrive, but the wait still has to last until its deadline
                    Some(deadline) if tickets.is_empty() => {
                        tokio::time::sleep_until(deadline).await;
                        return Completions::new();
                    }
                    _ => self.fail_all(),
                },
            }
        }
    }

    /// The same in simulated time, which stands still while a server answers: the timeout counts only when nothing is in flight any
    /// more. Returns when the time has passed, which the parent decides.
    ///
    /// # Errors
    /// The time limit of the step is over before that.
    pub(crate) async fn wait_simulated(
        &mut self,
        tickets: &[Ticket],
        timeout_ms: Option<u64>,
        limit: SimulatedLimit,
    ) -> Result<Completions, TimeLimitExceeded> {
        loop {
            while let Ok((ticket, completion)) = self.port.completions.try_recv() {
                self.complete(ticket, completion);
            }
            let completions = self.take_completed(tickets);
            if !completions.is_empty() || timeout_ms == Some(0) || (tickets.is_empty() && timeout_ms.is_none()) {
                return Ok(completions);
            }
            let is_pending = |operation: &NetOperation| matches!(operation.state, OperationState::Pending);
            if !self.operations.values().any(is_pending) {
                let (until, end) = limit.sleep(timeout_ms.unwrap_or_default());
                self.sleep(until).await;
                return end.map(|()| Completions::new());
            }
            match self.port.next().await {
                Some((ticket, completion)) => self.complete(ticket, completion),
                None => self.fail_all(),
            }
        }
    }

    /// Sleeps until a simulated time, and sets the clock of this process. While a module is imported there is no parent, and the time
    /// passes at once.
    async fn sleep(&mut self, until: Duration) {
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.last_ticket += 1;
        let sleep = self.last_ticket;
        (self.port.send)(NetRequest::Sleep(sleep, millis));
        while let Some((ticket, completion)) = self.port.next().await {
            if ticket == sleep {
                break;
            }
            self.complete(ticket, completion);
        }
        set_simulated_now(millis);
    }

    /// Cancels an exchange. Its pending operations count against the limits until they complete: their bytes may still arrive.
    pub(crate) fn close(&mut self, exchange: Ticket) {
        let (cancelled, buffered_bytes) = (&mut self.cancelled, &mut self.buffered_bytes);
        self.operations.retain(|_, operation| {
            if operation.exchange != exchange {
                return true;
            }
            if matches!(operation.state, OperationState::Pending) {
                *cancelled += 1;
                operation.state = OperationState::Cancelled;
            }
            let stays = matches!(operation.state, OperationState::Cancelled);
            *buffered_bytes -= if stays { 0 } else { operation.bytes };
            stays
        });
        if self.exchanges.remove(&exchange) {
            self.port.close(exchange);
        }
    }

    /// Records the completion of an operation.
    fn complete(&mut self, ticket: Ticket, completion: Completion) {
        if let Completion::Failed(error) = &completion
            && error.kind == NetErrorKind::Denied
        {
            self.notes.note(&error.message);
        }
        let Some(operation) = self.operations.get_mut(&ticket) else { return };
        if is_exchange_complete(ticket == operation.exchange, &completion) {
            self.exchanges.remove(&operation.exchange);
        }
        match operation.state {
            OperationState::Cancelled => drop(self.remove(ticket)),
            OperationState::Pending | OperationState::Completed(_) => {
                operation.state = OperationState::Completed(completion);
            }
        }
    }

    /// Removes an operation and returns its completion, if that has arrived.
    fn remove(&mut self, ticket: Ticket) -> Option<Completion> {
        let operation = self.operations.remove(&ticket)?;
        self.buffered_bytes -= operation.bytes;
        match operation.state {
            OperationState::Completed(completion) => return Some(completion),
            OperationState::Cancelled => self.cancelled -= 1,
            OperationState::Pending => {}
        }
        None
    }

    fn take_completed(&mut self, tickets: &[Ticket]) -> Completions {
        let mut completions = Completions::new();
        let mut bytes = 0;
        for ticket in tickets {
            if bytes > MAX_WAITED_BYTES {
                break;
            }
            let completion = match self.operations.get(ticket).map(|operation| &operation.state) {
                Some(OperationState::Pending) => continue,
                Some(OperationState::Completed(_)) => self.remove(*ticket),
                Some(OperationState::Cancelled) | None => None,
            };
            let unknown =
                || Completion::Failed(NetError::new(NetErrorKind::Closed, "no such operation is in progress"));
            let completion = completion.unwrap_or_else(unknown);
            bytes += body_len(&completion);
            completions.push((*ticket, completion));
        }
        completions
    }

    /// Fails all operations: the network is gone.
    fn fail_all(&mut self) {
        let tickets: Vec<Ticket> = self.operations.keys().copied().collect();
        for ticket in tickets {
            self.complete(ticket, Completion::Failed(NetError::new(NetErrorKind::Denied, NO_NETWORK)));
        }
    }
}

/// Does this completion of one of its operations (or of its request) complete the exchange?
fn is_exchange_complete(is_request: bool, completion: &Completion) -> bool {
    match completion {
        Completion::Response(response) => response.last,
        Completion::Data { last, .. } => *last,
        // an operation that was out of place does not end the exchange
        Completion::Failed(error) => is_request || error.kind != NetErrorKind::Closed,
        Completion::Missing => true,
        Completion::Written | Completion::Secret(_) | Completion::Connected | Completion::Secured(_) => false,
    }
}

/// Does this operation start an exchange?
const fn is_exchange(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Request(_)
            | Operation::Connect { .. }
            | Operation::OpenValue { .. }
            | Operation::StoreValue { .. }
            | Operation::DeleteValue { .. }
    )
}

/// The error for requests that a module makes while it is imported, and for steps without egress.
const NO_NETWORK: &str = "there is no network here, and no bucket: while a module is imported, because what it then does is done once for \
                          all its steps; make the request inside the step's function";

/// Bytes of a method.
const MAX_METHOD: usize = 64;
/// Bytes of scheme, host and port. A name has 253 characters at most.
const MAX_ORIGIN: usize = 512;
/// Bytes of path and query: more than any server takes.
const MAX_TARGET: usize = 64 * 1024;
/// Bytes of certificates in PEM format: several times those of all public authorities.
const MAX_AUTHORITIES: usize = 1 << 20;
/// Bytes of the name of an application protocol (RFC 7301).
const MAX_PROTOCOL: usize = 255;
/// Bytes of the name of a secret.
const MAX_SECRET_NAME: usize = 256;
/// Bytes of the name of a value. The parent says what is wrong with one that is too long for the bucket.
const MAX_SENT_NAME: usize = 64 * 1024;

/// The longest wait that is added to an `Instant`, because the addition could overflow.
const MAX_WAIT: Duration = Duration::from_secs(10 * 365 * 86_400);

fn exchange_of(operation: &Operation, ticket: Ticket) -> Ticket {
    match operation {
        Operation::Request(_)
        | Operation::Connect { .. }
        | Operation::Secret { .. }
        | Operation::OpenValue { .. }
        | Operation::StoreValue { .. }
        | Operation::DeleteValue { .. } => ticket,
        Operation::Write { exchange, .. } | Operation::Read { exchange, .. } | Operation::StartTls { exchange, .. } => {
            *exchange
        }
    }
}

/// The error of an operation whose names are longer than any server takes.
pub(crate) fn too_long(operation: &Operation) -> Option<NetError> {
    let lengths = match operation {
        Operation::Request(request) => vec![
            ("the method", request.method.len(), MAX_METHOD),
            ("the origin", request.origin.len(), MAX_ORIGIN),
            ("the target", request.target.len(), MAX_TARGET),
        ],
        Operation::Connect { host, .. } => vec![("the host", host.len(), MAX_ORIGIN)],
        Operation::StartTls { settings, .. } => {
            let protocol = settings.protocols.iter().map(String::len).max();
            vec![
                ("the name of the server", settings.server_name.len(), MAX_ORIGIN),
                ("the text of the certificates", settings.authorities.len(), MAX_AUTHORITIES),
                ("the name of an application protocol", protocol.unwrap_or_default(), MAX_PROTOCOL),
            ]
        }
        Operation::Secret { name } => vec![("the name of a secret", name.len(), MAX_SECRET_NAME)],
        Operation::OpenValue { name, .. } | Operation::StoreValue { name, .. } | Operation::DeleteValue { name } => {
            vec![("the name of a value", name.len(), MAX_SENT_NAME)]
        }
        Operation::Write { .. } | Operation::Read { .. } => Vec::new(),
    };
    let (what, len, limit) = lengths.into_iter().find(|(_, len, limit)| len > limit)?;
    Some(NetError::new(NetErrorKind::Limit, format!("{what} has {len} bytes; the limit is {limit}")))
}

/// Bytes that an operation has in this process, or will have when it completes.
fn buffer_bytes(operation: &Operation) -> u64 {
    match operation {
        Operation::Request(request) => {
            let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            let body = match &request.body {
                Body::Whole(bytes) => bytes.len(),
                Body::None | Body::Streamed => 0,
            };
            (request.method.len() + request.origin.len() + request.target.len() + headers + body) as u64
        }
        Operation::Write { bytes, .. } => bytes.len() as u64,
        Operation::Read { max, .. } => u64::from(*max),
        Operation::Connect { host, .. } => host.len() as u64,
        Operation::StartTls { settings, .. } => (settings.server_name.len() + settings.authorities.len()) as u64,
        Operation::Secret { name } | Operation::StoreValue { name, .. } | Operation::DeleteValue { name } => {
            name.len() as u64
        }
        Operation::OpenValue { name, max } => name.len() as u64 + u64::from(*max),
    }
}

fn body_len(completion: &Completion) -> usize {
    match completion {
        Completion::Response(response) => response.body.len(),
        Completion::Data { bytes, .. } => bytes.len(),
        Completion::Written
        | Completion::Secret(_)
        | Completion::Failed(_)
        | Completion::Connected
        | Completion::Secured(_)
        | Completion::Missing => 0,
    }
}

fn too_much_buffered(limit: u64) -> NetError {
    NetError::new(
        NetErrorKind::Limit,
        format!(
            "the step has more than its limit of {} in progress (`net_buffered_bytes`); send the body in pieces, wait for some \
             of its requests before the next, or run it on a worker with a higher limit",
            bytes_text(limit)
        ),
    )
}
