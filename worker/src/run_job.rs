//! [`run_job`]: runs one job without a lease and without a report.

use std::sync::Arc;

use bue_client::BucketClient;
use bue_model::Outcome;
use bue_model::wire::LeaseBatch;
use bue_runtime::{Databases, HostLifecycle, Hosts, HostsConfig, Sites};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::fetch::Fetch;
use crate::held_leases::HeldLeases;
use crate::input_budget::InputBudget;
use crate::job::JobRunner;
use crate::job_bucket::{JobBucket, OnOutage};
use crate::live_log::LiveLogs;

/// The result of [`run_job`].
#[derive(Clone, Debug, PartialEq)]
pub struct JobRun {
    /// The outcome that a worker would report.
    pub outcome: Outcome,
    /// What the step printed, in UTF-8.
    pub log: Bytes,
}

/// Runs the first job of a batch in a new sandbox, exactly as a worker would, but reports nothing to the hub. Only those parts of the
/// configuration that concern sandboxes are used. Large results go to the bucket.
///
/// # Errors
/// The batch is empty, or no sandbox host could be started.
pub async fn run_job(config: &WorkerConfig, bucket: BucketClient, batch: LeaseBatch) -> Result<JobRun, WorkerError> {
    let lease = batch.leases.first().ok_or(WorkerError::Nothing)?;
    let step = batch.steps.get(lease.step as usize).ok_or(WorkerError::Nothing)?;
    let command = config.sandbox_command.clone();
    let (prepared, egress, wall) = (config.prepared.clone(), config.egress.clone(), config.wall);
    let sites = Sites::open(&prepared).map_err(WorkerError::Packages)?;
    let packages = Some(sites.clone());
    let hosts = Hosts::start(HostsConfig {
        command,
        hosts: 1,
        prepared,
        egress,
        packages,
        wall,
        lifecycle: HostLifecycle::default(),
    });
    let hosts = Arc::new(hosts.await.map_err(WorkerError::Hosts)?);
    // the receiver is dropped at once: nothing is reported
    let (reports, _) = mpsc::unbounded_channel();
    let runner = JobRunner {
        hosts: Arc::clone(&hosts),
        databases: Databases::new(config.databases.clone()),
        fetch: Fetch::new(JobBucket::new(Arc::new(bucket), OnOutage::Fail), sites),
        input_budget: InputBudget::default(),
        limits: config.limits.clone(),
        environment: config.environment.clone(),
        secrets: config.secrets(),
        held_leases: Arc::new(HeldLeases::default()),
        reports,
        live_logs: LiveLogs::new().0,
        pieces: None,
        printed: Arc::clone(&config.printed),
    };
    let (outcome, log) = runner.run_unreported(lease, step).await;
    runner.databases.shutdown().await;
    drop(runner);
    if let Some(hosts) = Arc::into_inner(hosts) {
        hosts.shutdown().await;
    }
    Ok(JobRun { outcome, log })
}
