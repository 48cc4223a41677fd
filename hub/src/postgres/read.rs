//! Reading what a change set needs: few queries, each for many rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::leasing::rate::rate_for_key;
use super::originals::read_originals;
use super::query::{fan_out_row, hint, node, query, select_fan_outs, state};
use crate::error::HubError;
use crate::jobs::attempts::{LastAttempt, usage_from_columns};
use crate::jobs::changes::rows::{DoneRow, JobRow};
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot, merge_ranges};
use crate::jobs::columns::small;
use crate::jobs::instance::{FanOut, IdRange, Location, MAX_ID};
use crate::jobs::state::state_code;

/// Columns of `job`, in the order of [`job_row`], and the statement's other parts.
macro_rules! select_jobs {
    ($($rest:expr),+) => {
        concat!(
            "SELECT job.id, job.node, job.fanout, job.run, job.state, job.waiting_for, job.scope, job.priority, job.rate,
                 job.hinted, job.env, job.env_from, job.available_at, job.lease_end, job.token, job.reported, job.worker,
                 job.attempts, job.pendings, job.pending_since, job.releases, job.resets, job.blocked_by,
                 job.isolated, job.expires_at, job.scope_hint, job.scope_from, job.started_at, job.earlier",
            $($rest),+
        )
    };
}
/// Columns behind those of `job`: the range that a row was wanted for.
const RANGE_FIRST: usize = 29;
const RANGE_END: usize = 30;

