//! The child process that compiles one step. The compiler does not run in a sandbox; the kernel limits what it may use, and
//! a crash affects nothing else.

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use wasmtime::Engine;

use super::engine::config;
use crate::step::compiled_step::WasmKind;
use crate::wall::raise::raise;
use crate::wall::spec::WallSpec;

/// Limit of address space in bytes. Compiling the largest accepted module needs about half of it.
const MAX_ADDRESS_SPACE: u64 = 4 << 30;
/// How much lower the priority of a compiler is than that of the worker and its sandbox hosts.
const PRIORITY_DECREASE: i32 = 10;
/// Limit of CPU time in seconds, for all threads together.
const MAX_CPU_SECONDS: u64 = 120;

/// Sets limits on this process, raises its wall, and compiles a module.
///
/// # Errors
/// What is wrong with the module, which resource could not be limited, or what the wall lacks.
pub(crate) fn compile(kind: WasmKind, wasm: &[u8], wall: WallSpec) -> Result<Vec<u8>, String> {
    limit_resources().map_err(|error| format!("the compiler's resources could not be limited: {error}"))?;
    // the steps that run meanwhile come first; without it they are slower, and nothing else
    let _ = nice(PRIORITY_DECREASE);
    raise(wall, None)?;
    let engine = Engine::new(&config()).map_err(|error| format!("{error:#}"))?;
    let compiled = match kind {
        WasmKind::Component => engine.precompile_component(wasm),
        WasmKind::Command => engine.precompile_module(wasm),
    };
    compiled.map_err(|error| format!("{error:#}"))
}

fn limit_resources() -> rustix::io::Result<()> {
    // this process writes no files and no core dumps
    for (resource, limit) in
        [(Resource::As, MAX_ADDRESS_SPACE), (Resource::Cpu, MAX_CPU_SECONDS), (Resource::Fsize, 0), (Resource::Core, 0)]
    {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}
