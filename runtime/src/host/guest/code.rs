//! A guest's code and its instances.

use core::time::Duration;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::{AsContext, Extern, InstancePre, Linker, Module, ModuleExport, Mutability, Store, Val, ValType};
use wasmtime_wasi::p1;

use crate::error::RuntimeError;
use crate::host::abort::GuestAbort;
use crate::host::engine::{GuestEngine, HOSTCALL_FUEL};
use crate::host::guest::error::GuestError;
use crate::host::guest::kind::GuestKind;
use crate::host::guest::split::GLOBAL_PREFIX;
use crate::host::host_call_hook::HostCallHook;
use crate::host::memory::image::{Image, SharedImage};
use crate::host::memory::mapping::PAGE;
use crate::host::memory::pagemap;
use crate::host::soft_limit::{Flag, SoftLimit};
use crate::host::state::{StepState, host_call, notify_of_soft_limit};
use crate::host::step_context::StepContext;
use crate::packages::mount::Mount;
use crate::step::failure::TimeLimitExceeded;
use crate::step::limits::Limits;
use crate::step::log::Log;

/// A guest that has not started after this time hangs. For the base image, Python is started, imports the common library and
/// is warmed up, which takes two to three seconds in all.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes that a reply may have beside its result: message and traceback.
const MAX_REPLY_OVERHEAD: u64 = 1 << 20;

/// The name under which linkers export the pointer into the stack in linear memory.
const STACK_POINTER: &str = "__stack_pointer";

/// Compiled code of a guest, linked.
pub(crate) struct GuestCode {
    engine: Arc<GuestEngine>,
    pre: InstancePre<StepState>,
    exports: Exports,
}

/// The guest's exports, looked up once.
struct Exports {
    memory: ModuleExport,
    alloc: ModuleExport,
    /// `None` for SQLite.
    load: Option<ModuleExport>,
    call: ModuleExport,
    /// Returns the address of the flag of the soft limit. `None` for guests other than Python.
    interrupt_flag: Option<ModuleExport>,
    /// The pointer into the stack in linear memory. `None` if the guest exports none: then an overflow of that stack is
    /// reported as the access out of bounds that it is. Our guests export it (`guest-sdk/python/build.rs`).
    stack_pointer: Option<ModuleExport>,
    /// The mutable globals, in the order of their indices.
    globals: Vec<(ModuleExport, ValType)>,
}

/// The guest's functions that take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuestFunction {
    Load,
    Call,
}

impl GuestCode {
    /// Maps compiled code.
    ///
    /// # Safety
    /// This installation must have compiled it, and nothing may change the file: its content is executed.
    pub(crate) unsafe fn load(engine: Arc<GuestEngine>, kind: GuestKind, code: File) -> Result<Self, RuntimeError> {
        // SAFETY: the caller vouches for the file.
        let module = unsafe { Module::deserialize_open_file(&engine.engine, code)? };
        let mut linker = Linker::new(&engine.engine);
        p1::add_to_linker_async(&mut linker, |state: &mut StepState| &mut state.wasi)?;
        linker.func_wrap_async("bue", "host", |caller, request| Box::new(host_call(caller, request)))?;
        let pre = linker.instantiate_pre(&module)?;
        let exports = Exports::find(&module, kind)?;
        Ok(Self { engine, pre, exports })
    }

