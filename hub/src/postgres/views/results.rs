//! The values of a run's calls, a page at a time.

use bue_model::wire::{ResultCursor, ResultPage, RoundValue};
use bue_model::{NodeId, RunId};
use deadpool_postgres::Transaction;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use crate::error::HubError;
use crate::jobs::columns::small;
use crate::jobs::instance::{Instance, Location, Run, location_in, node_of};
use crate::jobs::state::state_code;
use crate::jobs::views::missing_value::{StateColumns, States};
use crate::jobs::views::result_page::{CallValue, FailedColumns, FailedJobs, MAX_FAILED, PageBuilder};
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::leasing::values::{CALLS_READ_AHEAD, ROUNDS_READ_AHEAD, Values};
use crate::postgres::query::{node, query, run_state, state};
use crate::postgres::state::PostgresState;

impl PostgresState {
    /// Returns a page of a run's results.
    pub(in crate::postgres) async fn results(
        &self,
        id: RunId,
        cursor: ResultCursor,
    ) -> Result<Option<ResultPage>, HubError> {
        retry_transient!(self.try_results(id, cursor))
    }

    async fn try_results(&self, id: RunId, cursor: ResultCursor) -> Result<Option<ResultPage>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let rows = query(&tx, "SELECT key, state FROM run WHERE id = $1", &[&id.0]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let state = run_state(id, row.try_get(1)?)?;
        let run = self.run(&tx, row.try_get(0)?).await?;
        let mut reader = Reader { tx: &tx, run: &run, values: Values::default(), page: PageBuilder::new(cursor) };
        let calls = reader.page.calls(&run);
        for (at, (index, call)) in calls.iter().copied().enumerate() {
            if reader.page.is_full() {
                reader.page.end_before(index);
                break;
            }
            if at % CALLS_READ_AHEAD == 0 {
                let next = calls.iter().skip(at).take(CALLS_READ_AHEAD);
                reader.read_calls(next.map(|(_, call)| call.last)).await?;
            }
            let value = reader.call_value(call.last, reader.page.first_round(index)).await?;
            if !reader.page.add(&run, index, call, value) {
                break;
            }
        }
        let page = reader.page;
        let failed = if page.lists_failed() { failed_jobs(&tx, &run).await? } else { FailedJobs::default() };
        let states = states(&tx, &page.missing_ids()).await?;
        Ok(Some(page.finish(&run, state, &states, failed)))
    }
}

/// A page while it is read.
struct Reader<'a> {
    tx: &'a Transaction<'a>,
    run: &'a Run,
    values: Values,
    page: PageBuilder,
}

