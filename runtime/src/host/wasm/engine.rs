//! The engine of compiled steps. Python has another one, whose memories are slots of images.

use std::sync::Arc;

use wasmtime::{Config, Engine};

use crate::error::RuntimeError;
use crate::host::engine::{EpochTicker, WASM_STACK, common_config};
use crate::host::memory::pool::ZeroPool;

/// An engine and the ticker that interrupts its guests.
pub(crate) struct WasmEngine {
    pub(crate) engine: Engine,
    ticker: EpochTicker,
}

impl WasmEngine {
    pub(crate) fn new() -> Result<Self, RuntimeError> {
        let engine = Engine::new(&config())?;
        let ticker = EpochTicker::start(engine.clone())?;
        Ok(Self { engine, ticker })
    }

    /// A guest is about to run: the ticker must not sleep.
    pub(crate) fn wake_ticker(&self) {
        self.ticker.wake();
    }
}

/// The settings. A memory is a zeroed slot, possibly used by an earlier step, into which a module's data is copied: its pages
/// are resident already. Mapping the module's own image for each step would cost a page fault for each page it touches.
pub(crate) fn config() -> Config {
    let mut config = common_config(WASM_STACK);
    config.memory_init_cow(false).with_host_memory(Arc::new(ZeroPool::default())).wasm_component_model(true);
    config
}
