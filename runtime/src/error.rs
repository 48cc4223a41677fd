//! Errors of running steps at all, as opposed to failures of a step.

use std::io;
use std::path::PathBuf;

/// The sandboxes cannot be prepared or started. A step's own failure is an [`Answer`](bue_model::Answer) instead.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The cache directory cannot be used.
    #[error("use {path} for the compiled sandbox; make it writable, or choose another cache directory")]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key of the cache cannot be used.
    #[error("use {path}, the key of the compiled sandbox; make its folder writable, or set BUE_STATE_DIR to another")]
    Key {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Other users can access the directory of the cache or of its key.
    #[error(
        "trust {path}: it belongs to another user, or others can access it; type `chmod 700 {path}`, or choose another directory"
    )]
    OpenCache {
        /// The directory.
        path: PathBuf,
    },
    /// The kernel, or the profile of a container, refuses a system call that sandboxes cannot do without.
    #[error(
        "run sandboxes here: the system refuses {call}. bue needs Linux 3.17 or later, and in a container, a seccomp profile that \
         allows this call"
    )]
    Kernel {
        /// The system call.
        call: &'static str,
        /// How it was refused.
        #[source]
        source: io::Error,
    },
    /// The limit on the address space is too low for a single sandbox.
    #[error(
        "run sandboxes here: this process may use {} MiB of address space, and one sandbox reserves {} GiB; type \
         `ulimit -v unlimited`, or remove the limit where the service is configured",
        limit >> 20,
        needed >> 30
    )]
    AddressSpace {
        /// Bytes that the process may map.
        limit: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// The guest module cannot be used.
    #[error("prepare the guest: {0}")]
    Guest(String),
    /// The engine reported an error.
    #[error("prepare the sandbox engine: {0}")]
    Engine(String),
    /// Memory for a sandbox cannot be mapped.
    #[error("map memory for a sandbox")]
    Memory(#[source] io::Error),
    /// A sandbox host cannot be started.
    #[error("start a sandbox host with {command}")]
    Spawn {
        /// The program.
        command: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A sandbox host started but does not serve.
    #[error("start a sandbox host: {0}")]
    Refused(String),
    /// The hosts were shut down.
    #[error("run a step: the sandbox hosts were shut down")]
    Closed,
}

impl From<wasmtime::Error> for RuntimeError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }
}

/// The sandbox host that ran the step died. The outcome of the step is unknown; it can be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox host that ran the step died")]
pub struct HostLost {
    /// Whether the host had no other step, so that no other step can be the cause.
    pub alone: bool,
}
