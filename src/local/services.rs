//! Hub, bucket and worker inside this process. They communicate over loopback exactly as they would between machines.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bue_client::{BucketClient, ClientOptions, HubClient};
use bue_hub::{Access, BlobStore, Bucket, Durability, Hub, Simulation, SqliteStore, serve_bucket, serve_hub};
use bue_runtime::{Prepared, WallMode};
use bue_worker::{PrintedOutput, WorkerConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::network::Network;
use crate::local::worker::worker_config;
use crate::process::command_error::CommandError;
use crate::process::random::new_token;
use crate::server::bundles::BucketBundles;

/// The services of a local run. None of them is left after [`Services::stop`].
pub(crate) struct Services {
    pub(crate) hub: Arc<HubClient>,
    pub(crate) bucket: BucketClient,
    hub_address: SocketAddr,
    bucket_address: SocketAddr,
    /// Keeps out other users of this machine, who can reach loopback too.
    token: String,
    /// The worker stops before the servers that it uses.
    stop_worker: CancellationToken,
    stop_servers: CancellationToken,
    pub(crate) tasks: JoinSet<Result<(), CommandError>>,
    /// Counts what the steps print.
    pub(crate) printed: Arc<PrintedOutput>,
    /// Deleted when this is dropped. `None`: the user keeps the folder.
    _folder: Option<TempDir>,
}

/// What a hub in this process does.
#[derive(Default)]
pub(crate) struct ServiceOptions {
    /// Serves the dashboard.
    pub(crate) dashboard: bool,
    /// Its clock. Without one, time is real.
    pub(crate) time: Option<Arc<dyn Simulation>>,
}

/// Where hub and bucket store their data.
struct StateFolder {
    path: PathBuf,
    durability: Durability,
    temporary: Option<TempDir>,
}

impl Services {
    /// Starts hub and bucket on loopback, each on a port that the system chooses.
    pub(crate) async fn start(data: Option<&Path>, options: ServiceOptions) -> Result<Self, CommandError> {
        let StateFolder { path, durability, temporary } = open_state_folder(data)?;
        let store = SqliteStore::open(&path.join("hub.db"), durability).context("failed to open the hub's database")?;
        let blobs = BlobStore::open(&path.join("blobs"), durability).context("failed to open the bucket's folder")?;
        let token = new_token()?;
        let access = Access::single_token(&token);
        let (hub_listener, hub_address) = bind().await?;
        let (bucket_listener, bucket_address) = bind().await?;
        let stop_servers = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let hub = match options.time {
            Some(time) => Hub::simulated(Arc::new(store), time),
            None => Hub::new(Arc::new(store)),
        };
        let hub = match options.dashboard {
            true => hub.with_bundles(Arc::new(BucketBundles(bucket_client(bucket_address, &token)?))),
            false => hub.without_dashboard(),
        };
        tasks.spawn(until_stopped(serve_hub(
            hub_listener,
            hub.with_access(access.clone()).with_one_worker(),
            stop_servers.clone().cancelled_owned(),
        )));
        tasks.spawn(until_stopped(serve_bucket(
            bucket_listener,
            Bucket::new(blobs, access),
            stop_servers.clone().cancelled_owned(),
        )));
        Ok(Self {
            hub: Arc::new(hub_client(hub_address, &token)?),
            bucket: bucket_client(bucket_address, &token)?,
            token,
            hub_address,
            bucket_address,
            stop_worker: CancellationToken::new(),
            stop_servers,
            tasks,
            printed: Arc::default(),
            _folder: temporary,
        })
    }

    /// Makes another client of the bucket.
    pub(crate) fn client_of_bucket(&self) -> Result<BucketClient, CommandError> {
        bucket_client(self.bucket_address, &self.token)
    }

    /// Starts a worker that serves these scopes.
    pub(crate) async fn start_worker(
        &mut self,
        prepared: Prepared,
        scopes: Vec<String>,
        network: Network,
        wall: WallMode,
    ) -> Result<(), CommandError> {
        let hub = hub_client(self.hub_address, &self.token)?;
        let bucket = self.client_of_bucket()?;
        let config = worker_config(prepared, scopes, network, wall, &hub, &bucket).await?;
        let config = WorkerConfig { drain: Duration::ZERO, printed: Arc::clone(&self.printed), ..config };
        let stop = self.stop_worker.clone();
        self.tasks
            .spawn(async move { Ok(bue_worker::run(config, hub, bucket, stop).await.context("the worker failed")?) });
        Ok(())
    }

    /// Stops all services and deletes a temporary folder.
    pub(crate) async fn stop(mut self) {
        self.stop_worker.cancel();
        self.stop_servers.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A server ends only because it was stopped, so its end is never an error.
pub(crate) async fn until_stopped(server: impl Future<Output = ()>) -> Result<(), CommandError> {
    server.await;
    Ok(())
}

/// Waits until a service ends on its own, which none should, and returns the reason.
pub(crate) async fn first_failure(services: &mut JoinSet<Result<(), CommandError>>) -> CommandError {
    match services.join_next().await {
        Some(Ok(Err(error))) => error,
        Some(Ok(Ok(()))) | None => CommandError::Environment(anyhow!("hub, bucket or worker ended early")),
        Some(Err(error)) => {
            CommandError::Environment(anyhow::Error::new(error).context("hub, bucket or worker panicked"))
        }
    }
}

/// A temporary folder needs no fsync, because nothing in it is needed after a power failure; a folder that the user keeps does.
fn open_state_folder(data: Option<&Path>) -> Result<StateFolder, CommandError> {
    if let Some(data) = data {
        fs::create_dir_all(data).with_context(|| format!("failed to create {}", data.display()))?;
        return Ok(StateFolder { path: data.to_owned(), durability: Durability::Full, temporary: None });
    }
    let folder = tempfile::Builder::new().prefix("bue-").tempdir().context("failed to create a temporary folder")?;
    Ok(StateFolder { path: folder.path().to_owned(), durability: Durability::Off, temporary: Some(folder) })
}

async fn bind() -> Result<(TcpListener, SocketAddr), CommandError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen on 127.0.0.1")?;
    let address = listener.local_addr().context("failed to listen on 127.0.0.1")?;
    Ok((listener, address))
}

fn hub_client(address: SocketAddr, token: &str) -> Result<HubClient, CommandError> {
    let client = HubClient::with_options(&[address.to_string()], ClientOptions::with_token(token));
    Ok(client.context("failed to make a client of the hub")?)
}

fn bucket_client(address: SocketAddr, token: &str) -> Result<BucketClient, CommandError> {
    let client = BucketClient::with_options(&address.to_string(), ClientOptions::with_token(token));
    Ok(client.context("failed to make a client of the bucket")?)
}
