//! Arguments that name a run or a job. Which run a name means is decided here, for all verbs.

use std::str::FromStr;

use anyhow::Context;
use bue_client::HubClient;
use bue_model::wire::RunView;
use bue_model::{JobId, RunId};

use crate::process::command_error::CommandError;

/// The name of the latest run.
const LAST: &str = "last";

/// The fewest digits of a run's id that name it.
const MIN_PREFIX: usize = 4;

/// The most candidates that an error lists.
const MAX_CANDIDATES: usize = 10;

/// A run as users name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunName {
    /// Its whole id.
    Id(RunId),
    /// The first digits of its id.
    Prefix(String),
    /// `last`
    Last,
}

/// A run or a job as users name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetName {
    /// Certainly a run.
    Run(RunName),
    /// The number of a job. It may be the beginning of a run's id too.
    Number(JobId, String),
}

/// A run or a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Run(RunId),
    Job(JobId),
}

impl FromStr for RunName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == LAST {
            return Ok(Self::Last);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let digits = text.chars().filter(|char| *char != '-');
        let is_prefix = text.chars().all(|char| char == '-' || char.is_ascii_hexdigit());
        match digits.count() {
            MIN_PREFIX..32 if is_prefix => Ok(Self::Prefix(text.to_ascii_lowercase())),
            0..MIN_PREFIX if is_prefix => Err("too short: at least 4 digits of its id name a run"),
            _ => Err("not a run: type its id or the first digits of it (`bue status` lists them), or `last`"),
        }
    }
}

impl FromStr for TargetName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(JobId(number), text.to_owned()));
        }
        let error = "neither a run (its id, the first digits of it, or `last`) nor the number of a job";
        text.parse().map(Self::Run).map_err(|_| error)
    }
}

impl RunName {
    /// Returns the run that this names.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) async fn resolve(&self, hub: &HubClient) -> Result<RunId, CommandError> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Last => {
                let latest = hub.latest_run().await.context("failed to look up the latest run")?;
                latest.map(|run| run.id).ok_or_else(|| CommandError::NotFound("the hub has no runs".to_owned()))
            }
            Self::Prefix(prefix) => {
                let runs = candidates(hub, prefix).await?;
                match runs.as_slice() {
                    [] => Err(CommandError::NotFound(format!(
                        "there is no run whose id begins with `{prefix}`; `bue status` lists the runs"
                    ))),
                    [run] => Ok(run.id),
                    runs => Err(ambiguous(prefix, None, runs)),
                }
            }
        }
    }
}

impl TargetName {
    /// Returns the run or the job that this names. A number is a job; if a run's id begins with these digits and there is no such
    /// job, it is that run.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) async fn resolve(&self, hub: &HubClient) -> Result<Target, CommandError> {
        let (job, digits) = match self {
            Self::Run(run) => return run.resolve(hub).await.map(Target::Run),
            Self::Number(job, digits) => (*job, digits),
        };
        let runs = if digits.len() < MIN_PREFIX { Vec::new() } else { candidates(hub, digits).await? };
        if runs.is_empty() {
            return Ok(Target::Job(job));
        }
        match (hub.job(job).await, runs.as_slice()) {
            (Err(error), [run]) if error.is_not_found() => Ok(Target::Run(run.id)),
            (Err(error), _) if !error.is_not_found() => {
                Err(anyhow::Error::new(error).context("failed to look up the job").into())
            }
            (found, runs) => Err(ambiguous(digits, found.ok().map(|_| job), runs)),
        }
    }
}

async fn candidates(hub: &HubClient, prefix: &str) -> Result<Vec<RunView>, CommandError> {
    let limit = u32::try_from(MAX_CANDIDATES + 1).unwrap_or(u32::MAX);
    Ok(hub.runs_by_prefix(prefix, limit).await.context("failed to look up the run")?)
}

fn ambiguous(prefix: &str, job: Option<JobId>, runs: &[RunView]) -> CommandError {
    let mut text = format!("`{prefix}` is ambiguous, type more of it:");
    if let Some(job) = job {
        text.push_str(&format!("\n  job {job}"));
    }
    for run in runs.iter().take(MAX_CANDIDATES) {
        text.push_str(&format!("\n  run {} ({}) {}", run.id, run.name, run.state.name()));
    }
    if runs.len() > MAX_CANDIDATES {
        text.push_str("\n  … and more");
    }
    CommandError::NotFound(text)
}

/// Parses the number of a job.
pub(crate) fn parse_job_id(text: &str) -> Result<JobId, &'static str> {
    text.parse().map(JobId).map_err(|_| "not the number of a job: `bue status RUN --jobs` lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_id_its_first_digits_or_as_the_last_one() {
        let id = "01900000-0000-7000-8000-000000000000";
        assert!(matches!(id.parse(), Ok(RunName::Id(_))));
        assert!(matches!(id.replace('-', "").parse(), Ok(RunName::Id(_))));
        assert_eq!("last".parse(), Ok(RunName::Last));
        assert_eq!("0190AB".parse(), Ok(RunName::Prefix("0190ab".to_owned())));
        assert_eq!("01900000-0".parse(), Ok(RunName::Prefix("01900000-0".to_owned())));
        for text in ["", "019", "0-1-9-", "latest", "xyzw", "01900000-0000-7000-8000-0000000000000"] {
            assert!(text.parse::<RunName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_may_be_a_job_and_everything_else_is_a_run() {
        assert_eq!("17".parse(), Ok(TargetName::Number(JobId(17), "17".to_owned())));
        assert_eq!("17ab".parse(), Ok(TargetName::Run(RunName::Prefix("17ab".to_owned()))));
        assert_eq!("last".parse(), Ok(TargetName::Run(RunName::Last)));
        assert!("x".parse::<TargetName>().is_err());
    }
}
