//! What a session and its exchanges share: the open exchanges, the bytes sent and received, the rules of the step.

use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::net::{Completion, NetError, NetErrorKind, Ticket, TlsSettings};
use bue_model::{NamePattern, TraceContext};
use http::Method;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::parent::bucket::Bucket;
use crate::parent::egress::budget::StepBudget;
use crate::parent::egress::clients::{Client, Clients};
use crate::parent::egress::commands::{ReadCommand, WriteCommand};
use crate::parent::egress::connect::ConnectError;
use crate::parent::egress::counted_stream::CountedStream;
use crate::parent::egress::gate::{Authority, Gate, NetPolicy, Refusal};
use crate::parent::egress::secrets::Secrets;
use crate::parent::fair_places::Place;
use crate::parent::simulated_time::SimulatedTime;
use crate::step::limits::{Limits, bytes_text};
use crate::step::permissions::Permissions;

/// Receives the results of operations. Must not block.
pub(crate) type CompletionCallback = Box<dyn Fn(Ticket, Completion) + Send + Sync>;

/// The state of one step's session.
pub(crate) struct SessionState {
    clients: Arc<Clients>,
    budget: StepBudget,
    /// What the script requests: hosts for HTTP requests, and for TCP connections.
    requested: NetPolicy,
    requested_tcp: NetPolicy,
    secrets: Vec<String>,
    /// The names of values that the script requests, and where they are.
    names: Vec<NamePattern>,
    bucket: Option<Arc<dyn Bucket>>,
    /// The scope of the step.
    scope: String,
    /// The span of the step.
    pub(crate) trace: Option<TraceContext>,
    limits: Limits,
    complete: CompletionCallback,
    exchanges: Mutex<HashMap<Ticket, Exchange>>,
    sent: AtomicU64,
    received: AtomicU64,
}

/// An exchange that has not ended.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) task: AbortHandle,
    pub(crate) reads: mpsc::Sender<Box<ReadCommand>>,
    pub(crate) writes: mpsc::Sender<Box<WriteCommand>>,
    /// Operations that have not ended.
    pub(crate) open: Vec<Ticket>,
}

impl fmt::Debug for SessionState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionState").field("requested", &self.requested).finish_non_exhaustive()
    }
}

