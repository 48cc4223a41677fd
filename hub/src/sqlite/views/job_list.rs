//! Pages of the jobs of a run.

use bue_model::wire::{JobPage, JobQuery};
use bue_model::{JobState, NodeId, RunId};
use rusqlite::params;

use crate::error::HubError;
use crate::jobs::columns::{job_id, signed};
use crate::jobs::instance::{FanOut, IdRange, Run};
use crate::jobs::state::state_code;
use crate::jobs::views::job_list::{
    BATCH, FAN_OUT_BATCH, JobScan, select_failed, select_running, select_window, select_window_in_state,
};
use crate::jobs::views::round_filter::{MAX_LOOPS, RoundFilter};
use crate::sqlite::read_tx::{ReadTx, read_fan_out, select_fan_outs};

impl ReadTx<'_> {
    /// Returns a page of a run's jobs; `None` if there is no such run.
    pub(in crate::sqlite) fn jobs(&mut self, id: RunId, query: &JobQuery) -> Result<Option<JobPage>, HubError> {
        let Some(key) = self.run_key(id)? else { return Ok(None) };
        let run = self.run(key)?;
        let mut scan = JobScan::new(&run, query)?;
        if !query.rounds.is_empty() {
            scan.restrict(self.round_ids(&run, &query.rounds)?);
        }
        match query.state {
            Some(JobState::Running) => {
                self.scan_index(key, &mut scan, select_running!("?", "INDEXED BY job_running"))?;
            }
            Some(JobState::Failed) => self.scan_index(key, &mut scan, select_failed!("?"))?,
            state => self.scan_ranges(key, run.top_level_ids(), &mut scan, select_window_in_state!(state, "?"))?,
        }
        let (ids, next) = scan.finish();
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(mut job) = self.listed_job(job_id(id))? else { continue };
            if query.digests {
                job.digest = self.digest(job.id)?;
            }
            jobs.push(job);
        }
        Ok(Some(JobPage { jobs, next }))
    }

    /// Looks at the rows of a query that continues behind an id.
    fn scan_index(&self, run: i64, scan: &mut JobScan, sql: &str) -> Result<(), HubError> {
        let mut has_more = true;
        while has_more {
            let rows = self.id_rows(sql, run, scan.cursor())?;
            has_more = scan.add_batch(&rows);
        }
        Ok(())
    }

    /// Returns the ids of the jobs in a round.
    fn round_ids(&self, run: &Run, rounds: &[u64]) -> Result<Vec<IdRange>, HubError> {
        let mut filter = RoundFilter::new(run, rounds);
        let mut select = self.db.prepare_cached(select_fan_outs!("id >= ?1 AND id < ?2 LIMIT ?3"))?;
        loop {
            let needs = filter.needs();
            if needs.is_empty() {
                return Ok(filter.finish());
            }
            let mut fan_outs = Vec::new();
            for (first, end) in needs {
                // one more than the filter takes
                let room = (MAX_LOOPS + 1).saturating_sub(fan_outs.len());
                for fan_out in select.query_map([first, end, signed(room as u64)], read_fan_out)? {
                    fan_outs.push(fan_out?);
                }
            }
            filter.add(&fan_outs)?;
        }
    }

    /// Looks at the top level and at the fan-outs, in the order of their ids.
    fn scan_ranges(&self, run: i64, top_level: IdRange, scan: &mut JobScan, sql: &str) -> Result<(), HubError> {
        if let Some(ranges) = scan.ranges() {
            return ranges.into_iter().try_for_each(|range| self.scan_range(range, scan, sql));
        }
        self.scan_range(top_level, scan, sql)?;
        let mut fan_outs = self.fan_outs_from(run, scan.cursor())?;
        while !fan_outs.is_empty() && !scan.is_full() {
            for fan_out in &fan_outs {
                self.scan_range(fan_out.expanded_ids(), scan, sql)?;
            }
            let last = fan_outs.last().map_or(0, |fan_out| fan_out.first);
            fan_outs = self.fan_outs_behind(run, last)?;
        }
        Ok(())
    }

    fn scan_range(&self, range: IdRange, scan: &mut JobScan, sql: &str) -> Result<(), HubError> {
        while let Some(window) = scan.window(range) {
            let rows = self.id_rows(sql, window.0, window.1)?;
            scan.add_window(window, &rows);
        }
        Ok(())
    }

    fn id_rows(&self, sql: &str, first: i64, second: i64) -> Result<Vec<(i64, NodeId)>, HubError> {
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map([first, second, BATCH], |row| Ok((row.get(0)?, NodeId(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the first fan-outs of a run with rounds behind an id.
    fn fan_outs_from(&self, run: i64, id: i64) -> Result<Vec<FanOut>, HubError> {
        let mut select =
            self.db.prepare_cached(select_fan_outs!("run = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1"))?;
        let around: Vec<FanOut> = select.query_map([run, id], read_fan_out)?.collect::<Result<_, _>>()?;
        match around.first() {
            Some(_) => Ok(around),
            None => self.fan_outs_behind(run, 0),
        }
    }

    fn fan_outs_behind(&self, run: i64, first: i64) -> Result<Vec<FanOut>, HubError> {
        let mut select = self.db.prepare_cached(select_fan_outs!("run = ?1 AND first > ?2 ORDER BY first LIMIT ?3"))?;
        let fan_outs = select.query_map(params![run, first, FAN_OUT_BATCH], read_fan_out)?;
        Ok(fan_outs.collect::<Result<_, _>>()?)
    }
}
