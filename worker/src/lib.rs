//! The worker: lease, fetch, run, report.
//!
//! It holds no truth. Killed at any instant, it loses nothing: its leases end, and the hub gives its jobs to others. The
//! parts, each a task of its own, and what passes between them:
//!
//! ```text
//!  hub --leases--> lease_loop --one task a job--> job (fetch, runtime::Hosts, outcome) --reports--> reporter --> hub
//!                       |                            ^
//!                   admission                     stop signal
//!                                                    |
//!  hub <---------------- heartbeat: all held leases --+
//! ```
//!
//! Requests to the hub are batches: whatever gathered while the request before was under way goes in the next one.
#![forbid(unsafe_code)]

mod admission;
mod blobs;
mod fetch;
mod heartbeat;
mod held;
mod job;
mod lease_loop;
mod once;
mod output;
mod rate_key;
mod reporter;
mod task;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bue_client::{BucketClient, HubClient};
use bue_runtime::{Databases, DatabasesConfig, Egress, Hosts, HostsConfig, Limits, Prepared, RuntimeError, Sites};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::fetch::Fetch;
use crate::held::Held;
use crate::job::JobRunner;

pub use once::{Ran, run_once};

/// How a worker works.
#[derive(Debug)]
pub struct WorkerConfig {
    /// For logs and for the hub; unique in the worker's life.
    pub name: String,
    /// Scopes it serves, first ones first.
    pub scopes: Vec<String>,
    /// Last scope, lowest priority and youngest first.
    pub reverse: bool,
    /// Jobs it holds at once at most, waiting ones included.
    pub slots: usize,
    /// Bytes of memory that its steps may have written to when another job is taken. A Python step that waits for the answer
    /// to an HTTP request has about a megabyte.
    pub memory_bytes: u64,
    /// Sandbox host processes; one a core is best.
    pub hosts: usize,
    /// How to start a sandbox host: a program and its arguments.
    pub sandbox_command: (PathBuf, Vec<OsString>),
    /// The compiled Python guest and its base image.
    pub prepared: Prepared,
    /// What a step may use. The time is each step's own `!timeout`.
    pub limits: Limits,
    /// The network of the steps: what they may reach of what their scripts ask for.
    pub egress: Egress,
    /// What postgres steps work on. They run in this process: a sandbox host holds no credentials.
    pub databases: DatabasesConfig,
    /// How long steps may go on after a shutdown was asked for, before they are stopped and their jobs given back.
    pub drain: Duration,
}

/// Why a worker ended in a way it should not.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No sandbox host could be started.
    #[error("failed to start the sandbox hosts")]
    Hosts(#[source] RuntimeError),
    /// No folder for packages could be made.
    #[error("failed to make a folder for packages")]
    Packages(#[source] RuntimeError),
    /// Told to hold no jobs, or to serve no scope: it would wait for ever.
    #[error("a worker needs at least one slot, one sandbox host and one scope")]
    Nothing,
}

/// Works until `shutdown`, then drains: takes no more jobs, lets steps go on for [`WorkerConfig::drain`], gives the rest
/// back, and reports everything.
///
/// A hub or bucket that cannot be reached is waited for, not an error.
///
/// # Errors
/// See [`WorkerError`].
pub async fn run(
    config: WorkerConfig,
    hub: HubClient,
    bucket: BucketClient,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    if config.slots == 0 || config.hosts == 0 || config.scopes.is_empty() {
        return Err(WorkerError::Nothing);
    }
    let hosts = Hosts::start(HostsConfig {
        command: config.sandbox_command.clone(),
        hosts: config.hosts,
        prepared: config.prepared.clone(),
        egress: config.egress.clone(),
    })
    .await
    .map_err(WorkerError::Hosts)?;
    let fetch = Fetch::new(Arc::new(bucket), Sites::open(&config.prepared).map_err(WorkerError::Packages)?);
    work(&config, hub, fetch, Arc::new(hosts), shutdown).await;
    Ok(())
}

async fn work(config: &WorkerConfig, hub: HubClient, fetch: Fetch, hosts: Arc<Hosts>, shutdown: CancellationToken) {
    let hub = Arc::new(hub);
    let held = Arc::new(Held::default());
    let (reports, reported) = mpsc::unbounded_channel();
    let runner = Arc::new(JobRunner {
        hosts: Arc::clone(&hosts),
        databases: Databases::new(config.databases.clone()),
        fetch,
        limits: config.limits.clone(),
        held: Arc::clone(&held),
        reports,
    });
    let reporter = tokio::spawn(reporter::run(config.name.clone(), Arc::clone(&hub), Arc::clone(&held), reported));
    let heartbeat = tokio::spawn(heartbeat::run(config.name.clone(), Arc::clone(&hub), Arc::clone(&held)));

    let jobs = TaskTracker::new();
    let admission = Admission::new(Arc::clone(&hosts), config.slots, config.memory_bytes);
    lease_loop::run(config, &hub, &runner, &admission, &jobs, &shutdown).await;
    drop(admission);
    drain(&jobs, &held, config.drain).await;
    // statements of jobs that were given back are cancelled before anybody else begins them again
    runner.databases.shutdown().await;

    // The reporter ends when the last sender is gone and everything was reported.
    drop(runner);
    if let Err(error) = reporter.await {
        tracing::error!(%error, "the reporter ended early; the hub will give its jobs to others");
    }
    heartbeat.abort();
    // The tasks that shared the hosts are gone, so this is the last owner; if not, dropping ends the processes too.
    if let Some(hosts) = Arc::into_inner(hosts) {
        hosts.shutdown().await;
    }
}

/// Waits for the running jobs, then stops what is left: stopped jobs are reported as released.
async fn drain(jobs: &TaskTracker, held: &Held, patience: Duration) {
    jobs.close();
    if tokio::time::timeout(patience, jobs.wait()).await.is_err() {
        held.stop_all(held::Stop::GiveBack);
        jobs.wait().await;
    }
}
