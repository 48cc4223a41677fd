//! The configuration of a worker on this machine.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use bue_client::{BucketClient, HubClient};
use bue_model::wire::ANTI_STARVATION_INTERVAL;
use bue_runtime::{Prepared, WallMode};
use bue_worker::{EndConditions, WorkerConfig};

use crate::config::memory::default_memory;
use crate::config::network::Network;
use crate::process::command_error::CommandError;
use crate::process::random::new_worker_name;
use crate::sandbox::sandbox_host_command;

/// The most jobs a worker holds at once by default. How many it takes depends on its memory and cores; this only bounds the
/// connections that its waiting steps keep open.
pub(crate) const DEFAULT_SLOTS: usize = 10_000;

/// The scopes of Buelon, which are served by default.
const DEFAULT_SCOPES: &str = "production-very-heavy,production-heavy,production-medium,production-small,\
                              testing-heavy,testing-medium,testing-small,default";

/// How long running steps may continue after the worker is asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the scopes that a worker serves by default.
pub(crate) fn all_scopes() -> Vec<String> {
    DEFAULT_SCOPES.split(',').map(str::to_owned).collect()
}

/// Returns the default configuration: one sandbox host per core. Steps cannot reach the worker's own hub and bucket.
pub(crate) async fn worker_config(
    prepared: Prepared,
    scopes: Vec<String>,
    mut network: Network,
    wall: WallMode,
    hub: &HubClient,
    bucket: &BucketClient,
) -> Result<WorkerConfig, CommandError> {
    network.protect(hub.addresses().chain(bucket.addresses())).await;
    let egress = network.egress()?;
    Ok(WorkerConfig {
        name: new_worker_name(None)?,
        scopes,
        reverse: false,
        anti_starvation_interval: ANTI_STARVATION_INTERVAL,
        abilities: network.abilities(),
        slots: DEFAULT_SLOTS,
        memory_bytes: default_memory(),
        hosts: available_parallelism().map_or(1, usize::from),
        sandbox_command: sandbox_host_command()?,
        prepared,
        limits: network.limits,
        egress,
        databases: network.databases,
        environment: network.environment,
        wall,
        printed: Arc::default(),
        end: EndConditions::default(),
        drain: DRAIN_TIMEOUT,
    })
}
