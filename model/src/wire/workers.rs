//! Workers: what they tell a hub about themselves.

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;

/// What the steps on a worker may use. The hub only shows it: which jobs a worker gets depends on its scopes alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerAbilities {
    /// The worker's version of bue.
    pub version: String,
    /// The names of the languages of steps that it runs.
    pub languages: Vec<String>,
    /// The rules for hosts that its steps may connect to if their script requests it; `*` for all hosts.
    pub net: Vec<String>,
    /// The rules for hosts and ports that its steps may open TCP connections to if their script requests it.
    pub tcp: Vec<String>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    /// The names of its databases for postgres steps; empty for the one without a name.
    pub databases: Vec<String>,
    /// The names of the environment variables that it has for steps.
    pub environment: Vec<String>,
    /// The names of the parts of the wall around its sandboxes that are up, see [`WallPart`](crate::WallPart).
    pub wall: Vec<String>,
}

/// What a worker does when it sends a request, and on which machine. The hub only shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The name of its machine. The hub cuts it to [`MAX_HOST`] bytes.
    pub host: String,
    /// The milliseconds since its process started.
    pub up_ms: u64,
    /// The number of jobs that it holds leases of: those that run, wait for their turn, or are being reported.
    pub jobs_held: u64,
    /// The number of steps in its sandbox hosts, running or waiting for an answer.
    pub jobs_running: u64,
    /// The bytes of memory that its steps use. `None` if its system does not tell.
    pub memory_used: Option<u64>,
    /// The bytes of memory up to which it leases more jobs.
    pub memory_limit: u64,
    /// The number of steps that it can compute at the same time: its sandbox hosts, one for each core by default.
    pub cores: u32,
}

/// Bytes of [`WorkerStatus::host`] that the hub keeps. Linux allows 64.
pub const MAX_HOST: usize = 255;

/// A worker from which a hub of the database received a request in the last minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// The scopes that it serves, first ones first.
    pub scopes: Vec<String>,
    /// The milliseconds since its last request.
    pub silent_ms: u64,
    /// When that was, by the hub's clock.
    #[serde(default)]
    pub heard_at: Timestamp,
    /// What its steps may use.
    pub abilities: WorkerAbilities,
    /// The name of its machine.
    #[serde(default)]
    pub host: String,
    /// When its process started, by the hub's clock.
    #[serde(default)]
    pub since: Timestamp,
    /// The number of jobs that it holds leases of: those that run, wait for their turn, or are being reported.
    #[serde(default)]
    pub jobs_held: u64,
    /// The number of steps in its sandbox hosts, running or waiting for an answer.
    #[serde(default)]
    pub jobs_running: u64,
    /// The bytes of memory that its steps use. `None` if its system does not tell.
    #[serde(default)]
    pub memory_used: Option<u64>,
    /// The bytes of memory up to which it leases more jobs.
    #[serde(default)]
    pub memory_limit: u64,
    /// The number of steps that it can compute at the same time.
    #[serde(default)]
    pub cores: u32,
}
