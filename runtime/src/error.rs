//! What can go wrong with running steps at all, as opposed to within a step.

use std::io;
use std::path::PathBuf;

/// The sandboxes cannot be prepared or started. A step's own failure is an [`Answer`](bue_model::Answer), never this.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The cache directory cannot be used.
    #[error("use {path} for the compiled sandbox; give the cache another place or make it writable")]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cache directory is open to others.
    #[error(
        "trust {path}: it belongs to somebody else or others may write it; type `chmod 700` on it, or name another"
    )]
    OpenCache {
        /// The directory.
        path: PathBuf,
    },
    /// The guest module is not one that can be imaged.
    #[error("prepare the guest: {0}")]
    Guest(String),
    /// The engine refused something.
    #[error("prepare the sandbox engine: {0}")]
    Engine(String),
    /// Memory for a sandbox cannot be had.
    #[error("map memory for a sandbox")]
    Memory(#[source] io::Error),
    /// A sandbox host cannot be started.
    #[error("start a sandbox host with {command}")]
    Spawn {
        /// What was run.
        command: PathBuf,
        /// Why it could not be.
        #[source]
        source: io::Error,
    },
    /// A sandbox host started and would not serve.
    #[error("get a sandbox host ready: {0}")]
    Refused(String),
    /// The hosts were shut down.
    #[error("run a step: the sandbox hosts are shut down")]
    Closed,
}

impl From<wasmtime::Error> for RuntimeError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }
}

/// The process that ran the step died, and the step with it. Nothing is known of the step; it can be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox host that ran the step died")]
pub struct HostLost;
