//! `bue wait RUN`.

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::{RunId, RunState};
use clap::Args;

use crate::commands::remote::Servers;
use crate::commands::result::expect_success;
use crate::commands::target::run_id;
use crate::failures::say_failures;
use crate::follow::follow;
use crate::progress::Progress;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::say;

/// Waits until a run has ended, and shows how it goes.
///
/// The exit code is 0 if it completed, 1 if it failed or was cancelled. Ctrl-C stops the waiting, not the run.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Id of the run
    #[arg(value_parser = run_id)]
    run: RunId,
    #[command(flatten)]
    servers: Servers,
}

impl Wait {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let state = block_on(interruptible(async {
            let (hub, bucket) = self.servers.connect(&settings).await?;
            wait(&hub, &bucket, self.run).await
        }))?;
        say(&format!("run {} {}", self.run, state.name()));
        expect_success(state)
    }
}

/// Waits for a run's end and says what failed in it.
pub(crate) async fn wait(hub: &HubClient, bucket: &BucketClient, run: RunId) -> Result<RunState, Stop> {
    let mut progress = Progress::new();
    let view = follow(hub, run, &mut progress).await?;
    progress.finish();
    if view.state == RunState::Failed {
        let page = hub.result_page(run, Default::default()).await.context("failed to ask what failed")?;
        say_failures(bucket, &page.failed, &view).await;
    }
    Ok(view.state)
}
