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
/// Limit of CPU time in seconds, for all threads together: at least this, and so much more for each MiB of the module, at most the
/// last one. An ordinary module takes two seconds for each MiB; one that is made to be slow must not keep others waiting.
const CPU_SECONDS: u64 = 20;
const CPU_SECONDS_PER_MIB: u64 = 8;
const MAX_CPU_SECONDS: u64 = 120;

/// Sets limits on this process and raises its wall, so that it can compile a module of this length.
///
/// # Errors
/// Which resource could not be limited, or what the wall lacks.
pub(crate) fn confine_compiler(module_bytes: u64, wall: WallSpec) -> Result<(), String> {
    limit_resources(module_bytes).map_err(|error| format!("its resources could not be limited: {error}"))?;
    // the steps that run meanwhile come first; without it they are slower, and nothing else
    let _ = nice(PRIORITY_DECREASE);
    raise(wall, None).map(drop)
}

/// Compiles a module.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(kind: WasmKind, wasm: &[u8]) -> Result<Vec<u8>, String> {
    let engine = Engine::new(&config()).map_err(|error| format!("{error:#}"))?;
    let compiled = match kind {
        WasmKind::Component => engine.precompile_component(wasm),
        WasmKind::Command => engine.precompile_module(wasm),
    };
    compiled.map_err(|error| format!("{error:#}"))
}

fn cpu_seconds(module_bytes: u64) -> u64 {
    (CPU_SECONDS_PER_MIB.saturating_mul(module_bytes >> 20).saturating_add(CPU_SECONDS)).min(MAX_CPU_SECONDS)
}

fn limit_resources(module_bytes: u64) -> rustix::io::Result<()> {
    // this process writes no files and no core dumps
    let cpu = cpu_seconds(module_bytes);
    for (resource, limit) in
        [(Resource::As, MAX_ADDRESS_SPACE), (Resource::Cpu, cpu), (Resource::Fsize, 0), (Resource::Core, 0)]
    {
        // the second limit ends a process by a signal that others send too
        let maximum = if resource == Resource::Cpu { limit + 1 } else { limit };
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(maximum) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_modules_get_less_processor_time() {
        let seconds = [0, 1 << 20, 5 << 20, 32 << 20, u64::MAX].map(cpu_seconds);
        assert_eq!(seconds, [20, 28, 60, 120, 120]);
    }
}
