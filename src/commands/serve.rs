//! `bue serve [FILE...]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bue_client::{BucketClient, ClientOptions, HubClient};
use bue_hub::{Access, Bucket, Hub, TelemetryConfig, serve_bucket, serve_hub};
use bue_worker::WorkerConfig;
use clap::Args;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::address::listen_address;
use crate::config::network::Network;
use crate::config::setting::{BUCKET_LISTEN, BUCKET_STORE, HUB_LISTEN, HUB_STORE, KEEP, KEEP_AUDIT};
use crate::config::settings::Settings;
use crate::flags::allow::AllowFlags;
use crate::flags::client::Clients;
use crate::flags::server::{LogFlag, ReportFlag, TokensFlag, WebFlag};
use crate::flags::wall::WallFlag;
use crate::local::services::{first_failure, until_stopped};
use crate::local::watch::FolderWatch;
use crate::local::worker::{all_scopes, worker_config};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::logging::start_logging;
use crate::process::output::eprint_line;
use crate::process::random::new_token;
use crate::process::signals::shutdown_signal;
use crate::runs::publish::{pipeline_name, publish};
use crate::sandbox::prepare_sandbox;
use crate::script::check::load_pipeline;
use crate::server::bucket_store::open_bucket_store;
use crate::server::bundles::BucketBundles;
use crate::server::hub_store::open_hub_store;
use crate::server::listener::bind;
use crate::server::own_settings::{OwnSetting, hub_settings};
use crate::server::retention::{DEFAULT_KEEP, DEFAULT_KEEP_AUDIT, Retention, parse_keep};
use crate::server::telemetry::{started, telemetry};

/// Between two looks at the folders of the scripts.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Runs hub, bucket and worker in one process, with scripts published.
///
/// Each file becomes a pipeline of its name, as with `bue publish`. On Ctrl-C or SIGTERM the worker finishes what it can within ten
/// seconds. For TLS, several workers or a database in PostgreSQL, run `bue hub`, `bue bucket` and `bue worker` instead.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Scripts to publish
    files: Vec<PathBuf>,
    /// Where the hub listens [default: PIPELINE_HOST and _PORT, else 127.0.0.1:65432]
    #[arg(short = 'b', long = "bind", value_name = "HOST:PORT")]
    bind: Option<String>,
    /// Where the bucket listens [default: BUCKET_SERVER_HOST and _PORT, else 127.0.0.1:61535]
    #[arg(long, value_name = "HOST:PORT")]
    bucket_bind: Option<String>,
    /// The folder with the state of hub and bucket
    #[arg(long, value_name = "DIR", default_value = "bue-data")]
    data: PathBuf,
    /// Publish a script again when a file in its folder changes
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    report: ReportFlag,
    #[command(flatten)]
    web: WebFlag,
    #[command(flatten)]
    tokens: TokensFlag,
    #[command(flatten)]
    allow: AllowFlags,
    #[command(flatten)]
    wall: WallFlag,
    #[command(flatten)]
    log: LogFlag,
}

/// The servers of this process. They are stopped after the worker.
struct Servers {
    tasks: JoinSet<Result<(), CommandError>>,
    stop: CancellationToken,
    hub: SocketAddr,
    bucket: SocketAddr,
    token: String,
}

