//! `bue worker`.

use anyhow::Context;
use bue_worker::WorkerConfig;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::allow::{AllowFlags, Network};
use crate::commands::remote::{BucketFlag, HubFlag};
use crate::local::prepare;
use crate::reactor::{block_on, interrupted, interruptible};
use crate::services::{DEFAULT_SLOTS, worker_config};
use crate::settings::{POSTGRES, REVERSE, SCOPES, SLOTS, Settings};
use crate::stop::Stop;
use crate::talk::{say, start_logging};

/// Scopes served where nobody says otherwise, as they were before bue.
const DEFAULT_SCOPES: &str = "production-very-heavy,production-heavy,production-medium,production-small,\
                              testing-heavy,testing-medium,testing-small,default";

/// Takes jobs from a hub and runs their steps, each in a fresh sandbox.
///
/// Ctrl-C, or a polite kill, makes it finish what it can within ten seconds and give the rest back.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    hub: HubFlag,
    #[command(flatten)]
    bucket: BucketFlag,
    /// Run every step in a sandbox. This is the default, and there is no other mode: the flag says it aloud
    #[arg(long)]
    sandbox: bool,
    /// Scopes to serve, first ones first, separated by commas [default: PIPE_WORKER_SCOPES]
    #[arg(short = 's', long, value_name = "SCOPE,...")]
    scopes: Option<String>,
    /// Serve the last scope, the lowest priority and the youngest job first
    #[arg(long)]
    reverse: bool,
    /// Jobs to hold at a time, waiting ones included [default: 256]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    #[command(flatten)]
    allow: AllowFlags,
}

impl Worker {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let (hub, bucket) = (self.hub.client(&settings)?, self.bucket.client(&settings)?);
        let scopes = self.scopes(&settings)?;
        let slots = self.slots(&settings)?;
        let reverse = self.reverse || settings.switch(REVERSE);
        let cache = settings.cache_dir()?;
        let network = self.network(&settings)?;
        let egress = network.open()?;
        if self.sandbox {
            say("bue: every step runs in a sandbox");
        }
        start_logging("info");
        block_on(async {
            let prepared = interruptible(prepare(cache)).await?;
            let config = WorkerConfig { slots, reverse, ..worker_config(prepared, scopes, egress, network.limits)? };
            say(&format!("bue: worker {} serves {}", config.name, config.scopes.join(", ")));
            let stop = CancellationToken::new();
            tokio::spawn(cancel_when_told(stop.clone()));
            Ok(bue_worker::run(config, hub, bucket, stop).await.context("the worker failed")?)
        })
    }

    /// What steps may reach: hub, bucket and database are none of it, unless a rule says so.
    fn network(&self, settings: &Settings) -> Result<Network, Stop> {
        let mut network = self.allow.network(settings)?;
        network.keep_from(&self.hub.address(settings));
        network.keep_from(&self.bucket.address(settings));
        network.keep_from(&settings.address(POSTGRES));
        Ok(network)
    }

    fn scopes(&self, settings: &Settings) -> Result<Vec<String>, Stop> {
        let text = self.scopes.clone().or_else(|| settings.text(SCOPES)).unwrap_or_else(|| DEFAULT_SCOPES.to_owned());
        let scopes: Vec<String> = text.split(',').map(|scope| scope.trim().to_owned()).collect();
        match scopes.iter().any(String::is_empty) {
            true => Err(Stop::Usage(format!("`{text}` has an empty scope; type -s SCOPE or -s SCOPE,SCOPE"))),
            false => Ok(scopes),
        }
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

async fn cancel_when_told(stop: CancellationToken) {
    interrupted().await;
    stop.cancel();
}
