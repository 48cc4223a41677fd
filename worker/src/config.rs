//! [`WorkerConfig`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bue_model::wire::WorkerAbilities;
use bue_runtime::{DatabasesConfig, Egress, Limits, Prepared, WallMode};

use crate::environment::Environment;
use crate::printed::PrintedOutput;
use crate::value_summary::Secrets;

/// The configuration of a worker.
#[derive(Debug)]
pub struct WorkerConfig {
    /// The worker's name, for logs and for the hub. Unique while it runs.
    pub name: String,
    /// The scopes that it serves, first ones first.
    pub scopes: Vec<String>,
    /// Whether the last scope, the lowest priority and the youngest job come first.
    pub reverse: bool,
    /// Of this many jobs, one is the job that would be served last, so that low scopes and priorities do not starve. 0 for none.
    pub anti_starvation_interval: u32,
    /// What its steps may use, for people who ask the hub.
    pub abilities: WorkerAbilities,
    /// The largest number of jobs that it holds at once, including those that wait.
    pub slots: usize,
    /// The memory in bytes that its steps may use; above that, it leases no more jobs. A Python step that waits for the answer to an HTTP
    /// request uses about a megabyte.
    pub memory_bytes: u64,
    /// The number of sandbox host processes; one for each core is best.
    pub hosts: usize,
    /// The program that runs a sandbox host, and its arguments.
    pub sandbox_command: (PathBuf, Vec<OsString>),
    /// The compiled guests and their base images.
    pub prepared: Prepared,
    /// The wall around the sandbox hosts.
    pub wall: WallMode,
    /// The limits of a step. Its time limit is its own `!timeout`.
    pub limits: Limits,
    /// The network of the steps: which of the hosts that scripts request they may reach.
    pub egress: Egress,
    /// The databases of postgres steps. Those run in this process, because a sandbox host holds no credentials.
    pub databases: DatabasesConfig,
    /// The environment variables that steps get if their script requests them.
    pub environment: Environment,
    /// Counts what the steps print.
    pub printed: Arc<PrintedOutput>,
    /// When it ends by itself.
    pub end: EndConditions,
    /// The time that steps have to finish after a shutdown was requested. Then they are cancelled and their leases released.
    pub drain: Duration,
}

/// When a worker ends without a request to shut down. By default, never.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndConditions {
    /// Once it has held no job for so long, while the hub answered that it has none.
    pub idle: Option<Duration>,
    /// Once it has run so many jobs. An attempt that is repeated here counts again.
    pub jobs: Option<u64>,
}

impl WorkerConfig {
    /// Returns the values that no message may contain: the secrets of the steps, and the passwords of their databases.
    pub(crate) fn secrets(&self) -> Secrets {
        let secrets = self.egress.secrets().map(|secret| secret.value.clone());
        Secrets::new(secrets.chain(self.databases.passwords()))
    }
}
