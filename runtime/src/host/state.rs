//! What the host keeps for one running guest, and what it lets the guest do.

use core::time::Duration;
use std::time::Instant;

use bue_model::guest::HostRequest;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use wasmtime::{Caller, Extern, ResourceLimiter, UpdateDeadline};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p1::WasiP1Ctx;

use crate::host::engine::TICK;
use crate::host::net::{Net, TooManyTickets};
use crate::host::values;
use crate::host::wasi::HANDLES;
use crate::host::{turns, wasi};
use crate::packages::mount::Mount;
use crate::step::failure::TooMuchTime;
use crate::step::limits::{Limits, bytes_text, time_text};
use crate::step::log::Log;
use crate::step::net_port::NetPort;
use crate::step::task::Items;

/// The data of a guest's store.
pub(crate) struct StepState {
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    /// When its time is over.
    pub(crate) deadline: Instant,
    /// It asked for more memory than it may have.
    pub(crate) memory_refused: bool,
    /// What it has.
    pub(crate) memory_bytes: u64,
    /// Who takes the elements of its result, if anybody does.
    items: Option<mpsc::Sender<Items>>,
    streamed: u64,
    ticks: u32,
    net: Net,
    /// A reply that did not fit.
    reply: Bytes,
    /// Instances at most, and tables.
    parts: usize,
    /// Entries of its table of handles at most.
    pub(crate) handles: usize,
}

/// The host ends a guest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Time(TooMuchTime),
    #[error("the step computed longer than its processor limit of {}; split its work into smaller steps", time_text(*.0))]
    Cpu(Duration),
    #[error("the step gave one batch of {} for its loop, more than its result limit of {}", bytes_text(*.0), bytes_text(*.1))]
    Batch(u64, u64),
    #[error("the step gave more than its stream limit of {} for its loop", bytes_text(*.0))]
    Stream(u64),
    #[error("the step handed over {} at once, more than its limit of {} (`result_bytes`, `net_buffered_bytes`); hand it over in pieces, or run it on a worker with higher limits", bytes_text(*.0), bytes_text(*.1))]
    Request(u64, u64),
    #[error(transparent)]
    Tickets(#[from] TooManyTickets),
    #[error("nobody takes the step's elements any more")]
    NobodyListens,
    #[error("the guest broke its contract with the host: {0}")]
    Contract(String),
}

impl StepState {
    /// Without elements to give and without a network.
    pub(crate) fn new(limits: &Limits, log: &Log, deadline: Instant, packages: Option<&Mount>) -> Self {
        Self::connected(limits, log, deadline, packages, None, NetPort::closed())
    }

    /// Elements go to `items`, if anybody takes them, and requests through `port`.
    pub(crate) fn connected(
        limits: &Limits,
        log: &Log,
        deadline: Instant,
        packages: Option<&Mount>,
        items: Option<mpsc::Sender<Items>>,
        port: NetPort,
    ) -> Self {
        let net = Net::new(port, limits, log);
        Self { items, net, ..Self::confined(limits, log, deadline, wasi::context(log, packages)) }
    }

    /// Without a network of its own, and with its own view of the world.
    pub(crate) fn confined(limits: &Limits, log: &Log, deadline: Instant, wasi: WasiP1Ctx) -> Self {
        Self {
            wasi,
            log: log.clone(),
            limits: limits.clone(),
            deadline,
            memory_refused: false,
            memory_bytes: 0,
            items: None,
            streamed: 0,
            ticks: 0,
            net: Net::new(NetPort::closed(), limits, log),
            reply: Bytes::new(),
            parts: 1,
            handles: HANDLES,
        }
    }

    /// It is a component: a handful of modules that share a memory.
    pub(crate) fn into_component(mut self) -> Self {
        self.parts = COMPONENT_PARTS;
        self.handles = COMPONENT_HANDLES;
        self.wasi.ctx().table.set_max_capacity(self.handles);
        self
    }

    /// A running guest was interrupted: may it go on?
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        turns::goes_on();
        self.ticks = self.ticks.saturating_add(1);
        if Instant::now() >= self.deadline {
            return Err(Stop::Time(TooMuchTime(self.limits.time)).into());
        }
        if TICK.saturating_mul(self.ticks) > self.limits.cpu {
            return Err(Stop::Cpu(self.limits.cpu).into());
        }
        // Others first, and timers and sockets too: tokio's own yield lets it look at them, where merely being woken would
        // let it come back to this step dozens of times before it does.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    }

