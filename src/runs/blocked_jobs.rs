//! The jobs of a failed run that never started, because a job failed whose result they need.

use anyhow::Context;
use bue_client::HubClient;
use bue_model::JobState;
use bue_model::wire::{JobQuery, JobView, RunView, StepView};

use crate::process::command_error::CommandError;
use crate::process::output::{counted, eprint_line};
use crate::runs::job_name::round_number;

/// The steps whose jobs are named.
const MAX_STEPS: usize = 10;

/// The jobs that are named of a step.
const MAX_NAMED: u32 = 5;

/// Prints a line for each step that has such jobs.
pub(crate) async fn print_blocked(hub: &HubClient, run: &RunView) -> Result<(), CommandError> {
    let blocked: Vec<&StepView> = run.steps.iter().filter(|step| step.blocked > 0).collect();
    for step in blocked.iter().take(MAX_STEPS) {
        let query = JobQuery {
            step: Some(step.name.clone()),
            state: Some(JobState::Blocked),
            limit: MAX_NAMED,
            ..JobQuery::default()
        };
        // one page: in a very large run the hub looks at the first twenty thousand jobs only
        let page = hub.jobs(run.id, &query).await.context("failed to list the blocked jobs")?;
        eprint_line(&blocked_text(step, &page.jobs));
    }
    if blocked.len() > MAX_STEPS {
        eprint_line(&format!("… and those of {}", counted(blocked.len() - MAX_STEPS, "more step")));
    }
    Ok(())
}

/// `blocked by failed jobs, never started: store (20 jobs): round 2 (job 7, because of job 5), …`
fn blocked_text(step: &StepView, first: &[JobView]) -> String {
    let jobs = counted(usize::try_from(step.blocked).unwrap_or(usize::MAX), "job");
    let mut names: Vec<String> = first.iter().map(blocked_job).collect();
    if step.blocked > first.len() as u64 {
        names.push("…".to_owned());
    }
    format!("blocked by failed jobs, never started: {} ({jobs}): {}", step.name, names.join(", "))
}

/// `round 2 (job 7, because of job 5)`
fn blocked_job(job: &JobView) -> String {
    let cause = job.blocked_by.map(|failed| format!("because of job {failed}"));
    let id = format!("job {}", job.id);
    match (job.rounds.as_slice(), cause) {
        ([], None) => id,
        ([], Some(cause)) => format!("{id} ({cause})"),
        (rounds, None) => format!("round {} ({id})", round_number(rounds)),
        (rounds, Some(cause)) => format!("round {} ({id}, {cause})", round_number(rounds)),
    }
}