    /// Returns an instance whose memory and globals are those of the image.
    pub(crate) async fn instantiate(
        &self,
        image: &SharedImage,
        mut state: StepState,
    ) -> wasmtime::Result<Instance<'_>> {
        state.image = Some(Arc::clone(image));
        let mut store = Store::new(&self.engine.engine, state);
        store.limiter(|state| state);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut caller| {
            notify_of_soft_limit(&mut caller);
            caller.data_mut().on_epoch()
        });
        store.call_hook_async(HostCallHook);
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        self.engine.memories.set_next_image(Arc::clone(image));
        let instance = self.pre.instantiate_async(&mut store).await?;
        let mut instance = Instance { code: self, store, instance };
        instance.set_globals(&image.globals)?;
        Ok(instance)
    }

    /// Starts the guest for the base image and returns its memory and globals. `packages` is an empty folder: the guest's C
    /// library looks up its folders once, so that every image made from this one knows where packages are mounted.
    pub(crate) async fn start(
        &self,
        blank: Image,
        data: Vec<(u32, Vec<u8>)>,
        packages: Option<&Mount>,
    ) -> Result<(Vec<u8>, Vec<u64>), RuntimeError> {
        let limits = Limits { time: START_TIMEOUT, ..Limits::default() };
        let log = Log::new(&limits);
        let deadline = Instant::now() + limits.time;
        let state = StepState::new(StepContext { limits: &limits, log: &log, deadline, soft_deadline: None }, packages);
        let mut instance = self.instantiate(&Arc::new(blank), state).await?;
        // epochs interrupt a guest that runs, the timer one that waits
        let started = tokio::time::timeout_at(deadline.into(), instance.start(data)).await;
        let started = started.unwrap_or_else(|_| Err(GuestAbort::Time(TimeLimitExceeded(limits.time)).into()));
        started.map_err(|error| RuntimeError::Guest(format!("start it: {error:#}; it printed: {}", log.tail())))?;
        let (memory, globals) = instance.snapshot()?;
        Ok((memory.to_vec(), globals))
    }
}

impl Exports {
    fn find(module: &Module, kind: GuestKind) -> Result<Self, RuntimeError> {
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
            load: (kind == GuestKind::Python).then(|| find("bue_load")).transpose()?,
            call: find("bue_call")?,
            interrupt_flag: module.get_export_index("bue_interrupt_flag"),
            stack_pointer: find_stack_pointer(module)?,
            globals,
        })
    }
}

fn find_stack_pointer(module: &Module) -> Result<Option<ModuleExport>, RuntimeError> {
    let Some(ty) = module.get_export(STACK_POINTER) else { return Ok(None) };
    match ty.global() {
        Some(global) if global.content().is_i32() && global.mutability() == Mutability::Var => {
            Ok(module.get_export_index(STACK_POINTER))
        }
        _ => Err(RuntimeError::Guest(format!("link it: its export `{STACK_POINTER}` is not a mutable i32 global"))),
    }
}

/// A guest with its own memory.
pub(crate) struct Instance<'a> {
    code: &'a GuestCode,
    store: Store<StepState>,
    instance: wasmtime::Instance,
}

