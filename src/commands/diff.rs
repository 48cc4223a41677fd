//! `bue diff RUN1 RUN2`.

use anyhow::Context;
use bue_client::HubClient;
use bue_hub::{JobDigests, RunDifference, difference};
use bue_model::rerun::RunPlanView;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_json, print_line};
use crate::runs::difference::difference_lines;
use crate::runs::job_digests::job_digests;

/// Compares two runs: pipeline, parameters, steps with their code and settings, and the results of their jobs.
///
/// Results are compared as they are stored, without reading them. Like `diff`, the exit code is 0 if the runs are the same, and 1
/// if they differ.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A run: its id, the first digits of it, or `last`
    run1: RunName,
    /// The run to compare it with
    run2: RunName,
    /// Print one JSON object: run1, run2, same, pipeline, params, steps, jobs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Diff {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let difference = block_on(interruptible(async {
            let (first, second) = (self.read(&hub, &self.run1).await?, self.read(&hub, &self.run2).await?);
            Ok(difference(&first, &second))
        }))?;
        self.print(&difference)?;
        if difference.same { Ok(()) } else { Err(CommandError::ProgramFailed) }
    }

    async fn read(&self, hub: &HubClient, name: &RunName) -> Result<(RunPlanView, JobDigests), CommandError> {
        let run = name.resolve(hub).await?;
        let plan = hub.run_plan(run).await.context("failed to read the plan of a run")?;
        let jobs = job_digests(hub, run).await.context("failed to read the jobs of a run")?;
        Ok((plan, jobs))
    }

    fn print(&self, difference: &RunDifference) -> Result<(), CommandError> {
        if self.json {
            return print_json(difference);
        }
        if difference.same {
            eprint_line("bue: the runs are the same");
        }
        difference_lines(difference).iter().try_for_each(|line| print_line(line))
    }
}
