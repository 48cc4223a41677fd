//! Attempts: what an attempt of a job used, as its worker measures it, and how it ended, as people and scripts see it.

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;

/// What an attempt used, as its worker measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptUsage {
    /// The milliseconds from the lease to the outcome, including the time that the step waited.
    pub run_ms: u64,
    /// The milliseconds that a sandbox host computed. `None` if the step did not run in one.
    pub cpu_ms: Option<u64>,
    /// The largest number of bytes of memory that the step had, including those that it shared. `None` if it did not run in a sandbox
    /// host.
    pub peak_memory: Option<u64>,
}

impl AttemptUsage {
    /// Returns the usage of an attempt that took this many milliseconds, of which nothing else is known.
    #[must_use]
    pub const fn of_ms(run_ms: u64) -> Self {
        Self { run_ms, cpu_ms: None, peak_memory: None }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptVerdict {
    /// The job has a result.
    Completed,
    /// The step answered `pending`: it is to run again later.
    Pending,
    /// The step answered `reset`: its call is to start over.
    Reset,
    /// The step answered `cancel`, or the job was cancelled while it ran.
    Cancelled,
    /// The attempt failed.
    Failed,
    /// The worker gave the job back: it shut down, or the sandbox host died.
    Released,
    /// The lease expired, because the worker sent no heartbeat.
    Lost,
}

impl AttemptVerdict {
    /// Returns its name in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Pending => "pending",
            Self::Reset => "reset",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }
}

/// An attempt of a job, as people and scripts see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// When a worker got the job.
    pub started_at: Timestamp,
    /// When the hub got the outcome, or the lease ended. `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// The worker. `None` if the hub does not know it.
    pub worker: Option<String>,
    /// How it ended. `None` while it runs.
    pub verdict: Option<AttemptVerdict>,
    /// What the worker measured: [`AttemptUsage::run_ms`]. `None` if it did not report.
    pub run_ms: Option<u64>,
    /// What the worker measured: [`AttemptUsage::cpu_ms`].
    pub cpu_ms: Option<u64>,
    /// What the worker measured: [`AttemptUsage::peak_memory`].
    pub peak_memory: Option<u64>,
}

/// What the attempts of a step used, as far as workers reported an answer of the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepUsage {
    /// The number of attempts that the other fields are about.
    pub attempts: u64,
    /// The milliseconds within which half of them ended, within a third. `None` if there are none.
    pub p50_ms: Option<u64>,
    /// The milliseconds within which 95 of 100 ended, within a third. `None` if there are none.
    pub p95_ms: Option<u64>,
    /// The milliseconds that sandbox hosts computed for them, in total.
    pub cpu_ms: u64,
    /// The largest number of bytes of memory that one of them had. `None` if that is not known of any.
    pub peak_memory: Option<u64>,
}
