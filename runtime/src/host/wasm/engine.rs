//! The engine of compiled steps. Python's has another, because its memories are slots of images.

use std::sync::Arc;

use wasmtime::{Config, Engine};

use crate::error::RuntimeError;
use crate::host::engine::{Ticker, common};
use crate::host::memory::pool::ZeroPool;

/// An engine and the clock that interrupts its guests.
pub(crate) struct WasmEngine {
    pub(crate) engine: Engine,
    ticker: Ticker,
}

impl WasmEngine {
    pub(crate) fn new() -> Result<Self, RuntimeError> {
        let engine = Engine::new(&config())?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self { engine, ticker })
    }

    /// A guest is about to run: the clock must not sleep.
    pub(crate) fn guest_runs(&self) {
        self.ticker.wake();
    }
}

/// A memory is a slot that other steps may have had, all zeros, into which a module's data is copied: no page of it has to be
/// asked of the kernel again. A module's own image, mapped for each step, cost a fault for each page that it touched.
pub(crate) fn config() -> Config {
    let mut config = common();
    config.memory_init_cow(false).with_host_memory(Arc::new(ZeroPool::default())).wasm_component_model(true);
    config
}
