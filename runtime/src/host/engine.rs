//! The wasmtime engine: its settings, all explicit, and the ticker that interrupts guests.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use wasmtime::{Config, Engine, OptLevel, Strategy, WasmBacktraceDetails, WasmFeatures};

use crate::error::RuntimeError;
use crate::host::memory::pool::MemoryPool;
use crate::host::memory::stacks::StackPool;

/// How often a running guest is interrupted, to let other steps run and to check its limits.
pub const EPOCH_INTERVAL: Duration = Duration::from_millis(5);

/// Epochs without a running guest after which the ticker sleeps, so that it does not wake an idle machine.
const MAX_IDLE_EPOCHS: u32 = 200;

/// Bytes of native stack that a compiled step may use: a quarter of its fiber's stack, because host functions run on that
/// too.
pub(crate) const WASM_STACK: usize = 512 * 1024;
/// The same for a guest of ours. The Python guest's stack in linear memory is small enough to end first; the interpreter then
/// raises `RecursionError`; JSON nested in itself takes more than twice as much here as there. The threads of a Python step run on
/// top of each other on this stack, so it is larger.
pub(crate) const GUEST_STACK: usize = 3 * 1024 * 1024;
/// Multiple of the stack of a guest or a step that its fiber has.
const FIBER_FACTOR: usize = 4;
/// Bytes of guest memory that one WASI call may make the host copy.
pub(crate) const HOSTCALL_FUEL: usize = 8 << 20;
/// Address space reserved per memory, in bytes: all that a 32-bit guest can address, so that no access needs a bounds check.
pub(crate) const MEMORY_RESERVATION: u64 = 4 << 30;
/// Bytes of guard pages behind it, for accesses with an offset.
const MEMORY_GUARD: u64 = 32 << 20;

/// An engine whose memories are slots of images.
pub(crate) struct GuestEngine {
    pub(crate) engine: Engine,
    pub(crate) memories: Arc<MemoryPool>,
    ticker: EpochTicker,
}

impl GuestEngine {
    pub(crate) fn new() -> Result<Self, RuntimeError> {
        check_architecture(std::env::consts::ARCH)?;
        let memories = Arc::new(MemoryPool::default());
        let engine = Engine::new(&config(&memories))?;
        let ticker = EpochTicker::start(engine.clone())?;
        Ok(Self { engine, memories, ticker })
    }

    /// A guest is about to run: the ticker must not sleep.
    pub(crate) fn wake_ticker(&self) {
        self.ticker.wake();
    }
}

/// Hostile code runs only on the architecture where the compiler is best tested and our own tests run.
fn check_architecture(architecture: &str) -> Result<(), RuntimeError> {
    match architecture {
        "x86_64" => Ok(()),
        other => Err(RuntimeError::Engine(format!("sandboxes run on x86-64 processors only, and this one is {other}"))),
    }
}

/// All settings. Cargo features disable most proposals already; they are disabled here too, in case another crate of the
/// build enables a feature.
fn config(memories: &Arc<MemoryPool>) -> Config {
    let mut config = common_config(GUEST_STACK);
    config.memory_init_cow(false).with_host_memory(Arc::clone(memories) as Arc<_>);
    config
}

/// The settings that the engines of guests and compiled steps share. `stack`: the bytes of native stack that they may use.
pub(crate) fn common_config(stack: usize) -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed).parallel_compilation(true);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable).native_unwind_info(false).generate_address_map(false);
    set_proposals(&mut config);
    config.epoch_interruption(true).consume_fuel(false);
    config.max_wasm_stack(stack).async_stack_size(stack * FIBER_FACTOR).async_stack_zeroing(true);
    config.memory_reservation(MEMORY_RESERVATION).memory_guard_size(MEMORY_GUARD).memory_may_move(false);
    config.guard_before_linear_memory(false).signals_based_traps(true);
    config.with_host_stack(Arc::new(StackPool::default()));
    config
}

/// Enables the WebAssembly proposals that Rust and C compilers use, and disables those that are not yet stable.
fn set_proposals(config: &mut Config) {
    config.wasm_bulk_memory(true).wasm_multi_value(true).wasm_simd(true);
    config.wasm_features(UNSTABLE_PROPOSALS, false);
    config.shared_memory(false).concurrency_support(false);
}

const UNSTABLE_PROPOSALS: WasmFeatures = WasmFeatures::GC
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::WIDE_ARITHMETIC);

/// A thread that increments the engine's epoch while guests run.
pub(crate) struct EpochTicker {
    state: Arc<TickerState>,
    thread: thread::Thread,
}