impl Serve {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Arc::new(Settings::load()?);
        let access = Access::from_token_file(self.tokens.path(&settings)).context("failed to read the tokens")?;
        let address = |flag: &Option<String>, setting, name| {
            let text = flag.clone().unwrap_or_else(|| settings.address(setting));
            listen_address(&text, name, &access)
        };
        let hub = address(&self.bind, HUB_LISTEN, "-b")?;
        let bucket = address(&self.bucket_bind, BUCKET_LISTEN, "--bucket-bind")?;
        let network = self.allow.network(&settings)?;
        let telemetry = telemetry(self.report.statsd.clone(), &settings)?;
        start_logging("info", self.log.format(&settings)?);
        block_on(async {
            let shutdown = shutdown_signal();
            let mut servers = self.start_servers(&settings, access, (hub, bucket), telemetry).await?;
            let clients = servers.clients()?;
            let published = interruptible(self.publish_all(&settings, &clients)).await;
            let worker = match published {
                Ok(()) => self.worker_config(&settings, network, &clients).await,
                Err(error) => Err(error),
            };
            let stop = CancellationToken::new();
            let worker = bue_worker::run(worker?, clients.hub, clients.bucket, stop.clone());
            let watch = self.watch_files(&settings, servers.clients()?);
            let mut worker = core::pin::pin!(worker);
            tokio::select! {
                ended = &mut worker => ended.context("the worker failed")?,
                error = first_failure(&mut servers.tasks) => return Err(error),
                error = watch => return Err(error),
                () = shutdown => {
                    stop.cancel();
                    worker.await.context("the worker failed")?;
                }
            }
            servers.stop().await;
            Ok(())
        })
    }

    async fn start_servers(
        &self,
        settings: &Settings,
        access: Access,
        (hub, bucket): (SocketAddr, SocketAddr),
        telemetry: TelemetryConfig,
    ) -> Result<Servers, CommandError> {
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("failed to create the folder {}", self.data.display()))?;
        let store = open_hub_store(&self.address("sqlite", "hub.db"), settings).await?.store;
        let blobs = open_bucket_store(&self.address("dir", "blobs"), None, settings).await?;
        let token = new_token()?;
        // also while there are no tokens: a tokens file may be made later
        let access = access.with_own_token(&token);
        let (hub, hub_address) = listen(hub, "hub").await?;
        let (bucket, bucket_address) = listen(bucket, "bucket").await?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        self.web.announce(&hub_address.to_string(), &access);
        let server = self.web.apply(Hub::new(Arc::clone(&store))).with_access(access.clone());
        // clients replace `localhost` by the name under which they know the hub
        let server = server.with_bucket(Some(format!("localhost:{}", bucket_address.port())));
        let server = server.with_telemetry(started(telemetry, hub_address.port()));
        let server = server.with_settings(hub_settings(settings, self.own_settings(hub_address, bucket_address)));
        let server = server.with_bundles(Arc::new(BucketBundles(bucket_client(bucket_address, &token)?)));
        tasks.spawn(until_stopped(serve_hub(hub, server, stop.clone().cancelled_owned())));
        tasks.spawn(until_stopped(serve_bucket(bucket, Bucket::new(blobs, access), stop.clone().cancelled_owned())));
        let servers = Servers { tasks, stop, hub: hub_address, bucket: bucket_address, token };
        let bucket = Some(servers.clients()?.bucket);
        let keep = parse_keep(DEFAULT_KEEP, "--keep")?;
        let keep_audit = parse_keep(DEFAULT_KEEP_AUDIT, "--keep-audit")?;
        let retention = Retention { store, bucket, keep, keep_audit };
        tokio::spawn(retention.run());
        Ok(servers)
    }

    /// The address of a store in the folder.
    fn address(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}", self.data.join(name).display())
    }

    /// What this command decides itself, whatever is set: where hub and bucket listen, and how they keep their data.
    fn own_settings(&self, hub: SocketAddr, bucket: SocketAddr) -> Vec<OwnSetting> {
        let own = |setting, value: String, flag| OwnSetting { setting, value, flag };
        vec![
            own(HUB_LISTEN.whole, hub.to_string(), self.bind.as_ref().map(|_| "-b")),
            own(BUCKET_LISTEN.whole, bucket.to_string(), self.bucket_bind.as_ref().map(|_| "--bucket-bind")),
            own(HUB_STORE, self.address("sqlite", "hub.db"), Some("--data")),
            own(BUCKET_STORE, self.address("dir", "blobs"), Some("--data")),
            own(KEEP, DEFAULT_KEEP.to_owned(), Some("bue serve")),
            own(KEEP_AUDIT, DEFAULT_KEEP_AUDIT.to_owned(), Some("bue serve")),
        ]
    }

    async fn worker_config(
        &self,
        settings: &Settings,
        network: Network,
        clients: &Clients,
    ) -> Result<WorkerConfig, CommandError> {
        let (cache, wall) = (settings.cache_dir()?, self.wall.mode(settings)?);
        let prepared = interruptible(prepare_sandbox(cache)).await?;
        let config = worker_config(prepared, all_scopes(), network, wall, &clients.hub, &clients.bucket);
        let config = interruptible(config).await?;
        eprint_line(&format!("bue: worker {} serves {}", config.name, config.scopes.join(", ")));
        Ok(config)
    }

    async fn publish_all(&self, settings: &Arc<Settings>, clients: &Clients) -> Result<(), CommandError> {
        for file in &self.files {
            match publish_file(file, settings, clients).await {
                // its mistakes were printed, and it is published once they are gone
                Err(CommandError::ProgramFailed) if self.watch => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// Publishes a script again when a file in its folder has changed. Never ends without an error; a script with mistakes is none.
    async fn watch_files(&self, settings: &Arc<Settings>, clients: Clients) -> CommandError {
        if !self.watch {
            return core::future::pending().await;
        }
        let mut watched: Vec<(FolderWatch, Vec<&Path>)> = Vec::new();
        for file in &self.files {
            match watched.iter_mut().find(|(watch, _)| watch.is_of(file)) {
                Some((_, files)) => files.push(file),
                None => watched.push((FolderWatch::new(file, &self.data), vec![file])),
            }
        }
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            for (watch, files) in &mut watched {
                if !watch.has_changed() {
                    continue;
                }
                for file in files {
                    if let Err(error) = publish_changed(file, settings, &clients).await {
                        return error;
                    }
                }
            }
        }
    }
}

impl Servers {
    fn clients(&self) -> Result<Clients, CommandError> {
        let hub = HubClient::with_options(&[dialled(self.hub)], ClientOptions::with_token(&self.token));
        let hub = hub.context("failed to make a client of the hub")?;
        Ok(Clients { hub, bucket: bucket_client(self.bucket, &self.token)? })
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn bucket_client(address: SocketAddr, token: &str) -> Result<BucketClient, CommandError> {
    let client = BucketClient::with_options(&dialled(address), ClientOptions::with_token(token));
    Ok(client.context("failed to make a client of the bucket")?)
}

async fn listen(address: SocketAddr, what: &str) -> Result<(TcpListener, SocketAddr), CommandError> {
    let bound = bind(address, None).await?;
    let address = bound.listener.local_addr().context("failed to listen")?;
    eprint_line(&format!("bue: the {what} listens on {}", bound.client_address));
    Ok((bound.listener, address))
}

/// Where this process reaches its own server.
fn dialled(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address.to_string()
}

/// Publishes a script of which something has changed. A script with mistakes is no error.
async fn publish_changed(file: &Path, settings: &Arc<Settings>, clients: &Clients) -> Result<(), CommandError> {
    let reason = match publish_file(file, settings, clients).await {
        // its mistakes were printed
        Ok(()) | Err(CommandError::ProgramFailed) => return Ok(()),
        Err(CommandError::Usage(reason) | CommandError::NotFound(reason)) => reason,
        Err(CommandError::Environment(error)) => format!("{error:#}"),
        Err(error) => return Err(error),
    };
    eprint_line(&format!("bue: {} was not published: {reason}", file.display()));
    Ok(())
}

async fn publish_file(file: &Path, settings: &Arc<Settings>, clients: &Clients) -> Result<(), CommandError> {
    let name = pipeline_name(file, None)?;
    let (path, settings) = (file.to_owned(), Arc::clone(settings));
    // not on this thread, which serves: steps in Rust are compiled
    let script = tokio::task::spawn_blocking(move || load_pipeline(&path, &settings)).await;
    let script = script.context("failed to read the script")??;
    let published = publish(&name, script, &clients.hub, &clients.bucket).await?;
    let news = if published.created { "" } else { " (unchanged)" };
    eprint_line(&format!("bue: pipeline {name} version {}{news}", published.version));
    Ok(())
}
