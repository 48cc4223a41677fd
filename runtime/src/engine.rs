//! The wasmtime engine: every setting that matters, said aloud, and the clock that interrupts guests.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use wasmtime::{Config, Engine, OptLevel, Strategy, WasmBacktraceDetails};

use crate::error::RuntimeError;
use crate::memory::MemoryPool;
use crate::stacks::StackPool;

/// How often a running guest is interrupted: it gives way to others, and its limits are looked at.
pub const TICK: Duration = Duration::from_millis(5);

/// Ticks without a running guest after which the clock sleeps: an idle machine shall not be woken.
const IDLE_TICKS: u32 = 200;

/// Bytes of native stack a guest may use. Half of what a fiber has, because host functions run on the same stack; with a
/// quarter it would end before the guest's own stack does, whose end the interpreter turns into a `RecursionError`.
pub(crate) const WASM_STACK: usize = 1024 * 1024;
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
    config.wasm_relaxed_simd(false).wasm_memory64(false).wasm_multi_memory(false).wasm_tail_call(false);
    config.wasm_extended_const(false).wasm_custom_page_sizes(false).wasm_wide_arithmetic(false);
    config.shared_memory(false).concurrency_support(false);
}

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
