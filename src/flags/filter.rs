//! Flags that choose runs: for lists, and for verbs that change many runs at once.

use std::collections::BTreeMap;

use bue_model::bulk::{BulkRequest, RunFilter};
use clap::Args;

use crate::flags::params::names_and_values;
use crate::process::command_error::CommandError;

/// Flags that choose the runs to change.
#[derive(Debug, Default, Args)]
pub(crate) struct BulkFlags {
    /// Choose runs with a failed job of this step
    #[arg(long, value_name = "STEP", help_heading = "Many runs")]
    step: Option<String>,
    /// Choose runs with a failed job whose message or traceback contains this text
    #[arg(long, value_name = "TEXT", help_heading = "Many runs")]
    error: Option<String>,
    /// Choose runs that failed
    #[arg(long, help_heading = "Many runs")]
    failed: bool,
    /// Choose runs that were created since then: 2h, 2026-11-01 or 2026-11-01T06:00:00Z
    #[arg(long, value_name = "TIME", help_heading = "Many runs")]
    since: Option<String>,
    /// Choose runs that were created before then, such as 7d for those that are older than a week
    #[arg(long, value_name = "TIME", help_heading = "Many runs")]
    older: Option<String>,
    /// Choose runs of this pipeline
    #[arg(long, value_name = "NAME", help_heading = "Many runs")]
    pipeline: Option<String>,
    /// Choose runs of the script with this path; `etl/*` chooses all whose paths begin with etl/
    #[arg(long, value_name = "PATH", help_heading = "Many runs")]
    name: Option<String>,
    /// Choose runs of pipelines that were given this value of a parameter. Can be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Many runs")]
    param: Vec<String>,
    /// Choose all runs
    #[arg(long, help_heading = "Many runs")]
    all: bool,
    /// Print what would be done, and do nothing
    #[arg(long, help_heading = "Many runs")]
    dry_run: bool,
    /// Do not ask before more than one run is changed
    #[arg(short, long, help_heading = "Many runs")]
    yes: bool,
}

impl BulkFlags {
    /// Returns whether it is a dry run, and whether nobody is asked.
    pub(crate) const fn mode(&self) -> (bool, bool) {
        (self.dry_run, self.yes)
    }

    /// Refuses a command that names no run, without a flag that chooses some.
    pub(crate) fn expect_choice(&self, verb: &str) -> Result<(), CommandError> {
        match self.chooses_nothing() {
            false => Ok(()),
            true => Err(CommandError::Usage(format!(
                "no run is named; type `bue {verb} RUN`, or choose runs with flags such as --since 2h, or all of them with --all"
            ))),
        }
    }

    fn chooses_nothing(&self) -> bool {
        let texts = [&self.step, &self.error, &self.since, &self.older, &self.pipeline, &self.name];
        !self.all && !self.failed && self.param.is_empty() && texts.iter().all(|text| text.is_none())
    }

    /// Refuses flags for many runs beside a target.
    pub(crate) fn expect_none(&self, verb: &str) -> Result<(), CommandError> {
        match self.chooses_nothing() && !self.dry_run {
            true => Ok(()),
            false => Err(CommandError::Usage(format!(
                "a run or a job is named, so flags that choose runs have no meaning; type `bue {verb}` with one or the other"
            ))),
        }
    }

    /// Returns the request that the flags describe.
    pub(crate) fn request(&self) -> Result<BulkRequest, CommandError> {
        let params = names_and_values(&self.param, "--param ")?;
        let params: BTreeMap<String, String> =
            params.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let filter = RunFilter {
            state: self.failed.then(|| "failed".to_owned()),
            pipeline: self.pipeline.clone(),
            name: self.name.clone(),
            params,
            since: self.since.clone(),
            until: self.older.clone(),
            step: self.step.clone(),
            error: self.error.clone(),
        };
        Ok(BulkRequest { filter, all: self.all, dry_run: true, after: None })
    }
}
