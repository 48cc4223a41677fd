//! The jobs of a run with the hashes of their results, for comparison with those of another run.

use bue_client::{ClientError, HubClient};
use bue_hub::JobDigests;
use bue_model::RunId;
use bue_model::wire::JobQuery;

/// Jobs that one request returns at most.
const PAGE: u32 = 200;

/// Reads all jobs of a run.
pub(crate) async fn job_digests(hub: &HubClient, run: RunId) -> Result<JobDigests, ClientError> {
    let mut digests = JobDigests::default();
    let mut query = JobQuery { limit: PAGE, digests: true, ..JobQuery::default() };
    loop {
        let page = hub.jobs(run, &query).await?;
        page.jobs.into_iter().for_each(|job| digests.add(job));
        if page.next.is_none() {
            return Ok(digests);
        }
        query.after = page.next;
    }
}
