//! One job outside the loop of leases: run here and now, reported to nobody.

use std::sync::Arc;

use bue_client::BucketClient;
use bue_model::Outcome;
use bue_model::wire::LeaseBatch;
use bue_runtime::{Databases, Hosts, HostsConfig, Sites};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::fetch::Fetch;
use crate::held::Held;
use crate::job::JobRunner;
use crate::{WorkerConfig, WorkerError};

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// What would have been reported.
    pub outcome: Outcome,
    /// What the step printed.
    pub log: Bytes,
}

/// Runs the first job of a batch in a sandbox of its own, exactly as a worker would, and tells the hub nothing. Of the
/// configuration, what concerns sandboxes is looked at. Large results go to the bucket.
///
/// # Errors
/// The batch is empty, or no sandbox host could be started.
pub async fn run_once(config: &WorkerConfig, bucket: BucketClient, batch: LeaseBatch) -> Result<Ran, WorkerError> {
    let lease = batch.leases.first().ok_or(WorkerError::Nothing)?;
    let step = batch.steps.get(lease.step as usize).ok_or(WorkerError::Nothing)?;
    let command = config.sandbox_command.clone();
    let (prepared, egress) = (config.prepared.clone(), config.egress.clone());
    let hosts = Hosts::start(HostsConfig { command, hosts: 1, prepared, egress });
    let hosts = Arc::new(hosts.await.map_err(WorkerError::Hosts)?);
    // nobody listens: a job that is run once reports nothing
    let (reports, _) = mpsc::unbounded_channel();
    let runner = JobRunner {
        hosts: Arc::clone(&hosts),
        databases: Databases::new(config.databases.clone()),
        fetch: Fetch::new(Arc::new(bucket), Sites::open(&config.prepared).map_err(WorkerError::Packages)?),
        limits: config.limits.clone(),
        held: Arc::new(Held::default()),
        reports,
    };
    let (outcome, log) = runner.once(lease, step).await;
    runner.databases.shutdown().await;
    drop(runner);
    if let Some(hosts) = Arc::into_inner(hosts) {
        hosts.shutdown().await;
    }
    Ok(Ran { outcome, log })
}
