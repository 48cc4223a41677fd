//! The child that compiles one step. Compiling is not what a sandbox protects: what it may use is bounded by the kernel,
//! and where it crashes, nothing else does.

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::Engine;

use super::engine::config;
use crate::step::compiled_step::WasmKind;

/// Bytes of addresses. Compiling the largest module that is taken needs about half of it.
const MEMORY: u64 = 4 << 30;
/// Seconds on the processor, all threads together.
const CPU: u64 = 120;

/// Compiles, within limits that this process keeps from now on.
///
/// # Errors
/// What is wrong with the module, or what could not be had.
pub(crate) fn compile(kind: WasmKind, wasm: &[u8]) -> Result<Vec<u8>, String> {
    confine().map_err(|error| format!("the compiler could not be confined: {error}"))?;
    let engine = Engine::new(&config()).map_err(|error| format!("{error:#}"))?;
    let compiled = match kind {
        WasmKind::Component => engine.precompile_component(wasm),
        WasmKind::Command => engine.precompile_module(wasm),
    };
    compiled.map_err(|error| format!("{error:#}"))
}

fn confine() -> rustix::io::Result<()> {
    // no file and no dump is written by this process
    for (resource, most) in [(Resource::As, MEMORY), (Resource::Cpu, CPU), (Resource::Fsize, 0), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}
