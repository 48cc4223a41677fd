//! The wasmtime engine: every setting that matters, said aloud, and the clock that interrupts guests.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use wasmtime::{Config, Engine, OptLevel, Strategy, WasmBacktraceDetails, WasmFeatures};

use crate::error::RuntimeError;
use crate::host::memory::pool::MemoryPool;
use crate::host::memory::stacks::StackPool;

/// How often a running guest is interrupted: it gives way to others, and its limits are looked at.
pub const TICK: Duration = Duration::from_millis(5);

/// Ticks without a running guest after which the clock sleeps: an idle machine shall not be woken.
const IDLE_TICKS: u32 = 200;

/// Bytes of native stack a guest may use. A quarter of what a fiber has, because host functions run on the same stack.
/// The Python guest's own stack, whose end the interpreter turns into a `RecursionError`, is small enough to end first.
pub(crate) const WASM_STACK: usize = 512 * 1024;
/// Bytes of guest memory that one WASI call may make the host copy.
pub(crate) const HOSTCALL_FUEL: usize = 8 << 20;
/// Bytes of a fiber's stack.
const FIBER_STACK: usize = 2 * 1024 * 1024;
/// Bytes of addresses a memory has: all that a 32 bit guest can name, so that no access needs a check.
const RESERVATION: u64 = 4 << 30;
/// Bytes behind it that trap, for accesses with an offset.
const GUARD: u64 = 32 << 20;

/// An engine whose memories are slots of images.
pub(crate) struct GuestEngine {
    pub(crate) engine: Engine,
    pub(crate) memories: Arc<MemoryPool>,
    ticker: Ticker,
}

impl GuestEngine {
    pub(crate) fn new() -> Result<Self, RuntimeError> {
        check_processor(std::env::consts::ARCH)?;
        let memories = Arc::new(MemoryPool::default());
        let engine = Engine::new(&config(&memories))?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self { engine, memories, ticker })
    }

    /// A guest is about to run: the clock must not sleep.
    pub(crate) fn guest_runs(&self) {
        self.ticker.wake();
    }
}

/// Hostile code runs only where the compiler's promise is strongest and our tests run.
fn check_processor(architecture: &str) -> Result<(), RuntimeError> {
    match architecture {
        "x86_64" => Ok(()),
        other => {
            Err(RuntimeError::Engine(format!("sandboxes are made on x86-64 processors only, and this one is {other}")))
        }
    }
}

/// All settings. Cargo features leave most proposals out already; they are refused here too, so that a feature switched on
/// by another crate of the build changes nothing.
fn config(memories: &Arc<MemoryPool>) -> Config {
    let mut config = common();
    config.memory_init_cow(false).with_host_memory(Arc::clone(memories) as Arc<_>);
    config
}

/// What the engines of all guests share.
pub(crate) fn common() -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed).parallel_compilation(true);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable).native_unwind_info(false).generate_address_map(false);
    proposals(&mut config);
    config.epoch_interruption(true).consume_fuel(false);
    config.max_wasm_stack(WASM_STACK).async_stack_size(FIBER_STACK).async_stack_zeroing(true);
    config.memory_reservation(RESERVATION).memory_guard_size(GUARD).memory_may_move(false);
    config.guard_before_linear_memory(false).signals_based_traps(true);
    config.with_host_stack(Arc::new(StackPool::default()));
    config
}

/// What a guest may use of WebAssembly: what Rust and C compilers emit, and nothing that is young.
fn proposals(config: &mut Config) {
    config.wasm_bulk_memory(true).wasm_multi_value(true).wasm_simd(true);
    config.wasm_features(YOUNG, false);
    config.shared_memory(false).concurrency_support(false);
}

const YOUNG: WasmFeatures = WasmFeatures::GC
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

/// Moves the engine's epoch on while guests run.
pub(crate) struct Ticker {
    state: Arc<TickerState>,
    thread: thread::Thread,
}

#[derive(Default)]
struct TickerState {
    /// A guest ran since the last tick.
    busy: AtomicBool,
    /// The clock sleeps.
    parked: AtomicBool,
    /// The engine is gone.
    stopped: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> Result<Self, RuntimeError> {
        let state = Arc::new(TickerState::default());
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("bue-epoch".to_owned())
            .spawn(move || tick(&engine, &shared))
            .map_err(|error| RuntimeError::Engine(format!("start the thread that interrupts guests: {error}")))?;
        Ok(Self { state, thread: thread.thread().clone() })
    }

    pub(crate) fn wake(&self) {
        self.state.busy.store(true, Ordering::SeqCst);
        if self.state.parked.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn tick(engine: &Engine, state: &TickerState) {
    let mut idle = 0;
    while !state.stopped.load(Ordering::SeqCst) {
        thread::sleep(TICK);
        engine.increment_epoch();
        idle = if state.busy.swap(false, Ordering::SeqCst) { 0 } else { idle + 1 };
        if idle >= IDLE_TICKS {
            park(state);
            idle = 0;
        }
    }
}

/// Sleeps until a guest runs. A guest that began between the look at `busy` and here has set it again: both are written
/// before the other is read.
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

    /// What compilers emit.
    const ON: &[(&str, &str)] = &[
        ("bulk memory", "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))"),
        ("several results", "(module (func (result i32 i32) (i32.const 1) (i32.const 2)))"),
        ("SIMD", "(module (func (result v128) (i32x4.splat (i32.const 1))))"),
    ];

    /// A module for each proposal that is off.
    const OFF: &[(&str, &str)] = &[
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

    fn compiled(text: &str) -> wasmtime::Result<Module> {
        let engine = GuestEngine::new().expect("an engine").engine;
        Module::new(&engine, wat::parse_str(text).expect("WAT"))
    }

    #[test]
    fn what_is_young_is_not_compiled() {
        for (proposal, text) in ON {
            assert!(compiled(text).is_ok(), "{proposal}");
        }
        for (proposal, text) in OFF {
            let bytes = wat::parse_str(text).expect("WAT");
            let valid = Validator::new_with_features(AnyFeatures::all()).validate_all(&bytes).map(|_| ());
            assert!(valid.is_ok(), "{proposal}: the module is wrong in another way: {valid:?}");
            assert!(compiled(text).is_err(), "{proposal} is on");
        }
    }

    #[test]
    fn a_guest_may_use_a_quarter_of_its_fibers_stack() {
        assert_eq!((WASM_STACK, FIBER_STACK), (512 << 10, 2 << 20));
    }

    #[test]
    fn other_processors_are_refused() {
        let refused = check_processor("aarch64").expect_err("another processor").to_string();
        assert!(refused.contains("x86-64") && refused.contains("aarch64"), "{refused}");
    }
}
