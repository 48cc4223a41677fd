//! What one step has under way, in the parent: its exchanges, what they have cost so far, and where their ends are told.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::net::{Ended, NetError, NetErrorKind, Operation, Request, Ticket};
use http::Method;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::parent::egress::clients::{Client, Clients};
use crate::parent::egress::exchange::{self, Orders, ReadOrder, WriteOrder};
use crate::parent::egress::gate::{Allowed, Gate, Refusal};
use crate::parent::egress::secrets::Secrets;
use crate::step::limits::{Limits, bytes_text};
use crate::step::net_port::{MOST_READ, NetRequest};
use crate::step::permissions::Permissions;

/// Told how operations end. May not block.
pub(crate) type Tell = Box<dyn Fn(Ticket, Ended) + Send + Sync>;

/// One step's place at the egress. Dropping it ends everything the step has under way.
#[derive(Debug)]
pub(crate) struct Session(Arc<Desk>);

/// What a session and its exchanges share.
pub(crate) struct Desk {
    clients: Arc<Clients>,
    asked: Allowed,
    secrets: Vec<String>,
    limits: Limits,
    tell: Tell,
    exchanges: Mutex<HashMap<Ticket, Exchange>>,
    up: AtomicU64,
    down: AtomicU64,
}

/// An exchange that is not over.
#[derive(Debug)]
struct Exchange {
    task: AbortHandle,
    reads: mpsc::Sender<ReadOrder>,
    writes: mpsc::Sender<WriteOrder>,
    /// Operations that have not ended.
    open: Vec<Ticket>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Desk").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(clients: Arc<Clients>, permissions: &Permissions, limits: &Limits, tell: Tell) -> Self {
        Self(Arc::new(Desk {
            clients,
            asked: Allowed::Rules(permissions.net.clone()),
            secrets: permissions.secrets.clone(),
            limits: limits.clone(),
            tell,
            exchanges: Mutex::default(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        }))
    }

    /// Begins or ends something. Needs a tokio runtime around it.
    pub(crate) fn handle(&self, request: NetRequest) {
        match request {
            NetRequest::Start(ticket, operation) => self.start(ticket, operation),
            NetRequest::Close(exchange) => self.0.close(exchange),
            NetRequest::PutBlob(ticket, _) | NetRequest::GetBlob(ticket, _) => {
                let why = "there is no bucket here";
                (self.0.tell)(ticket, Ended::Failed(NetError::new(NetErrorKind::Closed, why)));
            }
        }
    }

    fn start(&self, ticket: Ticket, operation: Operation) {
        match operation {
            Operation::Request(request) => self.request(ticket, request),
            Operation::Read { exchange, max, timeout_ms } => {
                let order = ReadOrder { ticket, max: max.min(MOST_READ), timeout_ms };
                self.0.order(exchange, ticket, |exchange| exchange.reads.try_send(order).is_ok());
            }
            Operation::Write { exchange, bytes, last } => match self.0.count_up(bytes.len()) {
                Ok(()) => {
                    let order = WriteOrder { ticket, bytes, last };
                    self.0.order(exchange, ticket, |exchange| exchange.writes.try_send(order).is_ok());
                }
                Err(error) => {
                    self.0.close(exchange);
                    (self.0.tell)(ticket, Ended::Failed(error));
                }
            },
            Operation::Secret { name } => {
                let read = self.0.secrets().read(&name);
                let ended = read.map_or_else(|refusal| self.0.refused(refusal), Ended::Secret);
                (self.0.tell)(ticket, ended);
            }
        }
    }

    fn request(&self, ticket: Ticket, request: Request) {
        let mut exchanges = self.0.exchanges();
        if exchanges.len() >= self.0.limits.net_exchanges as usize {
            drop(exchanges);
            return (self.0.tell)(ticket, Ended::Failed(too_many(self.0.limits.net_exchanges)));
        }
        let (reads, read_orders) = mpsc::channel(1);
        let (writes, write_orders) = mpsc::channel(1);
        let orders = Orders { reads: read_orders, writes: write_orders };
        // the map is locked: the exchange cannot be over before it is in there
        let task = tokio::spawn(exchange::run(Arc::clone(&self.0), ticket, request, orders)).abort_handle();
        let before = exchanges.insert(ticket, Exchange { task, reads, writes, open: vec![ticket] });
        if let Some(before) = before {
            before.task.abort();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (_, exchange) in self.0.exchanges().drain() {
            exchange.task.abort();
        }
    }
}

impl Desk {
    fn exchanges(&self) -> MutexGuard<'_, HashMap<Ticket, Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, exchange: Ticket) -> Option<Exchange> {
        self.exchanges().remove(&exchange)
    }

