//! Reads lists of jobs, page by page.

use anyhow::Context;
use bue_client::HubClient;
use bue_model::RunId;
use bue_model::wire::{JobPage, JobQuery};

use crate::process::command_error::CommandError;

/// The most jobs that are requested at once; the hub sends no more.
const PAGE: usize = 200;

/// Reads up to `limit` jobs. `next` of the answer says where to go on if there are more.
pub(crate) async fn read_jobs(
    hub: &HubClient,
    run: RunId,
    mut query: JobQuery,
    limit: usize,
) -> Result<JobPage, CommandError> {
    let mut all = JobPage { jobs: Vec::new(), next: query.after };
    while all.jobs.len() < limit {
        let remaining = limit - all.jobs.len();
        query.limit = u32::try_from(remaining.min(PAGE)).unwrap_or(u32::MAX);
        query.after = all.next;
        let page = hub.jobs(run, &query).await.context("failed to list the jobs")?;
        all.jobs.extend(page.jobs);
        // a cursor that does not advance would be an endless loop
        all.next = page.next.filter(|next| query.after.is_none_or(|after| *next > after));
        if all.next.is_none() {
            break;
        }
    }
    Ok(all)
}
