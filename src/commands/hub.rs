//! `bue hub`.

use std::sync::Arc;

use anyhow::Context;
use bue_hub::{Durability, Hub as Server, JobStore, PostgresStore, SqliteStore, serve_hub};
use bue_model::BlobHash;
use clap::Args;

use crate::address::listen_address;
use crate::commands::remote::BucketFlag;
use crate::commands::serve::{listen, store_path};
use crate::reactor::{block_on, interrupted};
use crate::settings::{HUB_LISTEN, HUB_STORE, Settings};
use crate::stop::Stop;
use crate::talk::{say, start_logging};

/// Beside wherever the hub is started.
const DEFAULT_STORE: &str = "sqlite:bue.db";

/// Keeps runs and hands their jobs to workers.
///
/// With -k it says at once whether that bucket can be reached.
#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// Where to listen [default: PIPELINE_HOST and _PORT, else 127.0.0.1:65432]
    #[arg(short = 'b', long = "bind", value_name = "HOST:PORT")]
    bind: Option<String>,
    #[command(flatten)]
    bucket: BucketFlag,
    /// The database: sqlite:PATH or postgres:URL, which any number of hubs may share [default: sqlite:bue.db]
    #[arg(long)]
    store: Option<String>,
}

impl Hub {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let address = listen_address(&self.bind.clone().unwrap_or_else(|| settings.address(HUB_LISTEN)), "-b")?;
        let store = self.store.clone().or_else(|| settings.text(HUB_STORE)).unwrap_or_else(|| DEFAULT_STORE.to_owned());
        start_logging("info");
        block_on(async {
            if self.bucket.is_given() {
                say_whether_reachable(&self.bucket, &settings).await?;
            }
            let (opened, place) = open(&store).await?;
            let (listener, address) = listen(address).await?;
            say(&format!("bue: the hub listens on {address}, its database is {place}"));
            serve_hub(listener, Server::new(opened), interrupted()).await;
            Ok(())
        })
    }
}

/// The store, and its place without a password.
async fn open(store: &str) -> Result<(Arc<dyn JobStore>, String), Stop> {
    if let Some(url) = postgres_url(store) {
        let opened = PostgresStore::connect(url).await.context("failed to open the PostgreSQL database of --store")?;
        return Ok((Arc::new(opened), "PostgreSQL".to_owned()));
    }
    let path = store_path(store, "sqlite")?;
    let opened = SqliteStore::open(&path, Durability::Full);
    let opened = opened.with_context(|| format!("failed to open the database {}", path.display()))?;
    Ok((Arc::new(opened), path.display().to_string()))
}

/// `postgres://…` as it is, and what stands behind `postgres:` in `postgres:postgres://…` and `postgres:host=… dbname=…`.
fn postgres_url(store: &str) -> Option<&str> {
    if store.starts_with("postgres://") || store.starts_with("postgresql://") {
        return Some(store);
    }
    store.strip_prefix("postgres:").filter(|url| !url.is_empty())
}

/// The hub itself never opens the bucket. But whoever names it wants to know whether it is there.
async fn say_whether_reachable(bucket: &BucketFlag, settings: &Settings) -> Result<(), Stop> {
    let client = bucket.client(settings)?;
    if let Err(error) = client.has(&BlobHash([0; 32])).await {
        say(&format!("bue: warning: {error}; workers and clients will need it"));
    }
    Ok(())
}