/// One row of each range, beside those that were read before.
macro_rules! select_one_each {
    ($($condition:expr),+) => {
        select_jobs!(
            ", wanted.first, wanted.stop FROM unnest($1::int8[], $2::int8[]) AS wanted (first, stop)
             CROSS JOIN LATERAL (SELECT * FROM job WHERE job.id >= wanted.first AND job.id < wanted.stop AND ",
            $($condition),+,
            " AND job.id <> ALL($3) ORDER BY job.id LIMIT 1) AS job"
        )
    };
}

/// Rows that were read.
pub(super) struct Fetched {
    ranges: Vec<IdRange>,
    jobs: Vec<JobRow>,
    done: Vec<DoneRow>,
    fan_outs: Vec<FanOut>,
}

impl Fetched {
    /// Adds the rows to a snapshot, and removes them from what is needed.
    pub(super) fn add_to(self, snapshot: &mut Snapshot, required: &mut RequiredReads) {
        snapshot.jobs.extend(self.jobs.into_iter().map(|row| (row.location.id, row)));
        self.ranges.into_iter().for_each(|range| snapshot.mark_jobs_read(range));
        snapshot.done.extend(self.done.into_iter().map(|row| (row.location.id, row)));
        snapshot.done_lookups.extend(std::mem::take(&mut required.done));
        snapshot.fan_outs.extend(self.fan_outs.into_iter().map(|fan_out| (fan_out.id, fan_out)));
        snapshot.fan_out_lookups.extend(std::mem::take(&mut required.fan_outs));
        required.jobs.clear();
        required.job_ranges.clear();
    }
}

/// Reads rows of `job`, and `read_ahead` rows from each needed one on, since dependants are behind what they wait for; of
/// `done`; and of `fanout`.
pub(super) async fn fetch(
    tx: &Transaction<'_>,
    required: &RequiredReads,
    read_ahead: i64,
) -> Result<Fetched, HubError> {
    let ahead = required.jobs.iter().map(|id| (*id, id.saturating_add(read_ahead)));
    let ranges = merge_ranges(ahead.chain(required.job_ranges.iter().copied()), 0);
    // pipelined: one round trip for all three
    let (jobs, done, fan_outs) =
        tokio::try_join!(read_jobs(tx, &ranges), read_done(tx, &required.done), read_fan_outs(tx, &required.fan_outs))?;
    Ok(Fetched { ranges, jobs, done, fan_outs })
}

/// Reads what is needed.
pub(super) async fn read(
    tx: &Transaction<'_>,
    snapshot: &mut Snapshot,
    mut required: RequiredReads,
    now: i64,
    read_ahead: i64,
) -> Result<(), HubError> {
    fetch(tx, &required, read_ahead).await?.add_to(snapshot, &mut required);
    read_originals(tx, snapshot, &required, read_ahead).await?;
    read_open(tx, snapshot, required.open).await?;
    read_first_failed(tx, snapshot, required.first_failed).await?;
    for (id, node) in required.round_rows {
        read_round_rows(tx, snapshot, id, node).await?;
    }
    for source in required.elements {
        let sql = "SELECT first + count FROM chunk WHERE source = $1 ORDER BY first DESC LIMIT 1";
        let rows = query(tx, sql, &[&source]).await?;
        snapshot.elements.insert(source, rows.first().map_or(Ok(0), |row| row.try_get(0))?);
    }
    for run in required.failed_counts {
        let rows = query(tx, "SELECT count(*) FROM failed WHERE run = $1", &[&run]).await?;
        snapshot.failed_counts.insert(run, rows.first().map_or(Ok(0), |row| row.try_get(0))?);
    }
    for rate in required.keyed_rates {
        let id = rate_for_key(tx, snapshot, rate, now).await?;
        snapshot.keyed_rates.insert(rate, id);
    }
    for count in required.ids {
        snapshot.ids.push((allocate_ids(tx, count).await?, count));
    }
    Ok(())
}

async fn read_jobs(tx: &Transaction<'_>, ranges: &[IdRange]) -> Result<Vec<JobRow>, HubError> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let (firsts, ends): (Vec<i64>, Vec<i64>) = ranges.iter().copied().unzip();
    let sql = select_jobs!(
        " FROM unnest($1::int8[], $2::int8[]) AS wanted (first, stop)
         CROSS JOIN LATERAL (SELECT * FROM job WHERE job.id >= wanted.first AND job.id < wanted.stop OFFSET 0) AS job"
    );
    query(tx, sql, &[&firsts, &ends]).await?.iter().map(job_row).collect()
}

async fn read_done(tx: &Transaction<'_>, ids: &BTreeSet<i64>) -> Result<Vec<DoneRow>, HubError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().copied().collect();
    let sql = "SELECT id, node, fanout, run, state, token, worker, attempts, resets, hint, env, scope_hint, same,
             started_at, ended_at, run_ms, cpu_ms, peak_memory, earlier FROM done
         WHERE id = ANY($1)";
    query(tx, sql, &[&ids]).await?.iter().map(done_row).collect()
}

/// Reads those of these fan-outs that have started.
pub(super) async fn read_fan_outs(tx: &Transaction<'_>, ids: &BTreeSet<i64>) -> Result<Vec<FanOut>, HubError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().copied().collect();
    query(tx, select_fan_outs!("id = ANY($1)"), &[&ids]).await?.iter().map(fan_out_row).collect()
}

/// Reads the first open row of each range that was not read before.
async fn read_open(
    tx: &Transaction<'_>,
    snapshot: &mut Snapshot,
    mut ranges: BTreeSet<IdRange>,
) -> Result<(), HubError> {
    let sql = select_one_each!("state < ", state_code!(Failed));
    for (range, row) in one_each(tx, snapshot, &ranges, sql).await? {
        ranges.remove(&range);
        snapshot.jobs.insert(row.location.id, row);
    }
    snapshot.no_other_open.extend(ranges);
    Ok(())
}

/// Reads the first failed or stuck row of each range that was not read before.
async fn read_first_failed(
    tx: &Transaction<'_>,
    snapshot: &mut Snapshot,
    ranges: BTreeSet<IdRange>,
) -> Result<(), HubError> {
    let sql = select_one_each!("state >= ", state_code!(Failed));
    let rows = one_each(tx, snapshot, &ranges, sql).await?;
    snapshot.first_failed.extend(ranges.into_iter().map(|range| (range, None)));
    for (range, row) in rows {
        snapshot.first_failed.insert(range, Some(row.location.id));
        snapshot.jobs.insert(row.location.id, row);
    }
    Ok(())
}

/// Runs a query for one row of each range.
async fn one_each(
    tx: &Transaction<'_>,
    snapshot: &Snapshot,
    ranges: &BTreeSet<IdRange>,
    sql: &str,
) -> Result<Vec<(IdRange, JobRow)>, HubError> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let (firsts, ends): (Vec<i64>, Vec<i64>) = ranges.iter().copied().unzip();
    let mut read: Vec<i64> = Vec::new();
    for (first, end) in ranges {
        read.extend(snapshot.jobs.range(*first..*end).map(|(id, _)| *id));
    }
    let rows = query(tx, sql, &[&firsts, &ends, &read]).await?;
    rows.iter().map(|row| Ok(((row.try_get(RANGE_FIRST)?, row.try_get(RANGE_END)?), job_row(row)?))).collect()
}