    async fn answer(&mut self, request: HostRequest) -> Result<(), Stop> {
        match request {
            HostRequest::Take => {}
            HostRequest::Emit { count, items } => {
                self.emit(Items { count, items }).await?;
                self.reply = Bytes::new();
            }
            HostRequest::Start(operation) => self.reply = reply(&self.net.start(operation).await?)?,
            HostRequest::Wait { tickets, timeout_ms } => {
                self.reply = reply(&self.net.wait(&tickets, timeout_ms).await)?;
            }
            HostRequest::Close { exchange } => {
                self.net.close(exchange);
                self.reply = Bytes::new();
            }
        }
        Ok(())
    }

    async fn emit(&mut self, items: Items) -> Result<(), Stop> {
        let len = items.items.len() as u64;
        if len > self.limits.result_bytes {
            return Err(Stop::Batch(len, self.limits.result_bytes));
        }
        self.streamed = self.streamed.saturating_add(len);
        if self.streamed > self.limits.stream_bytes {
            return Err(Stop::Stream(self.limits.stream_bytes));
        }
        values::check_items(&items).map_err(Stop::Contract)?;
        let to =
            self.items.as_ref().ok_or_else(|| Stop::Contract("it streams where nobody asked for it".to_owned()))?;
        // waits until the one before was taken: a list of any length has flat memory
        to.send(items).await.map_err(|_| Stop::NobodyListens)
    }
}

fn reply<T: Serialize>(reply: &T) -> Result<Bytes, Stop> {
    let bytes = postcard::to_allocvec(reply);
    bytes.map(Bytes::from).map_err(|error| Stop::Contract(format!("a reply that cannot be written: {error}")))
}

impl ResourceLimiter for StepState {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired as u64 <= self.limits.memory_bytes;
        self.memory_refused |= !allowed;
        if allowed {
            self.memory_bytes = desired as u64;
        }
        Ok(allowed)
    }

    /// Tables belong to the module; the guest cannot need more.
    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(current == 0 && desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        self.parts
    }

    fn tables(&self) -> usize {
        self.parts
    }

    fn memories(&self) -> usize {
        1
    }
}

/// Instances, and tables, of a component. What compilers make of one program has its module and a few little ones around
/// it, which use its memory.
const COMPONENT_PARTS: usize = 16;

/// Entries of a component's table of handles: streams, requests and responses are some.
const COMPONENT_HANDLES: usize = 1_000;

/// Functions a guest may have addresses of. RustPython has some 20,000.
const TABLE_ELEMENTS: usize = 200_000;

/// `bue.host`: the one import beside WASI.
pub(crate) async fn host_call(
    mut caller: Caller<'_, StepState>,
    (ptr, len, reply_ptr, reply_cap): (u32, u32, u32, u32),
) -> wasmtime::Result<i64> {
    let request = request(&mut caller, ptr, len)?;
    caller.data_mut().answer(request).await?;
    let reply = core::mem::take(&mut caller.data_mut().reply);
    if reply.len() > reply_cap as usize {
        let len = reply.len();
        caller.data_mut().reply = reply;
        return Ok(i64::try_from(len)?);
    }
    let memory = memory(&mut caller)?;
    let written = memory.write(&mut caller, reply_ptr as usize, &reply);
    written.map_err(|_| Stop::Contract("room for a reply outside its memory".to_owned()))?;
    Ok(i64::try_from(reply.len())?)
}

/// Bytes a request may have beside what it carries.
const REQUEST_SLACK: u64 = 1 << 20;

fn request(caller: &mut Caller<'_, StepState>, ptr: u32, len: u32) -> Result<HostRequest, Stop> {
    let limits = &caller.data().limits;
    let most = limits.result_bytes.max(limits.net_buffered_bytes).saturating_add(REQUEST_SLACK);
    // reading a request copies it
    if u64::from(len) > most {
        return Err(Stop::Request(len.into(), most));
    }
    let memory = memory(caller)?;
    let outside = || Stop::Contract("a request outside its memory".to_owned());
    let end = (ptr as usize).checked_add(len as usize).ok_or_else(outside)?;
    let bytes = memory.data(&*caller).get(ptr as usize..end).ok_or_else(outside)?;
    postcard::from_bytes(bytes).map_err(|error| Stop::Contract(format!("a request that cannot be read: {error}")))
}

fn memory(caller: &mut Caller<'_, StepState>) -> Result<wasmtime::Memory, Stop> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| Stop::Contract("it has no memory".to_owned()))
}
