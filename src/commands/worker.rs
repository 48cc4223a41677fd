//! `bue worker`.

use std::time::Duration;

use anyhow::Context;
use bue_client::{Backoff, ClientError, HubClient};
use bue_model::wire::{ANTI_STARVATION_INTERVAL, Heartbeat, WorkerStatus};
use bue_runtime::DatabasesConfig;
use bue_worker::{EndConditions, WorkerConfig};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::config::duration::parse_duration;
use crate::config::memory::memory_bytes;
use crate::config::setting::{ANTI_STARVATION, REVERSE, SLOTS};
use crate::config::settings::Settings;
use crate::flags::allow::AllowFlags;
use crate::flags::client::{ClientFlags, Clients};
use crate::flags::scopes::scopes;
use crate::flags::server::LogFlag;
use crate::flags::wall::WallFlag;
use crate::local::explain_wall::explain_wall;
use crate::local::worker::{DEFAULT_SLOTS, all_scopes, worker_config};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::logging::start_logging;
use crate::process::output::eprint_line;
use crate::process::random::new_worker_name;
use crate::process::signals::shutdown_signal;
use crate::sandbox::prepare_sandbox;

/// Takes jobs from a hub and runs their steps, each in a fresh sandbox.
///
/// On Ctrl-C or SIGTERM it finishes what it can within ten seconds and releases the other jobs; a second Ctrl-C ends it at
/// once.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    servers: ClientFlags,
    /// Run every step in a sandbox. This is always so; the flag only makes it explicit
    #[arg(long)]
    sandbox: bool,
    /// Scopes to serve, in order of preference, separated by commas [default: PIPE_WORKER_SCOPES, else the scopes of the token,
    /// else those of Buelon and `default`]
    #[arg(short = 's', long, value_name = "SCOPE,...")]
    scopes: Option<String>,
    /// Prefer the last scope, the lowest priority and the youngest job
    #[arg(long)]
    reverse: bool,
    /// Of N jobs, take one that would be taken last, so that low scopes and priorities do not starve; `off` to never do so
    /// [default: BUE_ANTI_STARVATION, else 16]
    #[arg(long, value_name = "N|off")]
    anti_starvation: Option<String>,
    /// The beginning of the worker's name, to which four random hexadecimal digits are added: workers are told apart by their names [default:
    /// machine and process id]
    #[arg(long, value_name = "NAME", value_parser = worker_name)]
    name: Option<String>,
    /// End when there has been no job for so long, such as `30s`
    #[arg(long, value_name = "DURATION")]
    until_idle: Option<String>,
    /// End after N jobs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_jobs: Option<u64>,
    /// Shut down after so long, such as `12h`, as on SIGTERM
    #[arg(long, value_name = "DURATION")]
    max_time: Option<String>,
    /// The most jobs to hold at a time, including jobs that wait [default: 10000]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Memory that steps may use before the worker stops taking jobs, such as `8GiB` [default: half of the machine's]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    #[command(flatten)]
    allow: AllowFlags,
    #[command(flatten)]
    wall: WallFlag,
    /// Print which parts of the wall around sandboxes this machine offers, and how to get the others, and exit
    #[arg(long)]
    explain_wall: bool,
    #[command(flatten)]
    log: LogFlag,
    #[command(flatten)]
    buelon: BuelonFlags,
}

/// Flags of Buelon that have no effect here.
#[derive(Debug, Args)]
struct BuelonFlags {
    #[arg(short = 'j', value_name = "BOOL", hide = true)]
    subprocesses: Option<String>,
    #[arg(short = 'a', long = "all", hide = true)]
    working: bool,
}

impl BuelonFlags {
    fn print_notes(&self) {
        if self.subprocesses.is_some() {
            eprint_line("bue: -j has no effect: every step runs in a sandbox of its own");
        }
        if self.working {
            eprint_line("bue: -a has no effect: the jobs of a worker that died are available again after ten seconds");
        }
    }
}

