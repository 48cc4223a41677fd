//! Lists of the failed jobs of all runs, and their groups. Pure.

use std::collections::HashMap;

use bue_model::failed_jobs::{FailedJobEntry, FailedJobTime, FailureGroup, FailureGroupPage};
use bue_model::wire::JobView;
use bue_model::{JobId, RunId, Timestamp};

use crate::jobs::columns::job_id;
use crate::jobs::views::position::Position;
use crate::jobs::views::row_query::{RowQuery, SqlParams};

/// Failed jobs that one page of groups counts: some milliseconds.
const MAX_COUNTED: usize = 10_000;
/// Bytes of failures after which a page ends.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Which failed jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedQuery {
    /// Only jobs of steps with this name.
    pub step: Option<String>,
    /// Only jobs that failed then or later.
    pub since: Option<Timestamp>,
    /// Only jobs that failed earlier.
    pub until: Option<Timestamp>,
    /// Only jobs behind this position.
    pub after: Option<Position>,
    /// The largest number of jobs, or of groups.
    pub limit: u32,
}

/// A page of failed jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailedList {
    /// The jobs, those that failed last first.
    pub jobs: Vec<FailedJobEntry>,
    /// [`FailedQuery::after`] of the next page. `None` on the last page.
    pub next: Option<Position>,
}

/// The columns of a failed job in a list.
#[derive(Clone, Debug)]
pub(crate) struct ListedJob {
    pub(crate) position: Position,
    /// The path of the script of its run.
    pub(crate) name: String,
}

/// The columns of a failed job in a group.
#[derive(Clone, Debug)]
pub(crate) struct GroupedJob {
    pub(crate) position: Position,
    pub(crate) run: RunId,
    pub(crate) step: String,
    pub(crate) headline: String,
}

impl FailedQuery {
    /// Returns the query for the columns of [`ListedJob`]. It returns one row more than the page has room for.
    pub(crate) fn jobs(&self, mark: char) -> RowQuery {
        self.rows("run.name", mark, self.page_size() + 1)
    }

    /// Returns the query for the columns of [`GroupedJob`].
    pub(crate) fn groups(&self, mark: char) -> RowQuery {
        self.rows("run.id, failed.step, failed.headline", mark, MAX_COUNTED)
    }

    fn page_size(&self) -> usize {
        self.limit.max(1) as usize
    }

    fn rows(&self, columns: &str, mark: char, limit: usize) -> RowQuery {
        let mut sql = SqlParams::new(mark);
        let step = self.step.as_ref().map(|step| format!("failed.step = {} AND ", sql.text(step))).unwrap_or_default();
        let Position { at, key } = Position::upper_bound(self.after, self.until.map(|until| until.0));
        let (at, key) = (sql.int(at), sql.int(key));
        let since = sql.int(self.since.map_or(i64::MIN, |since| since.0));
        let max = sql.int(i64::try_from(limit).unwrap_or(i64::MAX));
        let text = format!(
            "SELECT failed.failed_at, failed.job, {columns} FROM failed JOIN run ON run.key = failed.run \
             WHERE {step}(failed.failed_at, failed.job) < ({at}, {key}) AND failed.failed_at >= {since} \
             ORDER BY failed.failed_at DESC, failed.job DESC LIMIT {max}"
        );
        sql.query(text, limit)
    }

    /// Returns the page of these rows, in the order of the query, without jobs that are gone. It ends early if their failures are long.
    pub(crate) fn page(&self, rows: Vec<ListedJob>, mut jobs: HashMap<JobId, JobView>) -> FailedList {
        let has_more = rows.len() > self.page_size();
        let (mut page, mut bytes) = (FailedList::default(), 0);
        for ListedJob { position, name } in rows.into_iter().take(self.page_size()) {
            if bytes > PAGE_BYTES {
                return page;
            }
            page.next = Some(position);
            let Some(job) = jobs.remove(&job_id(position.key)) else { continue };
            bytes += job
                .failure
                .as_ref()
                .map_or(0, |failure| failure.message.len() + failure.trace.as_ref().map_or(0, String::len));
            page.jobs.push(FailedJobEntry { at: Timestamp(position.at), name, job });
        }
        page.next = page.next.filter(|_| has_more);
        page
    }

    /// Returns the page of groups of these rows, in the order of the query.
    pub(crate) fn group_page(&self, rows: Vec<GroupedJob>) -> FailureGroupPage {
        let is_cut = rows.len() >= MAX_COUNTED;
        let mut by_name: HashMap<(String, String), usize> = HashMap::new();
        let (mut page, mut last) = (FailureGroupPage::default(), None);
        for GroupedJob { position, run, step, headline } in rows {
            let job = FailedJobTime { at: Timestamp(position.at), run, job: job_id(position.key) };
            let (known, groups) = (by_name.get(&(step.clone(), headline.clone())).copied(), page.groups.len());
            match known.and_then(|at| page.groups.get_mut(at)) {
                Some(group) => {
                    group.count += 1;
                    group.oldest = job;
                }
                None if groups >= self.page_size() => {
                    page.next = last;
                    return page;
                }
                None => {
                    by_name.insert((step.clone(), headline.clone()), groups);
                    let (newest, oldest) = (job.clone(), job);
                    page.groups.push(FailureGroup { step, message: headline, count: 1, newest, oldest });
                }
            }
            page.jobs += 1;
            last = Some(position.to_string());
        }
        page.next = last.filter(|_| is_cut);
        page
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(at: i64, step: &str) -> GroupedJob {
        let (position, run) = (Position { at, key: at }, RunId(Uuid::nil()));
        GroupedJob { position, run, step: step.into(), headline: "x".into() }
    }

    fn page(limit: u32, rows: Vec<GroupedJob>) -> FailureGroupPage {
        FailedQuery { limit, ..FailedQuery::default() }.group_page(rows)
    }

    #[test]
    fn a_page_of_groups_ends_before_the_first_group_that_it_has_no_room_for() {
        let rows = || vec![row(9, "a"), row(8, "b"), row(7, "a"), row(6, "c"), row(5, "a")];
        let cut = page(2, rows());
        let times = |page: &FailureGroupPage| {
            page.groups.iter().map(|group| (group.count, group.newest.at.0, group.oldest.at.0)).collect::<Vec<_>>()
        };
        assert_eq!((times(&cut), cut.jobs, cut.next.as_deref()), (vec![(2, 9, 7), (1, 8, 8)], 3, Some("7.7")));
        let whole = page(3, rows());
        assert_eq!((times(&whole), whole.jobs, whole.next), (vec![(3, 9, 5), (1, 8, 8), (1, 6, 6)], 5, None));
        let many = page(3, (0..10_000).map(|at| row(20_000 - at, "a")).collect());
        assert_eq!((many.jobs, many.next.as_deref()), (10_000, Some("10001.10001")));
        assert_eq!(page(3, Vec::new()), FailureGroupPage::default());
    }
}