#[derive(Default)]
struct TickerState {
    /// A guest was polled since the last epoch.
    busy: AtomicBool,
    /// The thread is parked.
    parked: AtomicBool,
    /// The engine was dropped.
    stopped: AtomicBool,
}

impl EpochTicker {
    pub(crate) fn start(engine: Engine) -> Result<Self, RuntimeError> {
        let state = Arc::new(TickerState::default());
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("bue-epoch".to_owned())
            .spawn(move || run_ticker(&engine, &shared))
            .map_err(|error| RuntimeError::Engine(format!("start the epoch ticker: {error}")))?;
        Ok(Self { state, thread: thread.thread().clone() })
    }

    pub(crate) fn wake(&self) {
        self.state.busy.store(true, Ordering::SeqCst);
        if self.state.parked.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn run_ticker(engine: &Engine, state: &TickerState) {
    let mut idle_epochs = 0;
    while !state.stopped.load(Ordering::SeqCst) {
        thread::sleep(EPOCH_INTERVAL);
        engine.increment_epoch();
        idle_epochs = if state.busy.swap(false, Ordering::SeqCst) { 0 } else { idle_epochs + 1 };
        if idle_epochs >= MAX_IDLE_EPOCHS {
            park(state);
            idle_epochs = 0;
        }
    }
}

/// Parks the thread until a guest runs. No wake-up is lost: `wake` writes `busy` before it reads `parked`, and this function
/// writes `parked` before it reads `busy`.
fn park(state: &TickerState) {
    state.parked.store(true, Ordering::SeqCst);
    while state.parked.load(Ordering::SeqCst)
        && !state.busy.load(Ordering::SeqCst)
        && !state.stopped.load(Ordering::SeqCst)
    {
        thread::park();
    }
    state.parked.store(false, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use wasmparser::{Validator, WasmFeatures as AnyFeatures};
    use wasmtime::Module;

    use super::*;

    /// Modules that use enabled proposals.
    const ENABLED: &[(&str, &str)] = &[
        ("bulk memory", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))"),
        ("several results", "(module (func (result i32 i32) (i32.const 1) (i32.const 2)))"),
        ("SIMD", "(module (func (result v128) (i32x4.splat (i32.const 1))))"),
    ];

    /// A module for each disabled proposal.
    const DISABLED: &[(&str, &str)] = &[
        ("memory64", "(module (memory i64 1))"),
        ("several memories", "(module (memory 1) (memory 1))"),
        ("shared memory", "(module (memory 1 1 shared))"),
        ("threads", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"),
        ("shared-everything threads", "(module (global (shared i32) (i32.const 0)))"),
        ("reference types", "(module (table 1 externref))"),
        ("function references", "(module (type $f (func)) (func (param (ref $f))))"),
        ("garbage collection", "(module (type (struct (field i32))))"),
        ("exceptions", "(module (tag) (func (throw 0)))"),
        ("legacy exceptions", "(module (tag) (func try catch_all end))"),
        ("stack switching", "(module (type $f (func)) (type $c (cont $f)))"),
        (
            "relaxed SIMD",
            "(module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
        ),
        ("custom page sizes", "(module (memory 1 (pagesize 1)))"),
        ("tail calls", "(module (func $f (return_call $f)))"),
        ("computed constants", "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))"),
        (
            "wide arithmetic",
            "(module (func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1))))",
        ),
    ];

    fn compile(text: &str) -> wasmtime::Result<Module> {
        let engine = GuestEngine::new().expect("an engine").engine;
        Module::new(&engine, wat::parse_str(text).expect("WAT"))
    }

    #[test]
    fn unstable_proposals_are_not_compiled() {
        for (proposal, text) in ENABLED {
            assert!(compile(text).is_ok(), "{proposal}");
        }
        for (proposal, text) in DISABLED {
            let bytes = wat::parse_str(text).expect("WAT");
            let valid = Validator::new_with_features(AnyFeatures::all()).validate_all(&bytes).map(|_| ());
            assert!(valid.is_ok(), "{proposal}: the module is invalid for another reason: {valid:?}");
            assert!(compile(text).is_err(), "{proposal} is enabled");
        }
    }

    #[test]
    fn a_guest_may_use_a_quarter_of_its_fibers_stack() {
        assert_eq!((WASM_STACK, GUEST_STACK, FIBER_FACTOR), (512 << 10, 3 << 20, 4));
    }

    #[test]
    fn other_architectures_are_refused() {
        let refused = check_architecture("aarch64").expect_err("another processor").to_string();
        assert!(refused.contains("x86-64") && refused.contains("aarch64"), "{refused}");
    }
}
