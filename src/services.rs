//! Hub, bucket and worker inside this process. They talk over loopback exactly as they would between machines.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bue_client::{BucketClient, HubClient};
use bue_hub::{Access, BlobStore, Bucket, Durability, Hub, SqliteStore, serve_bucket, serve_hub};
use bue_runtime::Prepared;
use bue_worker::WorkerConfig;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::allow::Network;
use crate::commands::token::new_token;
use crate::memory::usual_memory;
use crate::stop::Stop;

/// Jobs a worker holds at once where nobody says otherwise. What it takes of them is decided by its memory and its cores;
/// this bounds the connections that its steps wait for.
pub(crate) const DEFAULT_SLOTS: usize = 10_000;

/// How long steps may go on after the worker was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What a local run needs, and nothing of it after [`Services::stop`].
pub(crate) struct Services {
    pub(crate) hub: HubClient,
    pub(crate) bucket: BucketClient,
    hub_address: SocketAddr,
    bucket_address: SocketAddr,
    /// Other users of this machine can reach loopback, and have none.
    token: String,
    /// Ends them in this order: who asks goes before who answers.
    stop_worker: CancellationToken,
    stop_servers: CancellationToken,
    pub(crate) tasks: JoinSet<Result<(), Stop>>,
    /// Gone when this is dropped. `None`: the user keeps it.
    _folder: Option<TempDir>,
}

impl Services {
    /// Starts hub and bucket on loopback, each on a port the system chooses.
    pub(crate) async fn start(data: Option<&Path>) -> Result<Self, Stop> {
        let (folder, path, durability) = state_folder(data)?;
        let store = SqliteStore::open(&path.join("hub.db"), durability).context("failed to open the hub's database")?;
        let blobs = BlobStore::open(&path.join("blobs"), durability).context("failed to open the bucket's folder")?;
        let token = new_token()?;
        let access = Access::only(&token);
        let (hub_listener, hub_address) = listen().await?;
        let (bucket_listener, bucket_address) = listen().await?;
        let stop_servers = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(ending_well(serve_hub(
            hub_listener,
            Hub::new(Arc::new(store)).with_access(access.clone()),
            stop_servers.clone().cancelled_owned(),
        )));
        tasks.spawn(ending_well(serve_bucket(
            bucket_listener,
            Bucket::new(blobs, access),
            stop_servers.clone().cancelled_owned(),
        )));
        Ok(Self {
            hub: hub_client(hub_address, &token)?,
            bucket: bucket_client(bucket_address, &token)?,
            token,
            hub_address,
            bucket_address,
            stop_worker: CancellationToken::new(),
            stop_servers,
            tasks,
            _folder: folder,
        })
    }

    /// Starts a worker for these scopes.
    pub(crate) async fn start_worker(
        &mut self,
        prepared: Prepared,
        scopes: Vec<String>,
        network: Network,
    ) -> Result<(), Stop> {
        let (hub, bucket) =
            (hub_client(self.hub_address, &self.token)?, bucket_client(self.bucket_address, &self.token)?);
        let config = worker_config(prepared, scopes, network, &hub, &bucket).await?;
        let config = WorkerConfig { drain: Duration::ZERO, ..config };
        let stop = self.stop_worker.clone();
        self.tasks
            .spawn(async move { Ok(bue_worker::run(config, hub, bucket, stop).await.context("the worker failed")?) });
        Ok(())
    }

    /// Stops all of them and takes their folder away.
    pub(crate) async fn stop(mut self) {
        self.stop_worker.cancel();
        self.stop_servers.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Servers end when they are told to, and in no other way.
async fn ending_well(server: impl Future<Output = ()>) -> Result<(), Stop> {
    server.await;
    Ok(())
}

/// Ends when a service ends by itself, which none should.
pub(crate) async fn failed(services: &mut JoinSet<Result<(), Stop>>) -> Stop {
    match services.join_next().await {
        Some(Ok(Err(stop))) => stop,
        Some(Ok(Ok(()))) | None => Stop::Surroundings(anyhow!("hub, bucket or worker ended early")),
        Some(Err(error)) => Stop::Surroundings(anyhow::Error::new(error).context("hub, bucket or worker broke")),
    }
}

/// A worker of this machine as nobody has configured it: one sandbox host a core. Its steps are kept from the servers that it
/// works with.
pub(crate) async fn worker_config(
    prepared: Prepared,
    scopes: Vec<String>,
    mut network: Network,
    hub: &HubClient,
    bucket: &BucketClient,
) -> Result<WorkerConfig, Stop> {
    network.keep_from(hub.addresses().chain(bucket.addresses())).await;
    let egress = network.open()?;
    let bue = std::env::current_exe().context("failed to find the path of this program")?;
    Ok(WorkerConfig {
        name: worker_name(),
        scopes,
        reverse: false,
        slots: DEFAULT_SLOTS,
        memory_bytes: usual_memory(),
        hosts: available_parallelism().map_or(1, usize::from),
        sandbox_command: (bue, vec![OsString::from("sandbox-host")]),
        prepared,
        limits: network.limits,
        egress,
        databases: network.databases,
        drain: DRAIN,
    })
}

/// Tells workers apart in logs, also those of one machine and of one process after the other.
#[expect(clippy::disallowed_methods, reason = "the rim of the process makes names")]
fn worker_name() -> String {
    let machine = std::env::var("HOSTNAME").unwrap_or_else(|_| "worker".to_owned());
    let chance = Uuid::now_v7().as_u128() & 0xffff;
    format!("{machine}-{}-{chance:04x}", std::process::id())
}

/// A temporary folder loses nothing that matters when the machine stops; a folder the user keeps may not.
fn state_folder(data: Option<&Path>) -> Result<(Option<TempDir>, PathBuf, Durability), Stop> {
    if let Some(data) = data {
        fs::create_dir_all(data).with_context(|| format!("failed to make {}", data.display()))?;
        return Ok((None, data.to_owned(), Durability::Full));
    }
    let folder = tempfile::Builder::new().prefix("bue-").tempdir().context("failed to make a temporary folder")?;
    let path = folder.path().to_owned();
    Ok((Some(folder), path, Durability::Off))
}

async fn listen() -> Result<(TcpListener, SocketAddr), Stop> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen on 127.0.0.1")?;
    let address = listener.local_addr().context("failed to listen on 127.0.0.1")?;
    Ok((listener, address))
}

fn hub_client(address: SocketAddr, token: &str) -> Result<HubClient, Stop> {
    let client = HubClient::new(&[address.to_string()]).and_then(|client| client.with_token(token));
    Ok(client.context("failed to make a client")?)
}

fn bucket_client(address: SocketAddr, token: &str) -> Result<BucketClient, Stop> {
    let client = BucketClient::new(&address.to_string()).and_then(|client| client.with_token(token));
    Ok(client.context("failed to make a client")?)
}
