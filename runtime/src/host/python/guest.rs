//! The guest's code, and instances of it: the host's side of the contract in [`bue_model::guest`].

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::{AsContext, Extern, InstancePre, Linker, Module, ModuleExport, Store, Val, ValType};
use wasmtime_wasi::p1;

use crate::error::RuntimeError;
use crate::host::engine::{GuestEngine, HOSTCALL_FUEL};
use crate::host::memory::image::{Image, SharedImage};
use crate::host::memory::mapping::PAGE;
use crate::host::memory::pagemap;
use crate::host::python::split::GLOBAL_PREFIX;
use crate::host::state::{StepState, Stop, host_call};
use crate::packages::mount::Mount;
use crate::step::limits::Limits;
use crate::step::log::Log;

/// A guest that has not started by then hangs: Python takes three seconds.
const START: Duration = Duration::from_secs(120);

/// Bytes an answer may have beside its result: message and traceback.
const ANSWER_SLACK: u64 = 1 << 20;

/// Compiled code of a guest, linked.
pub(crate) struct GuestCode {
    engine: GuestEngine,
    pre: InstancePre<StepState>,
    exports: Exports,
}

/// What the guest exports, looked up once.
struct Exports {
    memory: ModuleExport,
    alloc: ModuleExport,
    load: ModuleExport,
    call: ModuleExport,
    /// Its globals that change. The first is the stack pointer: that is where linkers put it.
    globals: Vec<(ModuleExport, ValType)>,
}

/// An export that takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Load,
    Call,
}

impl GuestCode {
    /// Maps compiled code.
    ///
    /// # Safety
    /// The file must be one that this installation compiled, unchanged: what it says is run.
    pub(crate) unsafe fn load(engine: GuestEngine, path: &Path) -> Result<Self, RuntimeError> {
        // SAFETY: the caller vouches for the file.
        let module = unsafe { Module::deserialize_file(&engine.engine, path)? };
        let mut linker = Linker::new(&engine.engine);
        p1::add_to_linker_async(&mut linker, |state: &mut StepState| &mut state.wasi)?;
        linker.func_wrap_async("bue", "host", |caller, request| Box::new(host_call(caller, request)))?;
        let pre = linker.instantiate_pre(&module)?;
        let exports = Exports::of(&module)?;
        Ok(Self { engine, pre, exports })
    }

    /// An instance whose memory begins as the image says.
    pub(crate) async fn instance(&self, image: &SharedImage, state: StepState) -> wasmtime::Result<Instance<'_>> {
        let mut store = Store::new(&self.engine.engine, state);
        store.limiter(|state| state);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut caller| caller.data_mut().tick());
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        self.engine.memories.lay_ready(Arc::clone(image));
        let instance = self.pre.instantiate_async(&mut store).await?;
        let mut instance = Instance { code: self, store, instance };
        instance.set_globals(&image.globals)?;
        Ok(instance)
    }

    /// Starts the guest for the base image. It is shown a folder where packages may be, and remembers that there is one.
    pub(crate) async fn start(
        &self,
        blank: Image,
        data: Vec<(u32, Vec<u8>)>,
        packages: &Mount,
    ) -> Result<(Vec<u8>, Vec<u64>), RuntimeError> {
        let limits = Limits { time: START, ..Limits::default() };
        let log = Log::new(&limits);
        let deadline = Instant::now() + limits.time;
        let state = StepState::new(&limits, &log, deadline, Some(packages));
        let mut instance = self.instance(&Arc::new(blank), state).await?;
        // interrupts stop a guest that runs, the timer one that waits
        let started = tokio::time::timeout_at(deadline.into(), instance.start(data)).await;
        let started = started.unwrap_or_else(|_| Err(Stop::Time(limits.time).into()));
        started.map_err(|error| RuntimeError::Guest(format!("start it: {error:#}; it said: {}", log.tail())))?;
        let (memory, globals) = instance.snapshot()?;
        Ok((memory.to_vec(), globals))
    }

    /// A guest is about to run.
    pub(crate) fn wake_clock(&self) {
        self.engine.guest_runs();
    }
}

impl Exports {
    fn of(module: &Module) -> Result<Self, RuntimeError> {
        let find = |name: &str| {
            let missing = || RuntimeError::Guest(format!("link it: it does not export `{name}`"));
            module.get_export_index(name).ok_or_else(missing)
        };
        let mut globals: Vec<_> = module
            .exports()
            .filter_map(|export| {
                let index: u32 = export.name().strip_prefix(GLOBAL_PREFIX)?.parse().ok()?;
                Some((index, export.name().to_owned(), export.ty().global()?.content().clone()))
            })
            .collect();
        globals.sort_by_key(|(index, ..)| *index);
        let globals =
            globals.into_iter().map(|(_, name, ty)| Ok((find(&name)?, ty))).collect::<Result<_, RuntimeError>>()?;
        Ok(Self {
            memory: find("memory")?,
            alloc: find("bue_alloc")?,
            load: find("bue_load")?,
            call: find("bue_call")?,
            globals,
        })
    }
}

/// A guest with memory of its own.
pub(crate) struct Instance<'a> {
    code: &'a GuestCode,
    store: Store<StepState>,
    instance: wasmtime::Instance,
}

