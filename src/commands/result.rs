//! `bue result RUN`.

use anyhow::Context;
use bue_model::{RunId, RunState};
use clap::Args;

use crate::commands::remote::Servers;
use crate::commands::target::run_id;
use crate::reactor::{block_on, interruptible};
use crate::results::ResultWriter;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::say;

/// Prints the results of a run.
///
/// One line of JSON for each call statement of the script, in its order; with --json one object with the failed jobs
/// too. A run that goes on has the results it has so far. The exit code is 1 if the run failed or was cancelled.
#[derive(Debug, Args)]
pub(crate) struct Results {
    /// Id of the run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// One JSON object: run, state, results, failed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

impl Results {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let (hub, bucket) = self.servers.connect(&settings).await?;
            let page = hub.result_page(self.run, Default::default()).await.context("failed to read the results")?;
            let state = page.state;
            let writer = ResultWriter::new(&hub, &bucket, self.run);
            match self.json {
                true => writer.object(page).await?,
                false => writer.lines(page, |_| true).await?,
            }
            if state == RunState::Running {
                say("bue: the run goes on; these are its results so far");
            }
            expect_success(state)
        }))
    }
}

/// A run that failed or was called off is the user's program's business: code 1.
pub(crate) fn expect_success(state: RunState) -> Result<(), Stop> {
    match state {
        RunState::Running | RunState::Completed => Ok(()),
        RunState::Failed | RunState::Cancelled => Err(Stop::Program),
    }
}
