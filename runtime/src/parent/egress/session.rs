//! What one step has in flight, in the parent: it starts exchanges, gives them work and ends them.

use std::sync::Arc;

use bue_model::net::{Completion, NetError, NetErrorKind, Operation, Ticket};
use tokio::sync::mpsc;

use crate::parent::bucket::Bucket;
use crate::parent::egress::clients::Clients;
use crate::parent::egress::commands::{Commands, ReadCommand, WriteCommand};
use crate::parent::egress::exchange;
use crate::parent::egress::session_state::{CompletionCallback, Exchange, SessionState};
use crate::parent::egress::socket::{self, Target};
use crate::parent::egress::value;
use crate::step::limits::Limits;
use crate::step::net_port::{MAX_READ_BYTES, NetRequest};
use crate::step::permissions::Permissions;

/// One step's access to the network. Dropping it ends everything the step has in flight.
#[derive(Debug)]
pub(crate) struct Session(Arc<SessionState>);

impl Session {
    pub(crate) fn new(
        clients: Arc<Clients>,
        permissions: &Permissions,
        limits: &Limits,
        bucket: Option<Arc<dyn Bucket>>,
        complete: CompletionCallback,
    ) -> Self {
        Self(Arc::new(SessionState::new(clients, permissions, limits, bucket, complete)))
    }

    /// Starts or ends an operation. Must be called inside a tokio runtime.
    pub(crate) fn handle(&self, request: NetRequest) {
        match request {
            NetRequest::Start(ticket, operation) => self.start(ticket, operation),
            NetRequest::Close(exchange) => self.0.close(exchange),
            NetRequest::PutBlob(ticket, _) | NetRequest::GetBlob(ticket, _) => {
                let message = "this step has no bucket";
                self.0.complete(ticket, Completion::Failed(NetError::new(NetErrorKind::Closed, message)));
            }
        }
    }

    fn start(&self, ticket: Ticket, operation: Operation) {
        match operation {
            Operation::Request(request) => {
                self.open(ticket, move |state, commands| exchange::run(state, ticket, request, commands));
            }
            Operation::Connect { host, port, timeout_ms } => {
                let target = Target { host, port, timeout_ms };
                self.open(ticket, move |state, commands| socket::run(state, ticket, target, commands));
            }
            Operation::Read { exchange, max, timeout_ms } => {
                let command = Box::new(ReadCommand { ticket, max: max.min(MAX_READ_BYTES), timeout_ms });
                self.0.enqueue(exchange, ticket, |exchange| exchange.reads.try_send(command).is_ok());
            }
            Operation::Write { exchange, bytes, last } => match self.0.count_sent(bytes.len()) {
                Ok(()) => {
                    let command = Box::new(WriteCommand::Write { ticket, bytes, last });
                    self.0.enqueue(exchange, ticket, |exchange| exchange.writes.try_send(command).is_ok());
                }
                Err(error) => {
                    self.0.close(exchange);
                    self.0.complete(ticket, Completion::Failed(error));
                }
            },
            Operation::StartTls { exchange, settings } => {
                let command = Box::new(WriteCommand::StartTls { ticket, settings });
                self.0.enqueue(exchange, ticket, |exchange| exchange.writes.try_send(command).is_ok());
            }
            Operation::Secret { name } => {
                let value = self.0.secrets().read(&name);
                let completion = value.map_or_else(|refusal| self.0.refuse(refusal), Completion::Secret);
                self.0.complete(ticket, completion);
            }
            Operation::OpenValue { name, max } => {
                let max = max.clamp(1, MAX_READ_BYTES);
                self.start_exchange(ticket, move |state, commands| value::read(state, ticket, name, max, commands));
            }
            Operation::StoreValue { name, expires_s } => {
                self.start_exchange(ticket, move |state, commands| {
                    value::store(state, ticket, name, expires_s, commands)
                });
            }
            Operation::DeleteValue { name } => {
                self.start_exchange(ticket, move |state, _| value::delete(state, ticket, name));
            }
        }
    }

    /// Starts an exchange with a server as soon as there is a place for it.
    fn open<F>(&self, ticket: Ticket, run: impl FnOnce(Arc<SessionState>, Commands) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.start_exchange(ticket, move |state, commands| async move {
            let _place = state.place().await;
            // boxed, so that an exchange that waits for its place takes little memory
            Box::pin(run(Arc::clone(&state), commands)).await;
        });
    }

    /// Starts an exchange, whose number is the ticket.
    fn start_exchange<F>(&self, ticket: Ticket, run: impl FnOnce(Arc<SessionState>, Commands) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let max = self.0.limits().net_exchanges;
        let mut exchanges = self.0.exchanges();
        if exchanges.len() >= max as usize {
            drop(exchanges);
            return self.0.complete(ticket, Completion::Failed(too_many(max)));
        }
        let (reads, read_commands) = mpsc::channel(1);
        let (writes, write_commands) = mpsc::channel(1);
        let commands = Commands { reads: read_commands, writes: write_commands };
        let state = Arc::clone(&self.0);
        // the map is locked: the exchange cannot finish before it is in the map
        let task = tokio::spawn(async move { run(state, commands).await }).abort_handle();
        let replaced = exchanges.insert(ticket, Exchange { task, reads, writes, open: vec![ticket] });
        if let Some(replaced) = replaced {
            replaced.task.abort();
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

fn too_many(max: u32) -> NetError {
    let message = format!(
        "the step has {max} requests in flight, or connections or values of the bucket open, the most it may have (`net_exchanges`); \
         read or close their responses, or close connections and values, before the next, or run it on a worker with a higher limit"
    );
    NetError::new(NetErrorKind::Limit, message)
}