impl Instance<'_> {
    /// Hands a request over and gives back the reply.
    pub(crate) async fn ask(&mut self, entry: Entry, request: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let exports = &self.code.exports;
        let export = match entry {
            Entry::Load => &exports.load,
            Entry::Call => &exports.call,
        };
        let len = u32::try_from(request.len())?;
        let alloc = self.function(&exports.alloc)?.typed::<u32, u32>(&self.store)?;
        let entry = self.function(export)?.typed::<(u32, u32), u64>(&self.store)?;
        let memory = self.memory()?;
        let ptr = alloc.call_async(&mut self.store, len).await?;
        let written = memory.write(&mut self.store, ptr as usize, request);
        written.map_err(|_| Stop::Contract("room for a request outside its memory".to_owned()))?;
        let reply = entry.call_async(&mut self.store, (ptr, len)).await?;
        self.reply(reply)
    }

    /// Copies a reply out of the guest's memory.
    fn reply(&mut self, place: u64) -> wasmtime::Result<Vec<u8>> {
        let memory = self.memory()?;
        let (ptr, len) = (place >> 32, place & u64::from(u32::MAX));
        if len > self.store.data().limits.result_bytes.saturating_add(ANSWER_SLACK) {
            return Err(Stop::Contract(format!("an answer of {len} bytes")).into());
        }
        let range = usize::try_from(ptr)?..usize::try_from(ptr + len)?;
        let bytes = memory.data(&self.store).get(range);
        Ok(bytes.ok_or_else(|| Stop::Contract("an answer outside its memory".to_owned()))?.to_vec())
    }

    async fn start(&mut self, data: Vec<(u32, Vec<u8>)>) -> wasmtime::Result<()> {
        let memory = self.memory()?;
        for (offset, bytes) in data {
            memory.write(&mut self.store, offset as usize, &bytes)?;
        }
        for name in ["_initialize", "bue_init"] {
            if let Some(function) = self.instance.get_func(&mut self.store, name) {
                self.code.wake_clock();
                function.typed::<(), ()>(&self.store)?.call_async(&mut self.store, ()).await?;
            }
        }
        Ok(())
    }

    /// Its memory and the values of its globals, as they are now.
    pub(crate) fn snapshot(&mut self) -> wasmtime::Result<(&[u8], Vec<u64>)> {
        let exports = &self.code.exports.globals;
        let mut globals = Vec::with_capacity(exports.len());
        for (export, _) in exports {
            let global = self.export(export)?.into_global().ok_or_else(|| wasmtime::Error::msg("not a global"))?;
            globals.push(bits(global.get(&mut self.store))?);
        }
        let memory = self.memory()?;
        Ok((memory.data(&self.store), globals))
    }

    fn set_globals(&mut self, values: &[u64]) -> wasmtime::Result<()> {
        let code = self.code;
        for ((export, ty), bits) in code.exports.globals.iter().zip(values) {
            let global = self.export(export)?.into_global().ok_or_else(|| wasmtime::Error::msg("not a global"))?;
            global.set(&mut self.store, value(ty, *bits)?)?;
        }
        Ok(())
    }

    /// Has the stack in linear memory, which lies below everything else, been used up? Its pointer has then gone below
    /// zero, which is far up.
    pub(crate) fn stack_is_used_up(&mut self) -> bool {
        let Some((export, ValType::I32)) = self.code.exports.globals.first() else { return false };
        let pointer = self.export(export).ok().and_then(Extern::into_global).map(|global| global.get(&mut self.store));
        matches!(pointer, Some(Val::I32(pointer)) if pointer <= 0)
    }

    pub(crate) fn state(&self) -> &StepState {
        self.store.data()
    }

    /// Bytes of memory it has.
    pub(crate) fn memory_bytes(&mut self) -> u64 {
        self.memory().map_or(0, |memory| memory.data_size(&self.store) as u64)
    }

    /// Pages of memory it wrote to, where the system tells.
    pub(crate) fn dirty_pages(&mut self) -> Option<u32> {
        let memory = self.memory().ok()?;
        let memory = memory.data(self.store.as_context());
        let parts = pagemap::written(memory.as_ptr().addr(), memory.len(), memory.len() / PAGE)?;
        u32::try_from(pagemap::pages(&parts)).ok()
    }

    fn memory(&mut self) -> wasmtime::Result<wasmtime::Memory> {
        let code = self.code;
        self.export(&code.exports.memory)?.into_memory().ok_or_else(|| wasmtime::Error::msg("`memory` is no memory"))
    }

    fn function(&mut self, export: &ModuleExport) -> wasmtime::Result<wasmtime::Func> {
        self.export(export)?.into_func().ok_or_else(|| wasmtime::Error::msg("an export is no function"))
    }

    fn export(&mut self, export: &ModuleExport) -> wasmtime::Result<Extern> {
        let found = self.instance.get_module_export(&mut self.store, export);
        found.ok_or_else(|| wasmtime::Error::msg("an export is missing"))
    }
}

fn bits(value: Val) -> wasmtime::Result<u64> {
    match value {
        Val::I32(value) => Ok(value.cast_unsigned().into()),
        Val::I64(value) => Ok(value.cast_unsigned()),
        Val::F32(bits) => Ok(bits.into()),
        Val::F64(bits) => Ok(bits),
        _ => Err(wasmtime::Error::msg("a global that is no number")),
    }
}

fn value(ty: &ValType, bits: u64) -> wasmtime::Result<Val> {
    match ty {
        ValType::I32 => Ok(Val::I32(u32::try_from(bits)?.cast_signed())),
        ValType::I64 => Ok(Val::I64(bits.cast_signed())),
        ValType::F32 => Ok(Val::F32(u32::try_from(bits)?)),
        ValType::F64 => Ok(Val::F64(bits)),
        _ => Err(wasmtime::Error::msg("a global that is no number")),
    }
}