impl SessionState {
    pub(crate) fn new(
        clients: Arc<Clients>,
        permissions: &Permissions,
        limits: &Limits,
        bucket: Option<Arc<dyn Bucket>>,
        complete: CompletionCallback,
    ) -> Self {
        Self {
            budget: clients.budget.step(),
            clients,
            requested: NetPolicy::Rules(permissions.net.clone()),
            requested_tcp: NetPolicy::Rules(permissions.tcp.clone()),
            secrets: permissions.secrets.clone(),
            names: permissions.bucket.clone(),
            bucket,
            scope: permissions.scope.clone(),
            trace: permissions.trace,
            limits: limits.clone(),
            complete,
            exchanges: Mutex::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    /// Reports the result of an operation to the step.
    pub(crate) fn complete(&self, ticket: Ticket, completion: Completion) {
        (self.complete)(ticket, completion);
    }

    pub(crate) fn exchanges(&self) -> MutexGuard<'_, HashMap<Ticket, Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, exchange: Ticket) -> Option<Exchange> {
        self.exchanges().remove(&exchange)
    }

    /// Gives an operation to an exchange. The operation fails if the exchange has ended or is busy with one of the same kind.
    pub(crate) fn enqueue(&self, exchange: Ticket, ticket: Ticket, enqueue: impl FnOnce(&Exchange) -> bool) {
        let mut exchanges = self.exchanges();
        let reason = match exchanges.get_mut(&exchange) {
            None => "the exchange has ended",
            Some(exchange) => {
                // recorded first: the operation may end a moment later
                exchange.open.push(ticket);
                if enqueue(exchange) {
                    return;
                }
                exchange.open.retain(|open| *open != ticket);
                "the exchange is busy with another operation of this kind"
            }
        };
        drop(exchanges);
        self.complete(ticket, Completion::Failed(NetError::new(NetErrorKind::Closed, reason)));
    }

    /// Ends one operation of an exchange that continues.
    pub(crate) fn finish_operation(&self, exchange: Ticket, ticket: Ticket, completion: Completion) {
        if let Some(exchange) = self.exchanges().get_mut(&exchange) {
            exchange.open.retain(|open| *open != ticket);
        }
        self.complete(ticket, completion);
    }

    /// Ends an exchange with the result of this operation; the other operations in flight fail.
    pub(crate) fn finish_exchange(&self, exchange: Ticket, ticket: Ticket, completion: Completion) {
        let Some(exchange) = self.remove(exchange) else { return };
        self.fail_all(exchange.open.into_iter().filter(|open| *open != ticket));
        self.complete(ticket, completion);
    }

    /// Aborts an exchange.
    pub(crate) fn close(&self, exchange: Ticket) {
        if let Some(exchange) = self.remove(exchange) {
            exchange.task.abort();
            self.fail_all(exchange.open.into_iter());
        }
    }

    /// The step counts on a result for every operation.
    fn fail_all(&self, open: impl Iterator<Item = Ticket>) {
        for ticket in open {
            let message = "the exchange ended before this operation was done";
            self.complete(ticket, Completion::Failed(NetError::new(NetErrorKind::Closed, message)));
        }
    }

    /// Waits until the step may have another exchange beside those of all other steps.
    pub(crate) async fn place(&self) -> Option<Place> {
        self.budget.place().await
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the names of values that the script requests.
    pub(crate) fn names(&self) -> &[NamePattern] {
        &self.names
    }

    /// Returns the bucket, if the step has one.
    pub(crate) const fn bucket(&self) -> Option<&Arc<dyn Bucket>> {
        self.bucket.as_ref()
    }

    /// Returns the clock of the steps, if it is simulated.
    pub(crate) fn simulated_time(&self) -> Option<&SimulatedTime> {
        self.clients.simulated_time.as_ref()
    }

    /// Returns the server that answers all HTTP requests, if there is one.
    pub(crate) fn answering_server(&self) -> Option<SocketAddr> {
        self.clients.answering_server
    }

    /// Returns the worker's rules. Where one server answers all requests, nothing is reached, so those of the script are enough.
    fn allowed(&self) -> &NetPolicy {
        match self.clients.answering_server {
            Some(_) => &self.requested,
            None => self.clients.allowed(),
        }
    }

    pub(crate) fn secrets(&self) -> Secrets<'_> {
        Secrets {
            available: self.clients.secrets(),
            requested: &self.secrets,
            scope: &self.scope,
            allowed: self.allowed(),
        }
    }

    pub(crate) fn gate(&self, method: &Method) -> Gate {
        Gate::http(&self.requested, self.allowed(), method.as_str())
    }

    /// Opens a TCP connection, if both sides allow it.
    pub(crate) async fn connect(
        &self,
        authority: &Authority,
        timeout: Duration,
    ) -> Result<CountedStream, ConnectError> {
        let gate = Gate::tcp(&self.requested_tcp, &self.clients.allowed_tcp);
        let connected = tokio::time::timeout(timeout, self.clients.dialer.connect(authority, &gate)).await;
        connected.unwrap_or_else(|_| Err(ConnectError::Timeout(authority.to_string(), timeout)))
    }

    /// Returns how to use TLS on a connection.
    pub(crate) fn tls(&self, settings: TlsSettings) -> Result<rustls::ClientConfig, NetError> {
        self.clients.socket_tls(settings)
    }

    pub(crate) fn client(&self, gate: Gate) -> Result<Client, NetError> {
        self.clients.client(gate)
    }

    /// Records a refusal and returns the result that the step gets.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Completion {
        self.clients.refusals().record(&refusal);
        Completion::Failed(refusal.into())
    }

    /// Counts bytes of request bodies, and those written to connections and values.
    ///
    /// # Errors
    /// The step has sent more than it may.
    pub(crate) fn count_sent(&self, bytes: usize) -> Result<(), NetError> {
        count(&self.sent, bytes, self.limits.net_up_bytes, "sent", "net_up_bytes")
    }

    /// Counts bytes of response bodies, and those read from connections and values.
    ///
    /// # Errors
    /// The step has received more than it may.
    pub(crate) fn count_received(&self, bytes: usize) -> Result<(), NetError> {
        count(&self.received, bytes, self.limits.net_down_bytes, "received", "net_down_bytes")
    }
}

fn count(total: &AtomicU64, bytes: usize, max: u64, verb: &str, limit: &str) -> Result<(), NetError> {
    let before = total.fetch_add(bytes as u64, Ordering::Relaxed);
    if before.saturating_add(bytes as u64) <= max {
        return Ok(());
    }
    let max = bytes_text(max);
    let message = format!(
        "the step {verb} more than its limit of {max} (`{limit}`); split its work, or run it on a worker with a higher limit"
    );
    Err(NetError::new(NetErrorKind::Limit, message))
}
