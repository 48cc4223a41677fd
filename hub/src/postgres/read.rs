//! Reading what a [`Draft`](crate::jobs::draft::Draft) needs: few questions, each for many rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use bue_model::{BlobRef, NodeId, Plan, RunId};
use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use crate::error::HubError;
use crate::jobs::columns::from_blob;
use crate::jobs::draft::{DoneRow, JobRow, Known, Needs, Stretch, joined};
use crate::jobs::graph::Graph;
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{FanOut, Run, Slot};
use crate::jobs::state::{State, run_state_of_code};

use super::Inner;
use super::rate::rate_of_key;

/// Columns of `job`, as [`job_row`] takes them.
const JOB: &str = "job.id, job.node, job.fanout, job.run, job.state, job.waiting_for, job.scope, job.priority, job.rate, \
     job.hinted, job.env, job.env_from, job.available_at, job.lease_end, job.token, job.reported, job.worker, \
     job.attempts, job.pendings, job.pending_since, job.releases, job.resets, job.blocked_by";
/// Columns of `fanout`, as [`fan_out_row`] takes them.
pub(super) const FAN_OUT: &str = "id, run, node, outside, source, first, stride, count, expanded, settled, failed";

/// One question, prepared once for each connection.
pub(super) async fn ask(tx: &Transaction<'_>, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, HubError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.query(&statement, values).await?)
}

/// One change; the number of rows it met.
pub(super) async fn tell(tx: &Transaction<'_>, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, HubError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.execute(&statement, values).await?)
}

