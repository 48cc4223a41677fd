//! `bue worker`.

use std::time::Duration;

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::wire::Heartbeat;
use bue_worker::WorkerConfig;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::allow::AllowFlags;
use crate::commands::remote::Servers;
use crate::commands::serve::LogFlag;
use crate::local::prepare;
use crate::memory::memory;
use crate::reactor::{block_on, interruptible, told_to_stop};
use crate::services::{DEFAULT_SLOTS, worker_config};
use crate::setting::{BUCKET, REVERSE, SCOPES, SLOTS};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{say, start_logging};

/// Scopes served where nobody says otherwise, as they were before bue.
const DEFAULT_SCOPES: &str = "production-very-heavy,production-heavy,production-medium,production-small,\
                              testing-heavy,testing-medium,testing-small,default";

/// Between two tries to reach a hub that does not answer.
const HUB_AWAY: Duration = Duration::from_secs(1);

/// Takes jobs from a hub and runs their steps, each in a fresh sandbox.
///
/// Ctrl-C, or a polite kill, makes it finish what it can within ten seconds and give the rest back; Ctrl-C once more ends it
/// at once.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    servers: Servers,
    /// Run every step in a sandbox. This is the default, and there is no other mode: the flag says it aloud
    #[arg(long)]
    sandbox: bool,
    /// Scopes to serve, first ones first, separated by commas [default: PIPE_WORKER_SCOPES]
    #[arg(short = 's', long, value_name = "SCOPE,...")]
    scopes: Option<String>,
    /// Serve the last scope, the lowest priority and the youngest job first
    #[arg(long)]
    reverse: bool,
    /// Jobs to hold at a time at most, waiting ones included [default: 10000]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Memory its steps may have when it takes another job, `8GiB` [default: half of the machine's]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    #[command(flatten)]
    allow: AllowFlags,
    #[command(flatten)]
    log: LogFlag,
}

impl Worker {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let scopes = self.scopes(&settings)?;
        let slots = self.slots(&settings)?;
        let memory_bytes = memory(self.memory.as_deref(), &settings)?;
        let reverse = self.reverse || settings.switch(REVERSE)?;
        let cache = settings.cache_dir()?;
        let network = self.allow.network(&settings)?;
        if self.sandbox {
            say("bue: every step runs in a sandbox");
        }
        start_logging("info", self.log.format(&settings)?);
        block_on(async {
            let (hub, bucket) = interruptible(self.connect(&settings)).await?;
            let prepared = interruptible(prepare(cache)).await?;
            let config = worker_config(prepared, scopes, network, &hub, &bucket);
            let config = WorkerConfig { slots, memory_bytes, reverse, ..interruptible(config).await? };
            let stop = CancellationToken::new();
            tokio::spawn(cancel(stop.clone(), told_to_stop()));
            say(&format!("bue: worker {} serves {}", config.name, config.scopes.join(", ")));
            Ok(bue_worker::run(config, hub, bucket, stop).await.context("the worker failed")?)
        })
    }

    /// Clients of hub and bucket. A worker that has to ask the hub for the bucket waits for one to be there.
    async fn connect(&self, settings: &Settings) -> Result<(HubClient, BucketClient), Stop> {
        let hub = self.servers.hub.client(settings)?;
        expect_to_be_let_in(&hub).await?;
        let told = match self.servers.bucket.address(settings)? {
            Some(address) => Some(address),
            None => ask_for_bucket(&hub).await?,
        };
        let address = told.unwrap_or_else(|| settings.address(BUCKET));
        let bucket = self.servers.bucket_client(&address, settings)?;
        Ok((hub, bucket))
    }

    fn scopes(&self, settings: &Settings) -> Result<Vec<String>, Stop> {
        let named = named_scopes(self.scopes.as_deref(), settings)?;
        Ok(named.unwrap_or_else(|| DEFAULT_SCOPES.split(',').map(str::to_owned).collect()))
    }

    fn slots(&self, settings: &Settings) -> Result<usize, Stop> {
        let set = settings.text(SLOTS).map(|text| {
            text.parse().map_err(|_| Stop::Usage(format!("`{text}` is no number of slots; set BUE_SLOTS to a number")))
        });
        let slots = self.slots.map_or_else(|| set.unwrap_or(Ok(DEFAULT_SLOTS)), Ok)?;
        match slots {
            0 => Err(Stop::Usage("a worker needs at least one slot".to_owned())),
            slots => Ok(slots),
        }
    }
}

/// A token that is wrong, one of another role, and a hub of another release stay so: said now and not with every request for
/// jobs. A hub that is away is waited for. A heartbeat without jobs asks for all of that and changes nothing.
async fn expect_to_be_let_in(hub: &HubClient) -> Result<(), Stop> {
    let nothing = Heartbeat { worker: "a worker that starts".to_owned(), leases: Vec::new() };
    match hub.heartbeat(&nothing).await {
        Err(error) if !error.is_passing() => {
            Err(anyhow::Error::new(error).context("the hub refused this worker").into())
        }
        _ => Ok(()),
    }
}

async fn ask_for_bucket(hub: &HubClient) -> Result<Option<String>, Stop> {
    loop {
        match hub.bucket().await {
            Err(error) if error.is_passing() => {
                say(&format!("bue: {error}; asking again"));
                tokio::time::sleep(HUB_AWAY).await;
            }
            told => return Ok(told.context("failed to ask the hub where the bucket is")?),
        }
    }
}

/// The scopes that a flag names, or else a setting, if one does.
pub(crate) fn named_scopes(flag: Option<&str>, settings: &Settings) -> Result<Option<Vec<String>>, Stop> {
    let Some(text) = flag.map(str::to_owned).or_else(|| settings.text(SCOPES)) else { return Ok(None) };
    let scopes: Vec<String> = text.split(',').map(|scope| scope.trim().to_owned()).collect();
    match scopes.iter().any(String::is_empty) {
        true => Err(Stop::Usage(format!("`{text}` has an empty scope; type SCOPE or SCOPE,SCOPE"))),
        false => Ok(Some(scopes)),
    }
}

async fn cancel(stop: CancellationToken, told: impl Future<Output = ()>) {
    told.await;
    stop.cancel();
}
