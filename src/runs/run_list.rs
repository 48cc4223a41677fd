//! Lists of runs, from as many pages as are needed.

use anyhow::Context;
use bue_client::HubClient;
use bue_model::wire::RunView;

use crate::process::command_error::CommandError;

/// Runs on a page of the hub.
const PAGE: usize = 100;

/// Reads the latest runs that the filters leave, at most `limit`. The filters are names and values of the hub's parameters.
pub(crate) async fn read_runs(
    hub: &HubClient,
    filters: &[(String, String)],
    limit: usize,
) -> Result<Vec<RunView>, CommandError> {
    let (mut runs, mut after) = (Vec::new(), None::<String>);
    loop {
        let size = limit.saturating_sub(runs.len()).clamp(1, PAGE).to_string();
        let mut query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (&**name, &**value)).collect();
        query.push(("limit", &size));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = hub.run_page(&query).await.context("failed to fetch the runs")?;
        runs.extend(page.runs);
        if runs.len() >= limit || page.next.is_none() {
            runs.truncate(limit);
            return Ok(runs);
        }
        after = page.next;
    }
}
