//! Arguments that name a run or a job.

use std::str::FromStr;

use bue_model::{JobId, RunId};

/// A run or a job, distinguished by the form of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `0190…-…`
    Run(RunId),
    /// `17`
    Job(JobId),
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let job = text.parse().map(|number| Self::Job(JobId(number)));
        job.or_else(|_| text.parse().map(Self::Run))
            .map_err(|_| "neither the id of a run (as `bue upload` prints it) nor the number of a job")
    }
}

/// Parses the id of a run.
pub(crate) fn parse_run_id(text: &str) -> Result<RunId, &'static str> {
    text.parse().map_err(|_| "not the id of a run: `bue upload` prints it, `bue status` lists them")
}

/// Parses the number of a job.
pub(crate) fn parse_job_id(text: &str) -> Result<JobId, &'static str> {
    text.parse().map(JobId).map_err(|_| "not the number of a job: `bue errors` lists those that failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_job_and_a_uuid_a_run() {
        assert_eq!("17".parse(), Ok(Target::Job(JobId(17))));
        assert!(matches!("01900000-0000-7000-8000-000000000000".parse(), Ok(Target::Run(_))));
        assert!("x".parse::<Target>().is_err());
    }
}
