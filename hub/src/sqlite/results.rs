//! The values of a run's calls, a page at a time.

use bue_model::wire::{CallResult, FailedJob, ResultCursor, ResultPage, RoundValue};
use bue_model::{Failure, FailureKind, NodeId, RunId, ValueRef};
use rusqlite::OptionalExtension;

use super::ledger::{Instance, Ledger, from_blob, job_id, node_of, slot_in, unsigned};
use super::memory::Run;
use crate::error::HubError;
use crate::jobs::arguments::weight;

/// Bytes after which a page ends. A call's outermost loop may be cut between two rounds, inner loops are not.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// What a round costs beside its bytes.
const ROUND_BYTES: usize = 32;
/// Failed jobs that are listed.
const MAX_FAILED: i64 = 1_000;

/// A page while it grows.
struct Page {
    /// Bytes it may still take; below 0 it is full.
    left: i64,
    results: Vec<CallResult>,
    next: Option<ResultCursor>,
}

impl Ledger<'_> {
    pub(super) fn results(&mut self, id: RunId, cursor: ResultCursor) -> Result<Option<ResultPage>, HubError> {
        let Some(key) = self.run_key(id)? else { return Ok(None) };
        let run = self.run(key)?;
        let mut page = Page { left: i64::try_from(PAGE_BYTES).unwrap_or(0), results: Vec::new(), next: None };
        let statements = run.graph.calls.iter().filter(|call| !call.nested);
        let mut round = cursor.round;
        for (index, call) in (0..).zip(statements).skip(cursor.call as usize) {
            if page.left <= 0 {
                page.next = Some(ResultCursor { call: index, round: 0 });
                break;
            }
            let (value, rest) = self.call_value(&run, call.last, round, &mut page.left)?;
            page.results.push(CallResult { line: call.line, name: call.name.clone(), value });
            if let Some(round) = rest {
                page.next = Some(ResultCursor { call: index, round });
                break;
            }
            round = 0;
        }
        let failed = if cursor == ResultCursor::default() { self.failed(&run)? } else { Vec::new() };
        let state = self.run_state(key)?;
        Ok(Some(ResultPage { state, results: page.results, failed, next: page.next }))
    }

    /// A call's value from a round of its outermost loop on, and the round at which the page was full.
    fn call_value(
        &self,
        run: &Run,
        last: NodeId,
        from: u64,
        left: &mut i64,
    ) -> Result<(RoundValue, Option<u64>), HubError> {
        let loops = run.graph.loops_around(node_of(run, last)?.block);
        let top = Instance { run: run.key, fanout: 0, block: 0, first: run.first };
        let Some((outermost, inner)) = loops.split_first() else {
            return Ok((self.round_value(run, top, &[], last, left)?, None));
        };
        let Some(fan_out) = self.fan_out(slot_in(run, top, *outermost)?.id)? else {
            return Ok((self.no_rounds(slot_in(run, top, *outermost)?.id)?, None));
        };
        let block = fan_out.body(run)?;
        let mut rounds = Vec::new();
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        for round in from..fan_out.count {
            if *left <= 0 {
                return Ok((RoundValue::Rounds(rounds), Some(unsigned(round))));
            }
            let first = fan_out.round(round);
            let instance = Instance { run: run.key, fanout: fan_out.id, block, first };
            rounds.push(self.round_value(run, instance, inner, last, left)?);
        }
        Ok((RoundValue::Rounds(rounds), None))
    }

    /// The value of a node in an instance, or, where loops stand between them, in all their rounds.
    fn round_value(
        &self,
        run: &Run,
        instance: Instance,
        loops: &[NodeId],
        last: NodeId,
        left: &mut i64,
    ) -> Result<RoundValue, HubError> {
        let Some((outer, inner)) = loops.split_first() else {
            let value = self.value(slot_in(run, instance, last)?.id)?;
            let bytes = value.as_ref().map_or(0, weight) + ROUND_BYTES;
            *left = left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
            return Ok(value.map_or(RoundValue::Nothing, RoundValue::Value));
        };
        let slot = slot_in(run, instance, *outer)?;
        let Some(fan_out) = self.fan_out(slot.id)? else { return self.no_rounds(slot.id) };
        let block = fan_out.body(run)?;
        let rounds = (0..fan_out.count).map(|round| {
            let instance = Instance { run: run.key, fanout: fan_out.id, block, first: fan_out.round(round) };
            self.round_value(run, instance, inner, last, left)
        });
        rounds.collect::<Result<_, _>>().map(RoundValue::Rounds)
    }

    /// A loop without a fan-out ran over an empty list, or was never reached.
    fn no_rounds(&self, slot: i64) -> Result<RoundValue, HubError> {
        let mut select = self.db.prepare_cached("SELECT 1 FROM done WHERE id = ?1 AND state = 7")?;
        let empty = select.exists([slot])?;
        Ok(if empty { RoundValue::Rounds(Vec::new()) } else { RoundValue::Nothing })
    }

    fn failed(&self, run: &Run) -> Result<Vec<FailedJob>, HubError> {
        let mut select = self.db.prepare_cached("SELECT job FROM failed WHERE run = ?1 ORDER BY job LIMIT ?2")?;
        let ids: Vec<i64> = select.query_map([run.key, MAX_FAILED], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut failed = Vec::new();
        let mut bytes = 0;
        for id in ids {
            let Some(job) = self.failed_job(run, id)? else { continue };
            bytes += job.failure.message.len() + job.failure.trace.as_ref().map_or(0, String::len);
            bytes += job.log.as_ref().map_or(0, weight);
            failed.push(job);
            if bytes > PAGE_BYTES {
                break;
            }
        }
        Ok(failed)
    }

    fn failed_job(&self, run: &Run, id: i64) -> Result<Option<FailedJob>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT node, attempts, worker, failure, log FROM job WHERE id = ?1")?;
        let found = select.query_row([id], |row| {
            let (failure, log): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
            Ok((NodeId(row.get(0)?), row.get(1)?, row.get(2)?, failure, log))
        });
        let Some((node, attempts, worker, failure, log)) = found.optional()? else { return Ok(None) };
        let step = run.graph.job(node).and_then(|job| run.graph.step_of(job));
        let failure: Option<Failure> = failure.map(|failure| from_blob(&failure)).transpose()?;
        let log: Option<ValueRef> = log.map(|log| from_blob(&log)).transpose()?;
        Ok(Some(FailedJob {
            job: job_id(id),
            step: step.map(|step| step.name.clone()).unwrap_or_default(),
            attempts,
            worker,
            failure: failure.unwrap_or_else(|| Failure::new(FailureKind::Internal, "no reason was stored")),
            log,
        }))
    }
}
