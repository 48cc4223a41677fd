//! What one step has in flight, in the parent: it starts exchanges, gives them work and ends them.

use std::sync::{Arc, Mutex, PoisonError};

use bue_model::Timestamp;
use bue_model::net::{Completion, NetError, NetErrorKind, Operation, Ticket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

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
pub(crate) struct Session {
    state: Arc<SessionState>,
    job: u64,
    /// The sleep in simulated time that the step is in. A step has one thread, so at most one sleep.
    sleep: Mutex<Option<AbortHandle>>,
}

impl Session {
    pub(crate) fn new(
        (clients, job): (Arc<Clients>, u64),
        permissions: &Permissions,
        limits: &Limits,
        bucket: Option<Arc<dyn Bucket>>,
        complete: CompletionCallback,
    ) -> Self {
        let state = Arc::new(SessionState::new(clients, permissions, limits, bucket, complete));
        Self { state, job, sleep: Mutex::default() }
    }

    /// Starts or ends an operation. Must be called inside a tokio runtime.
    pub(crate) fn handle(&self, request: NetRequest) {
        match request {
            NetRequest::Start(ticket, operation) => self.start(ticket, operation),
            NetRequest::Close(exchange) => self.state.close(exchange),
            NetRequest::Sleep(ticket, until_ms) => self.start_sleep(ticket, until_ms),
            NetRequest::PutBlob(ticket, _) | NetRequest::GetBlob(ticket, _) => {
                let message = "this step has no bucket";
                self.state.complete(ticket, Completion::Failed(NetError::new(NetErrorKind::Closed, message)));
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
                self.state.enqueue(exchange, ticket, |exchange| exchange.reads.try_send(command).is_ok());
            }
            Operation::Write { exchange, bytes, last } => match self.state.count_sent(bytes.len()) {
                Ok(()) => {
                    let command = Box::new(WriteCommand::Write { ticket, bytes, last });
                    self.state.enqueue(exchange, ticket, |exchange| exchange.writes.try_send(command).is_ok());
                }
                Err(error) => {
                    self.state.close(exchange);
                    self.state.complete(ticket, Completion::Failed(error));
                }
            },
            Operation::StartTls { exchange, settings } => {
                let command = Box::new(WriteCommand::StartTls { ticket, settings });
                self.state.enqueue(exchange, ticket, |exchange| exchange.writes.try_send(command).is_ok());
            }
            Operation::Secret { name } => {
                let value = self.state.secrets().read(&name);
                let completion = value.map_or_else(|refusal| self.state.refuse(refusal), Completion::Secret);
                self.state.complete(ticket, completion);
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

    /// Starts to sleep in simulated time. Where time is real, no step asks for it.
    fn start_sleep(&self, ticket: Ticket, until_ms: u64) {
        let state = Arc::clone(&self.state);
        let Some(time) = state.simulated_time().cloned() else {
            let message = "time is not simulated";
            return state.complete(ticket, Completion::Failed(NetError::new(NetErrorKind::Closed, message)));
        };
        let sleep = time.sleep(self.job, Timestamp(i64::try_from(until_ms).unwrap_or(i64::MAX)));
        let sleep = async move {
            sleep.await;
            state.complete(ticket, Completion::Written);
        };
        let sleep = tokio::spawn(sleep).abort_handle();
        if let Some(last) = self.sleep.lock().unwrap_or_else(PoisonError::into_inner).replace(sleep) {
            last.abort();
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
        let max = self.state.limits().net_exchanges;
        let mut exchanges = self.state.exchanges();
        if exchanges.len() >= max as usize {
            drop(exchanges);
            return self.state.complete(ticket, Completion::Failed(too_many(max)));
        }
        let (reads, read_commands) = mpsc::channel(1);
        let (writes, write_commands) = mpsc::channel(1);
        let commands = Commands { reads: read_commands, writes: write_commands };
        let state = Arc::clone(&self.state);
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
        if let Some(sleep) = self.sleep.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            sleep.abort();
        }
        for (_, exchange) in self.state.exchanges().drain() {
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
