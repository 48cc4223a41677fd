//! The failed jobs of all runs, from as many pages as are needed, and the table of their groups.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use bue_client::HubClient;
use bue_model::failed_jobs::FailureGroup;
use bue_model::{JobId, RunId, Timestamp};

use crate::process::command_error::CommandError;
use crate::process::table::{Column, TextTable};
use crate::runs::times::ago_text;

/// Groups after which no more failures are counted: a person reads no more.
const MAX_GROUPS: usize = 1_000;

/// Returns the runs of the last `limit` failed jobs, those with the latest failures first, and these jobs.
pub(crate) async fn read_failed(
    hub: &HubClient,
    filters: &[(&str, &str)],
    limit: usize,
) -> Result<Vec<(RunId, HashSet<JobId>)>, CommandError> {
    let (mut runs, mut positions, mut after) = (Vec::<(RunId, HashSet<JobId>)>::new(), HashMap::new(), None::<String>);
    let mut listed = 0;
    loop {
        let query = with_position(filters, after.as_deref());
        let page = hub.failed_jobs(&query).await.context("failed to list the errors")?;
        listed += page.errors.len();
        for one in page.errors {
            let position = *positions.entry(one.job.run).or_insert(runs.len());
            match runs.get_mut(position) {
                Some((_, jobs)) => drop(jobs.insert(one.job.id)),
                None => runs.push((one.job.run, HashSet::from([one.job.id]))),
            }
        }
        if page.next.is_none() || listed >= limit {
            return Ok(runs);
        }
        after = page.next;
    }
}

/// Groups of failures, that of the latest failure first.
pub(crate) struct FailureGroups {
    pub(crate) groups: Vec<FailureGroup>,
    /// All failures are counted. If there are too many groups, older failures are not.
    pub(crate) is_complete: bool,
}

/// Counts the failures in groups.
pub(crate) async fn read_groups(hub: &HubClient, filters: &[(&str, &str)]) -> Result<FailureGroups, CommandError> {
    let (mut groups, mut positions, mut after) = (Vec::<FailureGroup>::new(), HashMap::new(), None::<String>);
    loop {
        let query = with_position(filters, after.as_deref());
        let page = hub.failure_groups(&query).await.context("failed to list the errors")?;
        for group in page.groups {
            let position = *positions.entry((group.step.clone(), group.message.clone())).or_insert(groups.len());
            match groups.get_mut(position) {
                Some(known) => {
                    known.count += group.count;
                    known.oldest = group.oldest;
                }
                None => groups.push(group),
            }
        }
        let is_complete = page.next.is_none();
        if is_complete || groups.len() >= MAX_GROUPS {
            return Ok(FailureGroups { groups, is_complete });
        }
        after = page.next;
    }
}

fn with_position<'a>(filters: &[(&'a str, &'a str)], after: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    filters.iter().copied().chain(after.map(|after| ("after", after))).collect()
}

/// Formats groups, one a line.
pub(crate) fn group_table(groups: &[FailureGroup], now: Timestamp, width: Option<usize>) -> String {
    let mut table = TextTable::new([
        Column::number("failed", 0),
        Column::text("step", 0),
        Column::text("last", 1),
        Column::text("first", 3),
        Column::number("job", 2),
        Column::text("message", 0),
    ]);
    for group in groups {
        table.add_row([
            group.count.to_string(),
            group.step.clone(),
            ago_text(group.newest.at, now),
            ago_text(group.oldest.at, now),
            group.newest.job.to_string(),
            group.message.clone(),
        ]);
    }
    table.format(width)
}