impl Worker {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let wall = self.wall.mode(&settings)?;
        if self.explain_wall {
            return explain_wall(wall);
        }
        self.buelon.print_notes();
        let scopes = scopes(self.scopes.as_deref(), &settings)?;
        let anti_starvation_interval = self.anti_starvation_interval(&settings)?;
        let slots = self.slots(&settings)?;
        let memory_bytes = memory_bytes(self.memory.as_deref(), &settings)?;
        let end = EndConditions { idle: duration(self.until_idle.as_deref(), "--until-idle")?, jobs: self.max_jobs };
        let max_time = duration(self.max_time.as_deref(), "--max-time")?;
        let name = new_worker_name(self.name.as_deref())?;
        let reverse = self.reverse || settings.switch(REVERSE)?;
        let cache = settings.cache_dir()?;
        let network = self.allow.network(&settings)?;
        if self.sandbox {
            eprint_line("bue: every step runs in a sandbox");
        }
        start_logging("info", self.log.format(&settings)?);
        block_on(async {
            let Clients { hub, bucket } = interruptible(self.connect(&settings)).await?;
            let scopes = match scopes {
                Some(scopes) => scopes,
                None => interruptible(default_scopes(&hub)).await?,
            };
            let prepared = interruptible(prepare_sandbox(cache)).await?;
            let config = interruptible(worker_config(prepared, scopes, network, wall, &hub, &bucket)).await?;
            let config = WorkerConfig { name, slots, memory_bytes, reverse, anti_starvation_interval, end, ..config };
            tokio::spawn(warn_of_refused_roles(config.databases.clone()));
            let stop = CancellationToken::new();
            tokio::spawn(cancel_on(shutdown_signal(), stop.clone()));
            if let Some(max_time) = max_time {
                tokio::spawn(cancel_on(tokio::time::sleep(max_time), stop.clone()));
            }
            eprint_line(&format!("bue: worker {} serves {}", config.name, config.scopes.join(", ")));
            Ok(bue_worker::run(config, hub, bucket, stop).await.context("the worker failed")?)
        })
    }

    /// Makes clients of hub and bucket. If only the hub knows the bucket's address, waits for the hub.
    async fn connect(&self, settings: &Settings) -> Result<Clients, CommandError> {
        let hub = self.servers.hub.client(settings)?;
        expect_admission(&hub).await?;
        let address = match self.servers.bucket.address(settings)? {
            Some(address) => Some(address),
            None => until_answered(|| hub.bucket()).await?,
        };
        Ok(Clients { bucket: self.servers.bucket_client(address, settings)?, hub })
    }

    fn anti_starvation_interval(&self, settings: &Settings) -> Result<u32, CommandError> {
        let Some(text) = self.anti_starvation.clone().or_else(|| settings.text(ANTI_STARVATION)) else {
            return Ok(ANTI_STARVATION_INTERVAL);
        };
        let number = if text == "off" { Some(0) } else { text.parse().ok().filter(|number| *number > 0) };
        number.ok_or_else(|| {
            CommandError::Usage(format!(
                "`{text}` is not a share; set --anti-starvation to a number of at least 1, or to `off`"
            ))
        })
    }

    fn slots(&self, settings: &Settings) -> Result<usize, CommandError> {
        let slots = match (self.slots, settings.text(SLOTS)) {
            (Some(slots), _) => slots,
            (None, None) => DEFAULT_SLOTS,
            (None, Some(text)) => text.parse().map_err(|_| {
                CommandError::Usage(format!("`{text}` is not a number of slots; set {} to a number", SLOTS.name()))
            })?,
        };
        match slots {
            0 => Err(CommandError::Usage("a worker needs at least one slot".to_owned())),
            slots => Ok(slots),
        }
    }
}

fn duration(text: Option<&str>, flag: &str) -> Result<Option<Duration>, CommandError> {
    text.map(|text| parse_duration(text, flag)).transpose()
}

fn worker_name(text: &str) -> Result<String, String> {
    let is_valid = (1..=100).contains(&text.len()) && text.chars().all(|char| !char.is_control());
    is_valid.then(|| text.to_owned()).ok_or_else(|| "a name has 1 to 100 bytes, and no control characters".to_owned())
}

/// Returns the scopes of the token, and reports them; those of Buelon if the token is for all scopes, or if there is none.
async fn default_scopes(hub: &HubClient) -> Result<Vec<String>, CommandError> {
    let scopes = until_answered(|| hub.info()).await?.scopes;
    if scopes.is_empty() {
        return Ok(all_scopes());
    }
    eprint_line("bue: no scopes are set; using those of the token");
    Ok(scopes)
}

/// Fails if the hub refuses this worker: a wrong token, a token of another role, or a hub of another release will not change,
/// so this is reported once instead of with every request for jobs. A hub that is unreachable may come back.
///
/// A heartbeat without leases needs the same permissions as a request for jobs, and changes nothing.
async fn expect_admission(hub: &HubClient) -> Result<(), CommandError> {
    let heartbeat =
        Heartbeat { worker: "a worker that starts".to_owned(), leases: Vec::new(), status: WorkerStatus::default() };
    match hub.heartbeat(&heartbeat).await {
        Err(error) if !error.is_transient() => {
            Err(anyhow::Error::new(error).context("the hub refused this worker").into())
        }
        _ => Ok(()),
    }
}

/// Sends a request until the hub can be reached.
async fn until_answered<T, F>(request: impl Fn() -> F) -> Result<T, CommandError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut backoff = Backoff::default();
    loop {
        match request().await {
            Err(error) if error.is_transient() => {
                eprint_line(&format!("bue: {error}; trying again"));
                backoff.wait().await;
            }
            answer => return Ok(answer.context("failed to ask the hub for its settings")?),
        }
    }
}

/// Logs which databases steps will not use, so that this is known before the first step fails.
async fn warn_of_refused_roles(databases: DatabasesConfig) {
    for reason in databases.refused_roles().await {
        tracing::warn!("postgres steps will fail. {reason}");
    }
}

async fn cancel_on(signal: impl Future<Output = ()>, token: CancellationToken) {
    signal.await;
    token.cancel();
}
