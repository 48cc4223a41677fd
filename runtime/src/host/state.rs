//! The data of a guest's store: what the host tracks for one running guest, and what the guest may do.

use std::time::Instant;

use bue_model::guest::HostRequest;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use wasmtime::{AsContextMut, Caller, Extern, ResourceLimiter, UpdateDeadline};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p1::WasiP1Ctx;

use crate::host::abort::GuestAbort;
use crate::host::engine::EPOCH_INTERVAL;
use crate::host::memory::image::SharedImage;
use crate::host::net::Net;
use crate::host::row_list::RowList;
use crate::host::simulated_limit::SimulatedLimit;
use crate::host::soft_limit::SoftLimit;
use crate::host::step_context::StepContext;
use crate::host::values;
use crate::host::waiting_steps::{many_steps_wait, mark_runnable, running_for};
use crate::host::wasi::{self, MAX_HANDLES};
use crate::packages::mount::Mount;
use crate::step::failure::TimeLimitExceeded;
use crate::step::limits::Limits;
use crate::step::log::Log;
use crate::step::net_port::NetPort;
use crate::step::task::Items;

/// Maximum number of instances, and of tables, of a component. Compilers put a program into one module, with a few small
/// ones around it that use its memory.
const MAX_COMPONENT_INSTANCES: usize = 16;

/// Maximum number of entries in a component's handle table. Streams, requests and responses are entries too.
const MAX_COMPONENT_HANDLES: usize = 1_000;

/// Maximum number of functions in the table of a compiled step, which are those it has addresses of. An interpreter such as RustPython
/// has about 10,000; guests of ours have no table.
const MAX_TABLE_ELEMENTS: usize = 200_000;

/// Elements that a guest may stream at once, as many as ours does. Each round of a loop finds its element by skipping those before it.
const MAX_BATCH_ITEMS: u32 = 1_000;

/// Bytes that a request may have beside its payload.
const MAX_REQUEST_OVERHEAD: u64 = 1 << 20;

/// The data of a guest's store.
pub(crate) struct StepState {
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    /// What its memory began as. `None` for a compiled step.
    pub(crate) image: Option<SharedImage>,
    /// When its time limit is over.
    deadline: Instant,
    /// The same in simulated time; `None` if time is real.
    simulated_limit: Option<SimulatedLimit>,
    /// The soft limit of a Python step that has one, while it is called.
    pub(crate) soft_limit: Option<SoftLimit>,
    /// It asked for more memory than its limit.
    pub(crate) memory_refused: bool,
    /// Bytes of its memory.
    pub(crate) memory_bytes: u64,
    /// It is a SQL step: it ends when memory was refused, because SQLite would go on to the end of a statement.
    pub(crate) is_sql: bool,
    /// The inputs that it may read in parts.
    inputs: Vec<Bytes>,
    /// The rows of its result, if these are one list.
    rows: Option<RowList>,
    /// Receives the elements of its result, if a loop runs over them.
    items: Option<mpsc::Sender<Items>>,
    /// Bytes of elements sent so far.
    streamed_bytes: u64,
    /// Epochs in which it ran.
    epochs: u32,
    net: Net,
    /// The reply to its last request, kept if it did not fit.
    reply: Bytes,
    /// Maximum number of instances, and of tables.
    max_instances: usize,
    /// Maximum number of entries in its handle table.
    pub(crate) max_handles: usize,
}

impl StepState {
    /// A guest without a network whose result is not streamed.
    pub(crate) fn new(context: StepContext<'_>, packages: Option<&Mount>) -> Self {
        Self::connected(context, packages, None, NetPort::closed())
    }

    /// A guest whose elements go to `items`, if there is a receiver, and whose network requests go through `port`.
    pub(crate) fn connected(
        context: StepContext<'_>,
        packages: Option<&Mount>,
        items: Option<mpsc::Sender<Items>>,
        port: NetPort,
    ) -> Self {
        let net = Net::new(port, context.limits, context.log);
        Self { items, net, ..Self::with_wasi(context, wasi::context(context.log, packages)) }
    }

    /// A SQL step with these inputs, whose rows go to `items` or, if there is no receiver, into a list.
    pub(crate) fn for_sql(context: StepContext<'_>, inputs: Vec<Bytes>, items: Option<mpsc::Sender<Items>>) -> Self {
        let rows = items.is_none().then(|| RowList::new(context.limits.result_bytes));
        Self { is_sql: true, inputs, rows, items, ..Self::new(context, None) }
    }

    /// Takes the rows of the list.
    pub(crate) fn take_rows(&mut self) -> Option<RowList> {
        self.rows.take()
    }

