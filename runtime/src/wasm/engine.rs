//! The engine of compiled steps. Python's has another, because its memories are slots of images.

use wasmtime::{Config, Engine};

use crate::engine::{Ticker, common};
use crate::error::RuntimeError;

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

/// A memory begins as a private mapping of its module's data, so that a fresh one costs what the step touches of it.
pub(crate) fn config() -> Config {
    let mut config = common();
    config.memory_init_cow(true).wasm_component_model(true);
    config
}
