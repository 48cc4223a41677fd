//! `bue logs JOB`.

use anyhow::{Context, anyhow};
use bue_model::{JobId, ValueRef};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::target::parse_job_id;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::print_text;

/// Prints the log of a job's last attempt: everything that the step printed.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Number of the job
    #[arg(value_parser = parse_job_id)]
    job: JobId,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Logs {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let log = block_on(interruptible(async {
            let clients = self.servers.connect(&settings).await?;
            match clients.hub.logs(self.job).await.context("failed to look up the log")? {
                None => Ok(Vec::new().into()),
                Some(ValueRef::Inline(bytes)) => Ok(bytes),
                Some(ValueRef::Blob(blob)) => Ok(clients.bucket.get(&blob).await.context("failed to fetch the log")?),
                Some(ValueRef::List(_)) => Err(CommandError::Environment(anyhow!("the stored log is not text"))),
            }
        }))?;
        print_text(&String::from_utf8_lossy(&log))
    }
}