impl Reader<'_> {
    /// Reads the values of calls that are in no loop, with one query.
    async fn read_calls(&mut self, last: impl Iterator<Item = NodeId>) -> Result<(), HubError> {
        let top_level = self.run.top_level();
        let mut ids = Vec::with_capacity(CALLS_READ_AHEAD);
        for last in last {
            if self.run.graph.loops_around(node_of(self.run, last)?.block).is_empty() {
                ids.push(location_in(self.run, top_level, last)?.id);
            }
        }
        self.values.read_calls(self.tx, &ids).await
    }

    /// Returns a call's value from a round of its outermost loop on.
    async fn call_value(&mut self, last: NodeId, from: i64) -> Result<CallValue, HubError> {
        let loops = self.run.graph.loops_around(node_of(self.run, last)?.block);
        let top_level = self.run.top_level();
        let Some((outermost, inner)) = loops.split_first() else {
            return Ok(CallValue::whole(self.round_value(top_level, &[], last).await?));
        };
        let id = location_in(self.run, top_level, *outermost)?.id;
        let Some(fan_out) = self.values.fan_out(self.tx, id).await? else {
            return Ok(CallValue::whole(self.no_rounds(id).await?));
        };
        let body = fan_out.body(self.run)?;
        let mut rounds = Vec::new();
        for round in from..fan_out.count {
            if self.page.is_full() {
                return Ok(CallValue::cut(rounds, round));
            }
            if inner.is_empty() && (round - from) % ROUNDS_READ_AHEAD == 0 {
                let offset = node_of(self.run, last)?.offset;
                self.values.read_rounds(self.tx, &fan_out, round, offset).await?;
            }
            rounds.push(self.round_value(fan_out.round(round, body), inner, last).await?);
        }
        Ok(CallValue::whole(RoundValue::Rounds(rounds)))
    }

    /// Returns the value of a node in an instance, or in all rounds of the loops between them.
    fn round_value<'a>(
        &'a mut self,
        instance: Instance,
        loops: &'a [NodeId],
        last: NodeId,
    ) -> BoxFuture<'a, Result<RoundValue, HubError>> {
        Box::pin(async move {
            let Some((outer, inner)) = loops.split_first() else {
                let job = location_in(self.run, instance, last)?;
                let value = self.values.value(self.tx, job.id).await?;
                return Ok(self.page.round_value(job, value));
            };
            let id = location_in(self.run, instance, *outer)?.id;
            let Some(fan_out) = self.values.fan_out(self.tx, id).await? else { return self.no_rounds(id).await };
            let body = fan_out.body(self.run)?;
            let mut rounds = Vec::new();
            for round in 0..fan_out.count {
                if inner.is_empty() && round % ROUNDS_READ_AHEAD == 0 {
                    let offset = node_of(self.run, last)?.offset;
                    self.values.read_rounds(self.tx, &fan_out, round, offset).await?;
                }
                rounds.push(self.round_value(fan_out.round(round, body), inner, last).await?);
            }
            Ok(RoundValue::Rounds(rounds))
        })
    }

    /// Returns the value of a loop without a fan-out: it ran over an empty list, or was never reached.
    async fn no_rounds(&mut self, id: i64) -> Result<RoundValue, HubError> {
        let sql = concat!("SELECT 1 FROM done WHERE id = $1 AND state = ", state_code!(Completed));
        let rows = query(self.tx, sql, &[&id]).await?;
        Ok(if rows.is_empty() { self.page.loop_not_reached(id) } else { RoundValue::Rounds(Vec::new()) })
    }
}

/// Returns the states of these rows, which are not completed.
async fn states(tx: &Transaction<'_>, ids: &[i64]) -> Result<States, HubError> {
    if ids.is_empty() {
        return Ok(States::new());
    }
    let sql = "SELECT id, state, blocked_by FROM job WHERE id = ANY($1)
         UNION ALL SELECT id, state, NULL FROM done WHERE id = ANY($1)";
    let columns =
        |row: &Row| Ok((row.try_get(0)?, StateColumns { state: state(row.try_get(1)?)?, blocked_by: row.try_get(2)? }));
    query(tx, sql, &[&ids]).await?.iter().map(columns).collect()
}

async fn failed_jobs(tx: &Transaction<'_>, run: &Run) -> Result<FailedJobs, HubError> {
    let sql = "SELECT job.id, job.node, job.fanout, job.attempts, job.worker, job.failure, job.log FROM failed
         JOIN job ON job.id = failed.job WHERE failed.run = $1 ORDER BY failed.job LIMIT $2";
    let (mut failed, mut values) = (FailedJobs::default(), Values::default());
    for row in query(tx, sql, &[&run.key, &MAX_FAILED]).await? {
        let columns = FailedColumns {
            job: Location { id: row.try_get(0)?, node: node(row.try_get(1)?), fanout: row.try_get(2)? },
            attempts: small(row.try_get(3)?),
            worker: row.try_get(4)?,
            failure: row.try_get(5)?,
            log: row.try_get(6)?,
        };
        let rounds = values.rounds_of(tx, run, columns.job).await?;
        failed.add(run, columns, rounds)?;
        if failed.is_full() {
            break;
        }
    }
    Ok(failed)
}
