//! The failed jobs of all runs, and their groups.

use bue_model::RunId;
use bue_model::failed_jobs::FailureGroupPage;
use tokio_postgres::Row;

use crate::error::HubError;
use crate::jobs::views::failed_list::{FailedList, FailedQuery, GroupedJob, ListedJob};
use crate::jobs::views::position::Position;
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::query::rows_of;
use crate::postgres::state::PostgresState;

impl PostgresState {
    /// Returns a page of failed jobs, those that failed last first.
    pub(in crate::postgres) async fn failed_page(&self, request: FailedQuery) -> Result<FailedList, HubError> {
        retry_transient!(self.try_failed_page(&request))
    }

    async fn try_failed_page(&self, request: &FailedQuery) -> Result<FailedList, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let rows = rows_of(&tx, &request.jobs('$')).await?;
        let rows = rows.iter().map(|row| Ok(ListedJob { position: position(row)?, name: row.try_get(2)? }));
        let rows: Vec<ListedJob> = rows.collect::<Result<_, HubError>>()?;
        let ids: Vec<i64> = rows.iter().map(|row| row.position.key).collect();
        let jobs = self.listed_jobs(&tx, &ids).await?;
        Ok(request.page(rows, jobs.into_iter().map(|job| (job.id, job)).collect()))
    }

    /// Returns a page of groups of failed jobs.
    pub(in crate::postgres) async fn failure_groups(&self, request: FailedQuery) -> Result<FailureGroupPage, HubError> {
        retry_transient!(self.try_failure_groups(&request))
    }

    async fn try_failure_groups(&self, request: &FailedQuery) -> Result<FailureGroupPage, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let rows = rows_of(&tx, &request.groups('$')).await?;
        let grouped = |row: &Row| {
            let (position, run) = (position(row)?, RunId(row.try_get(2)?));
            Ok(GroupedJob { position, run, step: row.try_get(3)?, headline: row.try_get(4)? })
        };
        Ok(request.group_page(rows.iter().map(grouped).collect::<Result<_, HubError>>()?))
    }
}

fn position(row: &Row) -> Result<Position, HubError> {
    Ok(Position { at: row.try_get(0)?, key: row.try_get(1)? })
}