    /// Gives an exchange something to do, if it lives and has nothing of the kind to do.
    fn order(&self, exchange: Ticket, ticket: Ticket, give: impl FnOnce(&Exchange) -> bool) {
        let mut exchanges = self.exchanges();
        let why = match exchanges.get_mut(&exchange) {
            None => "the exchange is over",
            Some(exchange) => {
                // noted first: it may be done in a moment
                exchange.open.push(ticket);
                if give(exchange) {
                    return;
                }
                exchange.open.retain(|open| *open != ticket);
                "the exchange does the same for another operation"
            }
        };
        drop(exchanges);
        (self.tell)(ticket, Ended::Failed(NetError::new(NetErrorKind::Closed, why)));
    }

    /// An operation of a living exchange has ended.
    pub(crate) fn ended(&self, exchange: Ticket, ticket: Ticket, ended: Ended) {
        if let Some(exchange) = self.exchanges().get_mut(&exchange) {
            exchange.open.retain(|open| *open != ticket);
        }
        (self.tell)(ticket, ended);
    }

    /// An exchange is over with the end of this operation; the others under way end with it.
    pub(crate) fn over(&self, exchange: Ticket, ticket: Ticket, ended: Ended) {
        let Some(exchange) = self.forget(exchange) else { return };
        self.end_all(exchange.open.into_iter().filter(|open| *open != ticket));
        (self.tell)(ticket, ended);
    }

    /// Gives an exchange up.
    fn close(&self, exchange: Ticket) {
        if let Some(exchange) = self.forget(exchange) {
            exchange.task.abort();
            self.end_all(exchange.open.into_iter());
        }
    }

    /// Every operation has an end that is told: the step counts on that.
    fn end_all(&self, open: impl Iterator<Item = Ticket>) {
        for ticket in open {
            let why = "the exchange was over before this was done";
            (self.tell)(ticket, Ended::Failed(NetError::new(NetErrorKind::Closed, why)));
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn secrets(&self) -> Secrets<'_> {
        Secrets { known: self.clients.secrets(), asked: &self.secrets }
    }

    pub(crate) fn gate(&self, method: &Method) -> Gate {
        Gate::new(&self.asked, self.clients.allowed(), method.as_str())
    }

    pub(crate) fn client(&self, gate: Gate) -> Result<Client, NetError> {
        self.clients.client(gate)
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> Ended {
        self.clients.refusals().note(&refusal);
        Ended::Failed(refusal.into())
    }

    pub(crate) fn count_up(&self, bytes: usize) -> Result<(), NetError> {
        count(&self.up, bytes, self.limits.net_up_bytes, "sent", "net_up_bytes")
    }

    pub(crate) fn count_down(&self, bytes: usize) -> Result<(), NetError> {
        count(&self.down, bytes, self.limits.net_down_bytes, "was sent", "net_down_bytes")
    }
}

fn count(so_far: &AtomicU64, bytes: usize, most: u64, what: &str, limit: &str) -> Result<(), NetError> {
    let before = so_far.fetch_add(bytes as u64, Ordering::Relaxed);
    if before.saturating_add(bytes as u64) <= most {
        return Ok(());
    }
    let most = bytes_text(most);
    let message = format!(
        "the step {what} more than its limit of {most} (`{limit}`); split its work, or run it on a worker with a higher limit"
    );
    Err(NetError::new(NetErrorKind::Limit, message))
}

fn too_many(most: u32) -> NetError {
    let message = format!(
        "the step has {most} requests under way, as many as it may (`net_exchanges`); read or close their responses before \
         the next, or run it on a worker with a higher limit"
    );
    NetError::new(NetErrorKind::Limit, message)
}
