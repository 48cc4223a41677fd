//! `bue logs JOB`.

use anyhow::{Context, anyhow};
use bue_model::{JobId, ValueRef};
use clap::Args;

use crate::commands::remote::Servers;
use crate::commands::target::job_id;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::print_text;

/// Prints what the last attempt of a job printed.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Number of the job
    #[arg(value_parser = job_id)]
    job: JobId,
    #[command(flatten)]
    servers: Servers,
}

impl Logs {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let log = block_on(interruptible(async {
            let (hub, bucket) = self.servers.connect(&settings).await?;
            match hub.logs(self.job).await.context("failed to ask for the log")? {
                None => Ok(Vec::new().into()),
                Some(ValueRef::Inline(bytes)) => Ok(bytes),
                Some(ValueRef::Blob(blob)) => Ok(bucket.get(&blob).await.context("failed to fetch the log")?),
                Some(ValueRef::List(_)) => Err(Stop::Surroundings(anyhow!("the log is no text"))),
            }
        }))?;
        print_text(&String::from_utf8_lossy(&log))
    }
}
