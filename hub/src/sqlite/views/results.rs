//! The values of a run's calls, a page at a time.

use bue_model::wire::{ResultCursor, ResultPage, RoundValue};
use bue_model::{NodeId, RunId};
use rusqlite::{OptionalExtension, Row};

use crate::error::HubError;
use crate::jobs::instance::{Instance, Location, Run, location_in, node_of};
use crate::jobs::state::{State, state_code};
use crate::jobs::views::missing_value::{StateColumns, States};
use crate::jobs::views::result_page::{CallValue, FailedColumns, FailedJobs, MAX_FAILED, PageBuilder};
use crate::sqlite::read_tx::ReadTx;

impl ReadTx<'_> {
    /// Returns a page of a run's results.
    pub(in crate::sqlite) fn results(
        &mut self,
        id: RunId,
        cursor: ResultCursor,
    ) -> Result<Option<ResultPage>, HubError> {
        let Some(key) = self.run_key(id)? else { return Ok(None) };
        let run = self.run(key)?;
        let mut page = PageBuilder::new(cursor);
        for (index, call) in page.calls(&run) {
            if page.is_full() {
                page.end_before(index);
                break;
            }
            let value = self.call_value(&run, call.last, page.first_round(index), &mut page)?;
            if !page.add(&run, index, call, value) {
                break;
            }
        }
        let failed = if page.lists_failed() { self.failed_jobs(&run)? } else { FailedJobs::default() };
        let states = self.states(&page.missing_ids())?;
        Ok(Some(page.finish(&run, self.run_state(key)?, &states, failed)))
    }

    /// Returns a call's value from a round of its outermost loop on.
    fn call_value(&self, run: &Run, last: NodeId, from: i64, page: &mut PageBuilder) -> Result<CallValue, HubError> {
        let loops = run.graph.loops_around(node_of(run, last)?.block);
        let Some((outermost, inner)) = loops.split_first() else {
            return Ok(CallValue::whole(self.round_value(run, run.top_level(), &[], last, page)?));
        };
        let id = location_in(run, run.top_level(), *outermost)?.id;
        let Some(fan_out) = self.fan_out(id)? else { return Ok(CallValue::whole(self.no_rounds(id, page)?)) };
        let body = fan_out.body(run)?;
        let mut rounds = Vec::new();
        for round in from..fan_out.count {
            if page.is_full() {
                return Ok(CallValue::cut(rounds, round));
            }
            rounds.push(self.round_value(run, fan_out.round(round, body), inner, last, page)?);
        }
        Ok(CallValue::whole(RoundValue::Rounds(rounds)))
    }

    /// Returns the value of a node in an instance, or in all rounds of the loops between them.
    fn round_value(
        &self,
        run: &Run,
        instance: Instance,
        loops: &[NodeId],
        last: NodeId,
        page: &mut PageBuilder,
    ) -> Result<RoundValue, HubError> {
        let Some((outer, inner)) = loops.split_first() else {
            let job = location_in(run, instance, last)?;
            return Ok(page.round_value(job, self.value(job.id)?));
        };
        let id = location_in(run, instance, *outer)?.id;
        let Some(fan_out) = self.fan_out(id)? else { return self.no_rounds(id, page) };
        let body = fan_out.body(run)?;
        let rounds =
            (0..fan_out.count).map(|round| self.round_value(run, fan_out.round(round, body), inner, last, page));
        rounds.collect::<Result<_, _>>().map(RoundValue::Rounds)
    }

    /// Returns the value of a loop without a fan-out: it ran over an empty list, or was never reached.
    fn no_rounds(&self, id: i64, page: &mut PageBuilder) -> Result<RoundValue, HubError> {
        let mut select =
            self.db.prepare_cached(concat!("SELECT 1 FROM done WHERE id = ?1 AND state = ", state_code!(Completed)))?;
        let is_empty = select.exists([id])?;
        Ok(if is_empty { RoundValue::Rounds(Vec::new()) } else { page.loop_not_reached(id) })
    }

    /// Returns the states of these rows, which are not completed.
    fn states(&self, ids: &[i64]) -> Result<States, HubError> {
        let mut jobs = self.db.prepare_cached("SELECT state, blocked_by FROM job WHERE id = ?1")?;
        let mut done = self.db.prepare_cached("SELECT state, NULL FROM done WHERE id = ?1")?;
        let mut states = States::new();
        for id in ids {
            let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let row: Option<(i64, Option<i64>)> = match jobs.query_row([id], columns).optional()? {
                None => done.query_row([id], columns).optional()?,
                row => row,
            };
            let Some((code, blocked_by)) = row else { continue };
            let state =
                State::from_code(code).ok_or_else(|| HubError::damaged(format!("row {id} has the state {code}")))?;
            states.insert(*id, StateColumns { state, blocked_by });
        }
        Ok(states)
    }

    fn failed_jobs(&self, run: &Run) -> Result<FailedJobs, HubError> {
        let mut select = self.db.prepare_cached("SELECT job FROM failed WHERE run = ?1 ORDER BY job LIMIT ?2")?;
        let ids: Vec<i64> = select.query_map([run.key, MAX_FAILED], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut failed = FailedJobs::default();
        for id in ids {
            let Some(row) = self.failed_job(id)? else { continue };
            let rounds = self.rounds_of(run, row.job)?;
            failed.add(run, row, rounds)?;
            if failed.is_full() {
                break;
            }
        }
        Ok(failed)
    }

    fn failed_job(&self, id: i64) -> Result<Option<FailedColumns>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT node, fanout, attempts, worker, failure, log FROM job WHERE id = ?1")?;
        let row = select.query_row([id], |row| {
            Ok(FailedColumns {
                job: Location { id, node: NodeId(row.get(0)?), fanout: row.get(1)? },
                attempts: row.get(2)?,
                worker: row.get(3)?,
                failure: row.get(4)?,
                log: row.get(5)?,
            })
        });
        Ok(row.optional()?)
    }
}
