//! `bue result RUN`.

use anyhow::Context;
use bue_model::RunState;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::{ClientFlags, Clients};
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;
use crate::runs::outcome::expect_success;
use crate::runs::results::ResultWriter;

/// Prints the results of a run.
///
/// Prints what `bue run` prints: one line of JSON for each call whose result nothing else in the script uses; with --json, one
/// object with all results and the failed jobs. While the run continues, prints the results so far. The exit code is 1 if the
/// run failed or was cancelled.
#[derive(Debug, Args)]
pub(crate) struct Results {
    /// The run: its id, the first digits of it, or `last`
    run: RunName,
    /// Print one JSON object: run, state, results, failed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Results {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let Clients { hub, bucket } = self.servers.connect(&settings).await?;
            let run = self.run.resolve(&hub).await?;
            let page = hub.result_page(run, Default::default()).await.context("failed to read the results")?;
            let state = page.state;
            let writer = ResultWriter::new(&hub, &bucket, run);
            match self.json {
                true => writer.write_object(page).await?,
                false => writer.write_lines(page).await?,
            }
            if state == RunState::Running {
                eprint_line("bue: the run has not ended; these are its results so far");
            }
            expect_success(state)
        }))
    }
}
