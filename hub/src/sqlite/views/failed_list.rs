//! The failed jobs of all runs, and their groups.

use std::collections::HashMap;

use bue_model::failed_jobs::FailureGroupPage;

use crate::error::HubError;
use crate::jobs::columns::{job_id, run_id};
use crate::jobs::views::failed_list::{FailedList, FailedQuery, GroupedJob, ListedJob};
use crate::jobs::views::position::Position;
use crate::sqlite::read_tx::ReadTx;

impl ReadTx<'_> {
    /// Returns a page of failed jobs, those that failed last first.
    pub(in crate::sqlite) fn failed_page(&mut self, query: &FailedQuery) -> Result<FailedList, HubError> {
        let rows = self.rows(&query.jobs('?'), |row| {
            Ok(ListedJob { position: Position { at: row.get(0)?, key: row.get(1)? }, name: row.get(2)? })
        })?;
        let mut jobs = HashMap::with_capacity(rows.len());
        for row in &rows {
            let id = job_id(row.position.key);
            jobs.extend(self.listed_job(id)?.map(|job| (id, job)));
        }
        Ok(query.page(rows, jobs))
    }

    /// Returns a page of groups of failed jobs.
    pub(in crate::sqlite) fn failure_groups(&self, query: &FailedQuery) -> Result<FailureGroupPage, HubError> {
        let rows = self.rows(&query.groups('?'), |row| {
            let position = Position { at: row.get(0)?, key: row.get(1)? };
            Ok(GroupedJob { position, run: run_id(row.get(2)?), step: row.get(3)?, headline: row.get(4)? })
        })?;
        Ok(query.group_page(rows))
    }
}