impl Instance<'_> {
    /// Calls a function with a request and returns its reply.
    pub(crate) async fn request(&mut self, function: GuestFunction, request: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let exports = &self.code.exports;
        let export = match function {
            GuestFunction::Load => exports.load.as_ref().ok_or(GuestError::MissingExport)?,
            GuestFunction::Call => &exports.call,
        };
        let len = u32::try_from(request.len())?;
        let alloc = self.function(&exports.alloc)?.typed::<u32, u32>(&self.store)?;
        let function = self.function(export)?.typed::<(u32, u32), u64>(&self.store)?;
        let memory = self.memory()?;
        let ptr = alloc.call_async(&mut self.store, len).await?;
        let written = memory.write(&mut self.store, ptr as usize, request);
        written.map_err(|_| GuestAbort::Contract("a buffer for a request is outside its memory".to_owned()))?;
        let reply = function.call_async(&mut self.store, (ptr, len)).await?;
        self.read_reply(reply)
    }

    /// Has the next call notified when its soft limit is reached.
    pub(crate) async fn set_soft_limit(&mut self, deadline: Instant) -> wasmtime::Result<()> {
        let export = self.code.exports.interrupt_flag.as_ref().ok_or(GuestError::MissingExport)?;
        let function = self.function(export)?.typed::<(), u32>(&self.store)?;
        let flag = function.call_async(&mut self.store, ()).await?;
        let memory = self.memory()?;
        self.state_mut().soft_limit = Some(SoftLimit::new(deadline, Flag::new(memory, flag as usize)));
        Ok(())
    }

    /// Copies a reply out of the guest's memory. `location` is `ptr << 32 | len`.
    fn read_reply(&mut self, location: u64) -> wasmtime::Result<Vec<u8>> {
        let memory = self.memory()?;
        let (ptr, len) = (location >> 32, location & u64::from(u32::MAX));
        if len > self.store.data().limits.result_bytes.saturating_add(MAX_REPLY_OVERHEAD) {
            return Err(GuestAbort::Contract(format!("an answer has {len} bytes")).into());
        }
        let range = usize::try_from(ptr)?..usize::try_from(ptr + len)?;
        let bytes = memory.data(&self.store).get(range);
        Ok(bytes.ok_or_else(|| GuestAbort::Contract("an answer is outside its memory".to_owned()))?.to_vec())
    }

    async fn start(&mut self, data: Vec<(u32, Vec<u8>)>) -> wasmtime::Result<()> {
        let memory = self.memory()?;
        for (offset, bytes) in data {
            memory.write(&mut self.store, offset as usize, &bytes)?;
        }
        // both are optional: a guest without constructors has no `_initialize`, and one without state no `bue_init`
        for name in ["_initialize", "bue_init"] {
            if let Some(function) = self.instance.get_func(&mut self.store, name) {
                self.code.engine.wake_ticker();
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
            let global = self.global(export)?;
            globals.push(to_bits(global.get(&mut self.store))?);
        }
        let memory = self.memory()?;
        Ok((memory.data(&self.store), globals))
    }

    fn set_globals(&mut self, values: &[u64]) -> wasmtime::Result<()> {
        let code = self.code;
        for ((export, ty), bits) in code.exports.globals.iter().zip(values) {
            let global = self.global(export)?;
            global.set(&mut self.store, from_bits(ty, *bits)?)?;
        }
        Ok(())
    }

    /// Is the stack in linear memory exhausted? It lies below everything else, so its pointer has then gone below zero.
    /// False for a guest that does not export its stack pointer.
    pub(crate) fn is_stack_exhausted(&mut self) -> bool {
        let code = self.code;
        let Some(export) = &code.exports.stack_pointer else { return false };
        let pointer = self.global(export).map(|global| global.get(&mut self.store));
        matches!(pointer, Ok(Val::I32(pointer)) if pointer <= 0)
    }

    pub(crate) fn state(&self) -> &StepState {
        self.store.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut StepState {
        self.store.data_mut()
    }

    /// Bytes of its memory.
    pub(crate) fn memory_bytes(&mut self) -> u64 {
        self.memory().map_or(0, |memory| memory.data_size(&self.store) as u64)
    }

    /// Pages of memory it wrote to, if the kernel reports them.
    pub(crate) fn dirty_pages(&mut self) -> Option<u32> {
        let memory = self.memory().ok()?;
        let memory = memory.data(self.store.as_context());
        let ranges = pagemap::written(memory.as_ptr().addr(), memory.len(), memory.len() / PAGE)?;
        u32::try_from(pagemap::page_count(&ranges)).ok()
    }

    fn memory(&mut self) -> Result<wasmtime::Memory, GuestError> {
        let code = self.code;
        self.export(&code.exports.memory)?.into_memory().ok_or(GuestError::NotAMemory)
    }

    fn function(&mut self, export: &ModuleExport) -> Result<wasmtime::Func, GuestError> {
        self.export(export)?.into_func().ok_or(GuestError::NotAFunction)
    }

    fn global(&mut self, export: &ModuleExport) -> Result<wasmtime::Global, GuestError> {
        self.export(export)?.into_global().ok_or(GuestError::NotAGlobal)
    }

    fn export(&mut self, export: &ModuleExport) -> Result<Extern, GuestError> {
        self.instance.get_module_export(&mut self.store, export).ok_or(GuestError::MissingExport)
    }
}

/// The bits of a global's value.
fn to_bits(value: Val) -> Result<u64, GuestError> {
    match value {
        Val::I32(value) => Ok(value.cast_unsigned().into()),
        Val::I64(value) => Ok(value.cast_unsigned()),
        Val::F32(bits) => Ok(bits.into()),
        Val::F64(bits) => Ok(bits),
        _ => Err(GuestError::GlobalType),
    }
}

/// The value of a global's bits.
fn from_bits(ty: &ValType, bits: u64) -> wasmtime::Result<Val> {
    match ty {
        ValType::I32 => Ok(Val::I32(u32::try_from(bits)?.cast_signed())),
        ValType::I64 => Ok(Val::I64(bits.cast_signed())),
        ValType::F32 => Ok(Val::F32(u32::try_from(bits)?)),
        ValType::F64 => Ok(Val::F64(bits)),
        _ => Err(GuestError::GlobalType.into()),
    }
}
