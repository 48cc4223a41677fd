//! [`WorkerError`].

use bue_runtime::RuntimeError;

/// Why a worker failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No sandbox host could be started.
    #[error("failed to start the sandbox hosts")]
    Hosts(#[source] RuntimeError),
    /// The folder for packages could not be created.
    #[error("failed to create the folder for packages")]
    Packages(#[source] RuntimeError),
    /// The system has no thread for the heartbeats.
    #[error("failed to start the thread that sends heartbeats")]
    Thread(#[source] std::io::Error),
    /// It may hold no jobs, or serves no scope: it would wait forever.
    #[error("a worker needs at least one slot, one sandbox host and one scope")]
    Nothing,
}
