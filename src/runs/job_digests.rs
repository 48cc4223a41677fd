//! The jobs of a run with the hashes of their results, for comparison with those of another run.

use std::collections::HashMap;

use bue_client::{ClientError, HubClient};
use bue_model::wire::{JobQuery, JobView};
use bue_model::{JobState, RunId};

/// Jobs that one request returns at most.
const PAGE: u32 = 200;

/// Which job of a run it is: its step, its rounds of the loops around it, and how many jobs with the same are before it.
pub(crate) type JobKey = (String, Vec<u64>, usize);

/// How a job ended, and the hash of its result.
pub(crate) type JobEnd = (JobState, Option<String>);

/// The jobs of a run.
pub(crate) type JobDigests = HashMap<JobKey, JobEnd>;

/// Reads all jobs of a run.
pub(crate) async fn job_digests(hub: &HubClient, run: RunId) -> Result<JobDigests, ClientError> {
    let (mut jobs, mut seen) = (JobDigests::new(), HashMap::new());
    let mut query = JobQuery { limit: PAGE, digests: true, ..JobQuery::default() };
    loop {
        let page = hub.jobs(run, &query).await?;
        page.jobs.into_iter().for_each(|job| add(&mut jobs, &mut seen, job));
        if page.next.is_none() {
            return Ok(jobs);
        }
        query.after = page.next;
    }
}

/// Adds a job. They come in the order of their numbers.
fn add(jobs: &mut JobDigests, seen: &mut HashMap<(String, Vec<u64>), usize>, job: JobView) {
    let rounds: Vec<u64> = job.rounds.iter().map(|round| round.round).collect();
    let count = seen.entry((job.step.clone(), rounds.clone())).or_default();
    jobs.insert((job.step, rounds, *count), (job.state, job.digest));
    *count += 1;
}