/// Reads the rows of a node in all rounds of a fan-out, as far as they may wait for something.
async fn read_round_rows(tx: &Transaction<'_>, snapshot: &mut Snapshot, id: i64, node: u32) -> Result<(), HubError> {
    let Some(fan_out) = snapshot.fan_outs.get(&id) else { return Ok(()) };
    let (first, end) = fan_out.expanded_ids();
    let sql = select_jobs!(" FROM job WHERE id >= $1 AND id < $2 AND node = $3 AND state <> ", state_code!(Failed));
    for row in query(tx, sql, &[&first, &end, &i64::from(node)]).await? {
        let row = job_row(&row)?;
        snapshot.jobs.insert(row.location.id, row);
    }
    snapshot.round_rows.insert((id, node));
    Ok(())
}

/// Allocates this many ids, which were never used before: the row stays locked until the transaction ends. Returns the first.
pub(super) async fn allocate_ids(tx: &Transaction<'_>, count: i64) -> Result<i64, HubError> {
    let sql = "UPDATE sequence SET next = next + $1 WHERE next + $1 < $2 RETURNING next - $1";
    let rows = query(tx, sql, &[&count, &MAX_ID]).await?;
    let row = rows.first().ok_or_else(|| HubError::damaged("the ids are used up"))?;
    Ok(row.try_get(0)?)
}

fn job_row(row: &Row) -> Result<JobRow, HubError> {
    Ok(JobRow {
        location: Location { id: row.try_get(0)?, node: node(row.try_get(1)?), fanout: row.try_get(2)? },
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
        isolated: row.try_get(23)?,
        expires_at: row.try_get(24)?,
        scope_hint: row.try_get::<_, Option<&str>>(25)?.map(Arc::from),
        scope_from: row.try_get::<_, Option<i64>>(26)?.map(node),
        started_at: row.try_get(27)?,
        earlier: row.try_get(28)?,
        ending: None,
        failure: None,
        log: None,
    })
}

/// Reads a row's last attempt from five columns.
pub(super) fn last_attempt(row: &Row, first: usize) -> Result<LastAttempt, HubError> {
    Ok(LastAttempt {
        started_at: row.try_get(first)?,
        ended_at: row.try_get(first + 1)?,
        usage: usage_from_columns((row.try_get(first + 2)?, row.try_get(first + 3)?, row.try_get(first + 4)?)),
    })
}

fn done_row(row: &Row) -> Result<DoneRow, HubError> {
    Ok(DoneRow {
        location: Location { id: row.try_get(0)?, node: node(row.try_get(1)?), fanout: row.try_get(2)? },
        run: row.try_get(3)?,
        state: state(row.try_get(4)?)?,
        token: row.try_get(5)?,
        worker: row.try_get::<_, Option<&str>>(6)?.map(Arc::from),
        attempts: small(row.try_get(7)?),
        resets: small(row.try_get(8)?),
        hint: hint(row, 9)?,
        value: None,
        copied: None,
        same: row.try_get(12)?,
        last: last_attempt(row, 13)?,
        earlier: row.try_get(18)?,
        log: None,
    })
}
