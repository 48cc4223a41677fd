//! [`run`]: the life of a worker, from start to drain.

use std::sync::Arc;
use std::time::Duration;

use bue_client::{BucketClient, HubClient};
use bue_runtime::{BackgroundRuntime, Databases, HostLifecycle, Hosts, HostsConfig, Sites};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::fetch::Fetch;
use crate::heartbeat::{Heartbeats, Pulse};
use crate::held_leases::{CancelReason, HeldLeases};
use crate::input_budget::InputBudget;
use crate::job::JobRunner;
use crate::job_bucket::{JobBucket, OnOutage};
use crate::lease_loop::LeaseLoop;
use crate::list_report::PieceSender;
use crate::live_log::LiveLogs;
use crate::reporter;
use crate::status::StatusSource;

/// Runs a worker until `shutdown`, or until it ends by itself as [`WorkerConfig::end`] says, then drains it: it leases no more jobs, lets steps continue for [`WorkerConfig::drain`], releases the
/// leases of the others, and reports everything.
///
/// A hub or bucket that cannot be reached is not an error: the worker waits for it.
///
/// # Errors
/// See [`WorkerError`].
pub async fn run(
    mut config: WorkerConfig,
    hub: HubClient,
    bucket: BucketClient,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    if config.slots == 0 || config.hosts == 0 || config.scopes.is_empty() {
        return Err(WorkerError::Nothing);
    }
    let packages = Sites::open(&config.prepared).map_err(WorkerError::Packages)?;
    let hosts = Hosts::start(HostsConfig {
        command: config.sandbox_command.clone(),
        hosts: config.hosts,
        prepared: config.prepared.clone(),
        egress: config.egress.clone(),
        packages: Some(packages.clone()),
        wall: config.wall,
        lifecycle: HostLifecycle::default(),
    })
    .await
    .map_err(WorkerError::Hosts)?;
    let fetch = Fetch::new(JobBucket::new(Arc::new(bucket), OnOutage::Wait), packages);
    config.abilities.wall = hosts.wall().parts().into_iter().map(str::to_owned).collect();
    let heartbeat_thread = BackgroundRuntime::start("bue-heartbeat").map_err(WorkerError::Thread)?;
    run_with(&config, hub, fetch, Arc::new(hosts), heartbeat_thread, shutdown).await;
    Ok(())
}

async fn run_with(
    config: &WorkerConfig,
    hub: HubClient,
    fetch: Fetch,
    hosts: Arc<Hosts>,
    heartbeat_thread: BackgroundRuntime,
    shutdown: CancellationToken,
) {
    let hub = Arc::new(hub);
    let held_leases = Arc::new(HeldLeases::default());
    let (reports, queue) = mpsc::unbounded_channel();
    let (live_logs, live_log_sender) = LiveLogs::new();
    let runner = Arc::new(JobRunner {
        hosts: Arc::clone(&hosts),
        databases: Databases::new(config.databases.clone()),
        fetch,
        input_budget: InputBudget::default(),
        limits: config.limits.clone(),
        environment: config.environment.clone(),
        secrets: config.secrets(),
        held_leases: Arc::clone(&held_leases),
        reports,
        live_logs: live_logs.clone(),
        pieces: Some(PieceSender { worker: config.name.clone(), hub: Arc::clone(&hub) }),
        printed: Arc::clone(&config.printed),
    });
    let reporter = tokio::spawn(reporter::run(config.name.clone(), Arc::clone(&hub), Arc::clone(&held_leases), queue));
    let live_log_sender = tokio::spawn(live_log_sender.run(config.name.clone(), Arc::clone(&hub)));
    let pulse = Pulse::default();
    let beating = tokio::spawn(pulse.clone().run());
    let status = StatusSource::new(config, &held_leases, &hosts);
    let measuring = tokio::spawn(status.clone().run());
    let heartbeats = Heartbeats {
        worker: config.name.clone(),
        hub: hub.without_connections(),
        held_leases: Arc::clone(&held_leases),
        live_logs,
        pulse,
        status: status.clone(),
    };
    heartbeat_thread.handle().spawn(heartbeats.run());

    let jobs = TaskTracker::new();
    let admission = Admission::new(Arc::clone(&hosts), config.slots, config.memory_bytes);
    let lease_loop = LeaseLoop {
        config,
        hub: &hub,
        runner: &runner,
        admission: &admission,
        jobs: &jobs,
        status: &status,
        shutdown: &shutdown,
    };
    lease_loop.run().await;
    drop(admission);
    // a worker that ends by itself lets its jobs end
    jobs.close();
    shutdown.run_until_cancelled(jobs.wait()).await;
    drain(&jobs, &held_leases, config.drain).await;
    // cancels the statements of released jobs before the jobs run again elsewhere
    runner.databases.shutdown().await;

    // The reporter ends when the last sender is gone and everything is reported.
    drop(runner);
    if let Err(error) = reporter.await {
        tracing::error!(%error, "the reporter ended early; the leases of its jobs will end");
    }
    drop(heartbeat_thread);
    beating.abort();
    measuring.abort();
    // it must not own the hosts any more
    let _ = measuring.await;
    live_log_sender.abort();
    // The tasks that shared the hosts have ended, so this is the last owner; if not, dropping it ends the processes too.
    if let Some(hosts) = Arc::into_inner(hosts) {
        hosts.shutdown().await;
    }
}

/// Waits for the running jobs, and after `drain_timeout` cancels the others, which are reported as released.
async fn drain(jobs: &TaskTracker, held_leases: &HeldLeases, drain_timeout: Duration) {
    jobs.close();
    if tokio::time::timeout(drain_timeout, jobs.wait()).await.is_err() {
        held_leases.cancel_all(CancelReason::Draining);
        jobs.wait().await;
    }
}