    /// A guest without requests to the host, with this WASI context.
    pub(crate) fn with_wasi(context: StepContext<'_>, wasi: WasiP1Ctx) -> Self {
        let StepContext { limits, log, deadline, .. } = context;
        Self {
            wasi,
            log: log.clone(),
            limits: limits.clone(),
            image: None,
            deadline,
            simulated_limit: SimulatedLimit::starting_now(limits.time),
            soft_limit: None,
            memory_refused: false,
            memory_bytes: 0,
            is_sql: false,
            inputs: Vec::new(),
            rows: None,
            items: None,
            streamed_bytes: 0,
            epochs: 0,
            net: Net::new(NetPort::closed(), limits, log),
            reply: Bytes::new(),
            max_instances: 1,
            max_handles: MAX_HANDLES,
        }
    }

    /// Raises the limits to those of a component: several modules that share a memory.
    pub(crate) fn into_component(mut self) -> Self {
        self.max_instances = MAX_COMPONENT_INSTANCES;
        self.max_handles = MAX_COMPONENT_HANDLES;
        self.wasi.ctx().table.set_max_capacity(self.max_handles);
        self
    }

    /// Called after each host call: epochs interrupt a guest only where a function or a round of a loop begins, and many calls can be
    /// made between two of these places.
    pub(crate) async fn after_host_call(&mut self) -> wasmtime::Result<()> {
        let running = running_for();
        if running < EPOCH_INTERVAL {
            return Ok(());
        }
        let epochs = running.as_nanos() / EPOCH_INTERVAL.as_nanos();
        self.count_epochs(u32::try_from(epochs).unwrap_or(u32::MAX))?;
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Called when the epoch has interrupted the guest: yields, or aborts a guest that is over a limit.
    pub(crate) fn on_epoch(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.count_epochs(1)?;
        // Other steps run first, and timers and sockets are polled too: tokio's own yield lets its driver run, whereas a
        // task that merely wakes itself may be polled dozens of times before that.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    }

    /// The guest has run for so long. It will be suspended although it could go on, unless it is over a limit.
    fn count_epochs(&mut self, epochs: u32) -> wasmtime::Result<()> {
        mark_runnable();
        self.epochs = self.epochs.saturating_add(epochs);
        if Instant::now() >= self.deadline {
            return Err(GuestAbort::Time(TimeLimitExceeded(self.limits.time)).into());
        }
        if self.is_sql && self.memory_refused {
            return Err(GuestAbort::Memory.into());
        }
        if EPOCH_INTERVAL.saturating_mul(self.epochs) > self.limits.cpu {
            return Err(GuestAbort::Cpu(self.limits.cpu).into());
        }
        Ok(())
    }

    /// Handles a request; the reply is in `self.reply`.
    async fn handle(&mut self, request: HostRequest) -> Result<(), GuestAbort> {
        match request {
            HostRequest::Take => {}
            HostRequest::Emit { count, items, early } => {
                self.emit(Items { count, items, early }).await?;
                self.reply = Bytes::new();
            }
            HostRequest::Start(operation) => self.reply = encode_reply(&self.net.start(operation).await?)?,
            HostRequest::Wait { tickets, timeout_ms } => {
                if let Some(limit) = self.simulated_limit {
                    self.reply = encode_reply(&self.net.wait_simulated(&tickets, timeout_ms, limit).await?)?;
                    return Ok(());
                }
                let soft_limit = self.soft_limit.as_ref().and_then(SoftLimit::next);
                let wait = self.net.wait(&tickets, timeout_ms);
                let completions = match soft_limit {
                    // completions that have arrived meanwhile are kept for the next wait
                    Some(deadline) => tokio::time::timeout_at(deadline.into(), wait).await.unwrap_or_default(),
                    None => wait.await,
                };
                self.reply = encode_reply(&completions)?;
            }
            HostRequest::Close { exchange } => {
                self.net.close(exchange);
                self.reply = Bytes::new();
            }
            HostRequest::Input { index, offset, max } => self.reply = self.input_part(index, offset, max),
            HostRequest::Rows(rows) => {
                let not_requested = || GuestAbort::Contract("it returns rows that were not requested".to_owned());
                self.rows.as_mut().ok_or_else(not_requested)?.append(&rows)?;
                self.reply = Bytes::new();
            }
        }
        Ok(())
    }

    /// A part of an input, without copying it; empty behind the end and if there is no such input.
    fn input_part(&self, index: u32, offset: u64, max: u32) -> Bytes {
        let Some(input) = self.inputs.get(index as usize) else { return Bytes::new() };
        let start = usize::try_from(offset).map_or(input.len(), |offset| offset.min(input.len()));
        input.slice(start..start.saturating_add(max as usize).min(input.len()))
    }

    async fn emit(&mut self, items: Items) -> Result<(), GuestAbort> {
        let len = items.items.len() as u64;
        if len > self.limits.result_bytes {
            return Err(GuestAbort::Batch { bytes: len, limit: self.limits.result_bytes });
        }
        self.streamed_bytes = self.streamed_bytes.saturating_add(len);
        if self.streamed_bytes > self.limits.stream_bytes {
            return Err(GuestAbort::Stream { limit: self.limits.stream_bytes });
        }
        if items.count > MAX_BATCH_ITEMS {
            let count = items.count;
            let message = format!("it streams {count} elements at once, and {MAX_BATCH_ITEMS} are allowed");
            return Err(GuestAbort::Contract(message));
        }
        values::check_items(&items).map_err(GuestAbort::Contract)?;
        let not_requested = || GuestAbort::Contract("it streams a result that was not to be streamed".to_owned());
        let receiver = self.items.as_ref().ok_or_else(not_requested)?;
        // waits until the previous batch was received: a list of any length needs constant memory
        receiver.send(items).await.map_err(|_| GuestAbort::ReceiverGone)
    }
}

impl ResourceLimiter for StepState {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let is_allowed = desired as u64 <= self.limits.memory_bytes;
        self.memory_refused |= !is_allowed;
        if is_allowed {
            self.memory_bytes = desired as u64;
        }
        Ok(is_allowed)
    }

    /// A table is as large as the module declares it; it may not grow.
    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(current == 0 && desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        self.max_instances
    }

    fn tables(&self) -> usize {
        self.max_instances
    }

    fn memories(&self) -> usize {
        1
    }
}

/// `bue.host`, the one import besides WASI. The arguments are those of [`bue_model::guest`].
pub(crate) async fn host_call(
    mut caller: Caller<'_, StepState>,
    (ptr, len, reply_ptr, reply_cap): (u32, u32, u32, u32),
) -> wasmtime::Result<i64> {
    let mut request = read_request(&mut caller, ptr, len)?;
    if let HostRequest::Wait { timeout_ms, .. } = &mut request
        && is_soft_limit_unseen(&mut caller)
    {
        *timeout_ms = Some(0);
    }
    // a wait without time is a question whether something is done
    if matches!(request, HostRequest::Wait { timeout_ms, .. } if timeout_ms != Some(0)) && many_steps_wait() {
        release_unchanged_pages(&mut caller)?;
    }
    caller.data_mut().handle(request).await?;
    notify_of_soft_limit(&mut caller);
    let reply = core::mem::take(&mut caller.data_mut().reply);
    if reply.len() > reply_cap as usize {
        let len = reply.len();
        caller.data_mut().reply = reply;
        return Ok(i64::try_from(len)?);
    }
    let memory = memory(&mut caller)?;
    let written = memory.write(&mut caller, reply_ptr as usize, &reply);
    written.map_err(|_| GuestAbort::Contract("a buffer for a reply is outside its memory".to_owned()))?;
    Ok(i64::try_from(reply.len())?)
}

/// Sets the flag of the soft limit once, when the limit is reached.
pub(crate) fn notify_of_soft_limit(mut store: impl AsContextMut<Data = StepState>) {
    let mut context = store.as_context_mut();
    let limit = context.data_mut().soft_limit.as_mut();
    if let Some(flag) = limit.and_then(|limit| limit.reach(Instant::now())) {
        flag.set(&mut context);
    }
}

/// Has the soft limit been reached, and does the guest not know yet?
fn is_soft_limit_unseen(mut store: impl AsContextMut<Data = StepState>) -> bool {
    notify_of_soft_limit(&mut store);
    let flag = store.as_context().data().soft_limit.as_ref().and_then(SoftLimit::reached);
    flag.is_some_and(|flag| flag.is_set(&store))
}

/// Gives back pages that equal the image.
fn release_unchanged_pages(caller: &mut Caller<'_, StepState>) -> Result<(), GuestAbort> {
    let Some(image) = caller.data().image.clone() else { return Ok(()) };
    // if that fails, the pages stay where they are
    let _ = image.release_unchanged(memory(caller)?.data_mut(caller));
    Ok(())
}

fn read_request(caller: &mut Caller<'_, StepState>, ptr: u32, len: u32) -> Result<HostRequest, GuestAbort> {
    let limits = &caller.data().limits;
    let limit = limits.result_bytes.max(limits.net_buffered_bytes).saturating_add(MAX_REQUEST_OVERHEAD);
    // checked first, because reading a request copies it
    if u64::from(len) > limit {
        return Err(GuestAbort::Request { bytes: len.into(), limit });
    }
    let memory = memory(caller)?;
    let outside = || GuestAbort::Contract("a request is outside its memory".to_owned());
    let end = (ptr as usize).checked_add(len as usize).ok_or_else(outside)?;
    let bytes = memory.data(&*caller).get(ptr as usize..end).ok_or_else(outside)?;
    postcard::from_bytes(bytes).map_err(|error| GuestAbort::Contract(format!("a request cannot be read: {error}")))
}

fn encode_reply<T: Serialize>(reply: &T) -> Result<Bytes, GuestAbort> {
    let bytes = postcard::to_allocvec(reply);
    bytes.map(Bytes::from).map_err(|error| GuestAbort::Contract(format!("a reply cannot be encoded: {error}")))
}

fn memory(caller: &mut Caller<'_, StepState>) -> Result<wasmtime::Memory, GuestAbort> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| GuestAbort::Contract("it has no memory".to_owned()))
}
