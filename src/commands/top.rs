//! `bue top [RUN]`.

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use bue_client::HubClient;
use clap::Args;

use crate::config::duration::parse_duration;
use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::top::app::show;
use crate::top::json::print_reports;
use crate::top::snapshot::Selection;

/// The shortest and the longest interval: the hub works for each request, and longer pauses are a mistake.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(86_400));

/// Shows the steps of a run as a table that updates itself, or those of the open runs.
///
/// For each step: the jobs that are done and how many per second, how long half of its attempts took (p50) and 95 of 100 (p95),
/// the CPU time of all attempts, the most memory of one, `pending` answers, retries and failed jobs. Enter shows the errors of the
/// selected step, l its log; / filters, s sorts, r reverses, q quits.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The run: its id, the first digits of it, or `last` [default: the open runs, 20 at most]
    run: Option<RunName>,
    /// The time between two updates, from 100ms to 1d
    #[arg(long, value_name = "TIME", default_value = "2s")]
    every: String,
    /// Print a JSON object per line and update: at, error, runs, steps. With RUN, ends with the run: exit code 0 if it completed, 1
    /// if it failed or was cancelled
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Top {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let every = self.interval()?;
        let is_on_terminal = stdin().is_terminal() && stdout().is_terminal();
        if !(self.json || is_on_terminal) {
            return Err(CommandError::Usage(
                "`bue top` needs a terminal; type `bue top --json` for a line of JSON per update, or `bue status -s` for a table every \
                 three seconds"
                    .to_owned(),
            ));
        }
        let settings = Settings::load()?;
        block_on(interruptible(async {
            if self.json {
                let hub = self.servers.hub.client(&settings)?;
                return print_reports(&hub, self.selection(&hub).await?, every).await;
            }
            let clients = self.servers.connect(&settings).await?;
            let selection = self.selection(&clients.hub).await?;
            show(clients, selection, every).await
        }))
    }

    fn interval(&self) -> Result<Duration, CommandError> {
        let every = parse_duration(&self.every, "--every")?;
        let (shortest, longest) = INTERVALS;
        match (shortest..=longest).contains(&every) {
            true => Ok(every),
            false => Err(CommandError::Usage(format!("--every {} is out of range: 100ms to 1d", self.every))),
        }
    }

    async fn selection(&self, hub: &HubClient) -> Result<Selection, CommandError> {
        match &self.run {
            Some(run) => run.resolve(hub).await.map(Selection::Run),
            None => Ok(Selection::Open),
        }
    }
}