pub(super) fn state(code: i64) -> Result<State, HubError> {
    State::of_code(code).ok_or_else(|| HubError::damaged(format!("a row has the state {code}")))
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn node(number: i64) -> NodeId {
    NodeId(small(number))
}

/// A row's place, where the columns begin with id, run, node and fan-out.
pub(super) fn slot(row: &Row) -> Result<Slot, HubError> {
    Ok(Slot { id: row.try_get(0)?, node: node(row.try_get(2)?), fanout: row.try_get(3)? })
}

fn job_row(row: &Row) -> Result<JobRow, HubError> {
    Ok(JobRow {
        slot: Slot { id: row.try_get(0)?, node: node(row.try_get(1)?), fanout: row.try_get(2)? },
        run: row.try_get(3)?,
        state: state(row.try_get(4)?)?,
        waiting_for: row.try_get(5)?,
        scope: Arc::from(row.try_get::<_, &str>(6)?),
        priority: row.try_get(7)?,
        rate: row.try_get(8)?,
        hinted: row.try_get::<_, Option<i64>>(9)?.map(node),
        env: row.try_get(10)?,
        env_from: row.try_get::<_, Option<i64>>(11)?.map(node),
        available_at: row.try_get(12)?,
        lease_end: row.try_get(13)?,
        token: row.try_get(14)?,
        reported: row.try_get(15)?,
        worker: row.try_get::<_, Option<&str>>(16)?.map(Arc::from),
        attempts: small(row.try_get(17)?),
        pendings: small(row.try_get(18)?),
        pending_since: row.try_get(19)?,
        releases: small(row.try_get(20)?),
        resets: small(row.try_get(21)?),
        blocked_by: row.try_get(22)?,
        failure: None,
        log: None,
    })
}

pub(super) fn fan_out_row(row: &Row) -> Result<FanOut, HubError> {
    Ok(FanOut {
        id: row.try_get(0)?,
        run: row.try_get(1)?,
        node: node(row.try_get(2)?),
        outer: row.try_get(3)?,
        source: row.try_get(4)?,
        first: row.try_get(5)?,
        stride: row.try_get(6)?,
        count: row.try_get(7)?,
        expanded: row.try_get(8)?,
        settled: row.try_get(9)?,
        failed: row.try_get(10)?,
    })
}

impl Inner {
    /// A run by its key: what never changes of it.
    pub(super) async fn run(&self, tx: &Transaction<'_>, key: i64) -> Result<Arc<Run>, HubError> {
        if let Some(run) = self.runs().get(key) {
            return Ok(run);
        }
        let sql = "SELECT run.id, run.first, plan.body FROM run JOIN plan ON plan.run = run.key WHERE run.key = $1";
        let rows = ask(tx, sql, &[&key]).await?;
        let row = rows.first().ok_or_else(|| HubError::damaged(format!("run {key} has no plan")))?;
        let (plan, code): (Plan, Vec<BlobRef>) = from_blob(row.try_get(2)?)?;
        let id = RunId(row.try_get::<_, Uuid>(0)?);
        let run = Arc::new(Run { key, id, first: row.try_get(1)?, graph: Graph::new(plan, code)? });
        self.runs().keep(run.clone());
        Ok(run)
    }

    /// Locks runs, then reads them.
    pub(super) async fn lock(&self, tx: &Transaction<'_>, keys: &[i64], known: &mut Known) -> Result<(), HubError> {
        let lock = tx.prepare_cached(LOCK_RUNS).await?;
        let rows = lock_runs(tx, &lock, keys).await?;
        self.learn(tx, rows, known).await
    }

    /// What never changes of locked runs, and how they stand.
    pub(super) async fn learn(&self, tx: &Transaction<'_>, rows: Vec<Row>, known: &mut Known) -> Result<(), HubError> {
        for row in rows {
            let (key, code): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let state =
                run_state_of_code(code).ok_or_else(|| HubError::damaged(format!("run {key} is in state {code}")))?;
            known.run_states.insert(key, state);
            let run = self.run(tx, key).await?;
            if run.graph.steps.iter().any(|step| step.settings.rate.is_some()) {
                for rate in ask(tx, "SELECT step, id FROM rate WHERE run = $1 AND key = ''", &[&key]).await? {
                    known.rates.insert((key, small(rate.try_get(0)?)), rate.try_get(1)?);
                }
            }
            known.runs.insert(key, run);
        }
        Ok(())
    }
}

/// Locks runs, in the order of their keys, so that two hubs never wait for each other in a circle.
pub(super) const LOCK_RUNS: &str = "SELECT key, state FROM run WHERE key = ANY($1) ORDER BY key FOR UPDATE";

/// The statement above: keys and states. It is sent when this is first looked at.
pub(super) async fn lock_runs(tx: &Transaction<'_>, lock: &Statement, keys: &[i64]) -> Result<Vec<Row>, HubError> {
    Ok(tx.query(lock, &[&keys]).await?)
}

/// Rows that were read.
pub(super) struct Fetched {
    stretches: Vec<Stretch>,
    jobs: Vec<JobRow>,
    done: Vec<DoneRow>,
    fan_outs: Vec<FanOut>,
}

impl Fetched {
    /// Now they are known, and so is where else it was looked.
    pub(super) fn put_into(self, known: &mut Known, needs: &mut Needs) {
        known.jobs.extend(self.jobs.into_iter().map(|row| (row.slot.id, row)));
        self.stretches.into_iter().for_each(|stretch| known.looked_at_jobs(stretch));
        known.done.extend(self.done.into_iter().map(|row| (row.slot.id, row)));
        known.looked_at_done.extend(std::mem::take(&mut needs.done));
        known.fan_outs.extend(self.fan_outs.into_iter().map(|fan_out| (fan_out.id, fan_out)));
        known.looked_at_fan_outs.extend(std::mem::take(&mut needs.fan_outs));
        needs.jobs.clear();
        needs.stretches.clear();
    }
}

/// Reads rows of `job`, and `gulp` rows behind each, since dependants stand behind what they wait for; of `done`, and of `fanout`.
pub(super) async fn fetch(tx: &Transaction<'_>, needs: &Needs, gulp: i64) -> Result<Fetched, HubError> {
    let gulps = needs.jobs.iter().map(|id| (*id, id.saturating_add(gulp)));
    let stretches = joined(gulps.chain(needs.stretches.iter().copied()), 0);
    // sent at once and waited for once
    let (jobs, done, fan_outs) =
        tokio::try_join!(read_jobs(tx, &stretches), read_done(tx, &needs.done), read_fan_outs(tx, &needs.fan_outs))?;
    Ok(Fetched { stretches, jobs, done, fan_outs })
}

/// Reads what is needed.
pub(super) async fn read(
    tx: &Transaction<'_>,
    known: &mut Known,
    mut needs: Needs,
    (now, gulp): (i64, i64),
) -> Result<(), HubError> {
    fetch(tx, &needs, gulp).await?.put_into(known, &mut needs);
    read_one_each(tx, known, &needs).await?;
    for (id, wanted) in needs.alive {
        let Some(fan_out) = known.fan_outs.get(&id) else { continue };
        let (first, end) = (fan_out.first, fan_out.round(fan_out.expanded));
        let sql = format!("SELECT {JOB} FROM job WHERE id >= $1 AND id < $2 AND node = $3 AND state <> 5");
        for row in ask(tx, &sql, &[&first, &end, &i64::from(wanted)]).await? {
            let row = job_row(&row)?;
            known.jobs.insert(row.slot.id, row);
        }
        known.alive.insert((id, wanted));
    }
    for source in needs.elements {
        let sql = "SELECT first + count FROM chunk WHERE source = $1 ORDER BY first DESC LIMIT 1";
        let rows = ask(tx, sql, &[&source]).await?;
        known.elements.insert(source, rows.first().map_or(Ok(0), |row| row.try_get(0))?);
    }
    for (run, step, key) in needs.keyed_rates {
        let rate = rate_of_key(tx, known, (run, step, key), now).await?;
        known.keyed_rates.insert((run, step, key), rate);
    }
    for count in needs.ids {
        known.ids.push((take_ids(tx, count).await?, count));
    }
    Ok(())
}

async fn read_jobs(tx: &Transaction<'_>, stretches: &[Stretch]) -> Result<Vec<JobRow>, HubError> {
    if stretches.is_empty() {
        return Ok(Vec::new());
    }
    let (firsts, ends): (Vec<i64>, Vec<i64>) = stretches.iter().copied().unzip();
    let sql = format!(
        "SELECT {JOB} FROM unnest($1::int8[], $2::int8[]) AS stretch (first, stop)
         CROSS JOIN LATERAL (SELECT * FROM job WHERE job.id >= stretch.first AND job.id < stretch.stop OFFSET 0) AS job"
    );
    ask(tx, &sql, &[&firsts, &ends]).await?.iter().map(job_row).collect()
}

async fn read_done(tx: &Transaction<'_>, ids: &BTreeSet<i64>) -> Result<Vec<DoneRow>, HubError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().copied().collect();
    let sql =
        "SELECT id, node, fanout, run, state, token, worker, attempts, resets, hint, env FROM done WHERE id = ANY($1)";
    ask(tx, sql, &[&ids]).await?.iter().map(done_row).collect()
}

/// Fan-outs that have begun, of these.
pub(super) async fn read_fan_outs(tx: &Transaction<'_>, ids: &BTreeSet<i64>) -> Result<Vec<FanOut>, HubError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().copied().collect();
    let sql = format!("SELECT {FAN_OUT} FROM fanout WHERE id = ANY($1)");
    ask(tx, &sql, &[&ids]).await?.iter().map(fan_out_row).collect()
}

/// One open, or the first dead, row of each stretch, apart from those that are known.
async fn read_one_each(tx: &Transaction<'_>, known: &mut Known, needs: &Needs) -> Result<(), HubError> {
    for (stretches, open) in [(&needs.open, true), (&needs.dead, false)] {
        if stretches.is_empty() {
            continue;
        }
        let (firsts, ends): (Vec<i64>, Vec<i64>) = stretches.iter().copied().unzip();
        let mut seen: Vec<i64> = Vec::new();
        for (first, end) in stretches {
            seen.extend(known.jobs.range(*first..*end).map(|(id, _)| *id));
        }
        let which = if open { "state < 5" } else { "state >= 5" };
        let sql = format!(
            "SELECT {JOB}, stretch.first, stretch.stop FROM unnest($1::int8[], $2::int8[]) AS stretch (first, stop)
             CROSS JOIN LATERAL (SELECT * FROM job WHERE job.id >= stretch.first AND job.id < stretch.stop AND {which}
                 AND job.id <> ALL($3) ORDER BY job.id LIMIT 1) AS job"
        );
        let mut empty = stretches.clone();
        for row in ask(tx, &sql, &[&firsts, &ends, &seen]).await? {
            let stretch = (row.try_get(23)?, row.try_get(24)?);
            let row = job_row(&row)?;
            empty.remove(&stretch);
            if !open {
                known.first_dead.insert(stretch, Some(row.slot.id));
            }
            known.jobs.insert(row.slot.id, row);
        }
        for stretch in empty {
            if open {
                known.no_more_open.insert(stretch);
            } else {
                known.first_dead.insert(stretch, None);
            }
        }
    }
    Ok(())
}

fn done_row(row: &Row) -> Result<DoneRow, HubError> {
    Ok(DoneRow {
        slot: Slot { id: row.try_get(0)?, node: node(row.try_get(1)?), fanout: row.try_get(2)? },
        run: row.try_get(3)?,
        state: state(row.try_get(4)?)?,
        token: row.try_get(5)?,
        worker: row.try_get::<_, Option<&str>>(6)?.map(Arc::from),
        attempts: small(row.try_get(7)?),
        resets: small(row.try_get(8)?),
        hint: Hint { priority: row.try_get(9)?, env: row.try_get(10)? },
        value: None,
        log: None,
    })
}

/// As many ids as asked for, never given before: the row stays locked until the transaction ends.
pub(super) async fn take_ids(tx: &Transaction<'_>, count: i64) -> Result<i64, HubError> {
    // far below where sums of ids could overflow, and far above what any number of loops takes
    const END: i64 = 1 << 62;
    let sql = "UPDATE sequence SET next = next + $1 WHERE next + $1 < $2 RETURNING next - $1";
    let rows = ask(tx, sql, &[&count, &END]).await?;
    let row = rows.first().ok_or_else(|| HubError::damaged("the ids are used up"))?;
    Ok(row.try_get(0)?)
}
