//! Writing a [`Draft`] down: one statement for each kind of change, whatever their number.

use std::pin::pin;

use bue_model::RunState;
use deadpool_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use super::read::tell;
use crate::error::HubError;
use crate::jobs::counts::Counts;
use crate::jobs::draft::{DoneRow, Draft, JobRow};
use crate::jobs::state::run_state_code;

/// Writes all changes. Safe because the runs are locked since before their rows were read; and rows of `job` are changed
/// only under the token they were read with, so a change that was decided on an older lease would be refused as a whole.
pub(super) async fn write(tx: &Transaction<'_>, draft: &Draft<'_>) -> Result<(), HubError> {
    let is_stored = |id: &i64| draft.known.jobs.contains_key(id);
    let gone = draft.jobs.iter().filter(|(_, row)| row.is_none());
    let gone: Vec<&JobRow> = gone.filter_map(|(id, _)| draft.known.jobs.get(id)).collect();
    let (old, new): (Vec<&JobRow>, Vec<&JobRow>) =
        draft.jobs.values().flatten().partition(|row| is_stored(&row.slot.id));
    let (logged, unlogged): (Vec<&DoneRow>, Vec<&DoneRow>) =
        draft.done.values().flatten().partition(|row| row.log.is_some());
    let back: Vec<i64> = draft.done.keys().filter(|id| draft.known.done.contains_key(id)).copied().collect();
    // before the rows of `job` go, because their logs go along
    bury(tx, draft.now, &unlogged).await?;
    // what is joined here is sent at once and waited for once; no two of them are about the same rows
    tokio::try_join!(
        delete_done(tx, &back),
        delete_jobs(tx, &gone),
        update_jobs(tx, &old),
        write_fan_outs(tx, draft),
        write_chunks(tx, draft),
        write_failed(tx, draft),
        write_counts(tx, &draft.counts),
        write_runs(tx, draft),
        copy_done(tx, draft.now, &logged),
        copy_jobs(tx, &new)
    )
    .map(drop)
}

/// The column of many rows.
macro_rules! column {
    ($rows:expr, $row:ident => $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

/// Into `done` with the logs of their rows in `job`.
async fn bury(tx: &Transaction<'_>, now: i64, rows: &[&DoneRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO done (id, run, node, fanout, state, token, worker, attempts, resets, hint, env, value, log, ended_at)
         SELECT new.*, job.log, $13
         FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::text[], $8::int8[],
             $9::int8[], $10::int8[], $11::bytea[], $12::bytea[])
             AS new (id, run, node, fanout, state, token, worker, attempts, resets, hint, env, value)
         LEFT JOIN job ON job.id = new.id";
    tell(
        tx,
        sql,
        &[
            &column!(rows, row => row.slot.id),
            &column!(rows, row => row.run),
            &column!(rows, row => i64::from(row.slot.node.0)),
            &column!(rows, row => row.slot.fanout),
            &column!(rows, row => row.state as i64),
            &column!(rows, row => row.token),
            &column!(rows, row => row.worker.as_deref()),
            &column!(rows, row => i64::from(row.attempts)),
            &column!(rows, row => i64::from(row.resets)),
            &column!(rows, row => row.hint.priority),
            &column!(rows, row => row.hint.env.as_deref()),
            &column!(rows, row => row.value.as_deref()),
            &now,
        ],
    )
    .await?;
    Ok(())
}

async fn delete_done(tx: &Transaction<'_>, ids: &[i64]) -> Result<(), HubError> {
    if !ids.is_empty() {
        tell(tx, "DELETE FROM done WHERE id = ANY($1)", &[&ids]).await?;
    }
    Ok(())
}

/// A table that is copied into, row by row: a tenth of the work that statements with arrays are.
async fn copy_into(tx: &Transaction<'_>, sql: &str, types: &[Type]) -> Result<BinaryCopyInWriter, HubError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(BinaryCopyInWriter::new(tx.copy_in(&statement).await?, types))
}

/// Into `done` with logs of their own.
async fn copy_done(tx: &Transaction<'_>, now: i64, rows: &[&DoneRow]) -> Result<(), HubError> {
    const TYPES: &[Type] = &[
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::BYTEA,
        Type::BYTEA,
        Type::BYTEA,
        Type::INT8,
    ];
    if rows.is_empty() {
        return Ok(());
    }
    let sql =
        "COPY done (id, run, node, fanout, state, token, worker, attempts, resets, hint, env, value, log, ended_at)
         FROM STDIN (FORMAT binary)";
    let mut copy = pin!(copy_into(tx, sql, TYPES).await?);
    for row in rows {
        let log = row.log.as_ref().and_then(|log| log.as_deref());
        let values: &[&(dyn ToSql + Sync)] = &[
            &row.slot.id,
            &row.run,
            &i64::from(row.slot.node.0),
            &row.slot.fanout,
            &(row.state as i64),
            &row.token,
            &row.worker.as_deref(),
            &i64::from(row.attempts),
            &i64::from(row.resets),
            &row.hint.priority,
            &row.hint.env.as_deref(),
            &row.value.as_deref(),
            &log,
            &now,
        ];
        copy.as_mut().write(values).await?;
    }
    copy.finish().await?;
    Ok(())
}

async fn delete_jobs(tx: &Transaction<'_>, rows: &[&JobRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM job USING unnest($1::int8[], $2::int8[]) AS old (id, token)
         WHERE job.id = old.id AND job.token = old.token";
    let changed = tell(tx, sql, &[&column!(rows, row => row.slot.id), &column!(rows, row => row.token)]).await?;
    expect_all(changed, rows.len())
}

/// A row that was read under a lock is not there any more as it was.
fn expect_all(changed: u64, expected: usize) -> Result<(), HubError> {
    match usize::try_from(changed) == Ok(expected) {
        true => Ok(()),
        false => Err(HubError::damaged("a job changed while its run was locked")),
    }
}

async fn copy_jobs(tx: &Transaction<'_>, rows: &[&JobRow]) -> Result<(), HubError> {
    const TYPES: &[Type] = &[
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::BYTEA,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
    ];
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "COPY job (id, run, node, fanout, state, waiting_for, scope, priority, rate, hinted, env, env_from,
             available_at, lease_end, token, reported, worker, attempts, pendings, pending_since, releases, resets, blocked_by)
         FROM STDIN (FORMAT binary)";
    let mut copy = pin!(copy_into(tx, sql, TYPES).await?);
    for row in rows {
        let values: &[&(dyn ToSql + Sync)] = &[
            &row.slot.id,
            &row.run,
            &i64::from(row.slot.node.0),
            &row.slot.fanout,
            &(row.state as i64),
            &row.waiting_for,
            &&*row.scope,
            &row.priority,
            &row.rate,
            &row.hinted.map(|node| i64::from(node.0)),
            &row.env.as_deref(),
            &row.env_from.map(|node| i64::from(node.0)),
            &row.available_at,
            &row.lease_end,
            &row.token,
            &row.reported,
            &row.worker.as_deref(),
            &i64::from(row.attempts),
            &i64::from(row.pendings),
            &row.pending_since,
            &i64::from(row.releases),
            &i64::from(row.resets),
            &row.blocked_by,
        ];
        copy.as_mut().write(values).await?;
    }
    copy.finish().await?;
    Ok(())
}

async fn update_jobs(tx: &Transaction<'_>, rows: &[&JobRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql =
        "UPDATE job SET state = new.state, waiting_for = new.waiting_for, priority = new.priority, hinted = new.hinted,
             env = new.env, env_from = new.env_from, available_at = new.available_at, lease_end = new.lease_end,
             reported = new.reported, attempts = new.attempts, pendings = new.pendings,
             pending_since = new.pending_since, releases = new.releases, resets = new.resets,
             blocked_by = new.blocked_by, failure = coalesce(new.failure, job.failure),
             log = CASE WHEN new.relog THEN new.log ELSE job.log END, rate = new.rate
         FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::bytea[], $8::int8[],
             $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::int8[], $16::int8[],
             $17::int8[], $18::bytea[], $19::bool[], $20::bytea[], $21::int8[])
             AS new (id, token, state, waiting_for, priority, hinted, env, env_from, available_at, lease_end, reported,
                 attempts, pendings, pending_since, releases, resets, blocked_by, failure, relog, log, rate)
         WHERE job.id = new.id AND job.token = new.token";
    let changed = tell(
        tx,
        sql,
        &[
            &column!(rows, row => row.slot.id),
            &column!(rows, row => row.token),
            &column!(rows, row => row.state as i64),
            &column!(rows, row => row.waiting_for),
            &column!(rows, row => row.priority),
            &column!(rows, row => row.hinted.map(|node| i64::from(node.0))),
            &column!(rows, row => row.env.as_deref()),
            &column!(rows, row => row.env_from.map(|node| i64::from(node.0))),
            &column!(rows, row => row.available_at),
            &column!(rows, row => row.lease_end),
            &column!(rows, row => row.reported),
            &column!(rows, row => i64::from(row.attempts)),
            &column!(rows, row => i64::from(row.pendings)),
            &column!(rows, row => row.pending_since),
            &column!(rows, row => i64::from(row.releases)),
            &column!(rows, row => i64::from(row.resets)),
            &column!(rows, row => row.blocked_by),
            &column!(rows, row => row.failure.as_deref()),
            &column!(rows, row => row.log.is_some()),
            &column!(rows, row => row.log.as_ref().and_then(|log| log.as_deref())),
            &column!(rows, row => row.rate),
        ],
    )
    .await?;
    expect_all(changed, rows.len())
}

async fn write_fan_outs(tx: &Transaction<'_>, draft: &Draft<'_>) -> Result<(), HubError> {
    let rows: Vec<_> = draft.fan_outs.values().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO fanout (id, run, node, outside, source, first, stride, count, expanded, settled, failed)
         SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
             $8::int8[], $9::int8[], $10::int8[], $11::int8[])
         ON CONFLICT (id) DO UPDATE SET expanded = excluded.expanded, settled = excluded.settled, failed = excluded.failed";
    tell(
        tx,
        sql,
        &[
            &column!(rows, row => row.id),
            &column!(rows, row => row.run),
            &column!(rows, row => i64::from(row.node.0)),
            &column!(rows, row => row.outer),
            &column!(rows, row => row.source),
            &column!(rows, row => row.first),
            &column!(rows, row => row.stride),
            &column!(rows, row => row.count),
            &column!(rows, row => row.expanded),
            &column!(rows, row => row.settled),
            &column!(rows, row => row.failed),
        ],
    )
    .await?;
    Ok(())
}

async fn write_chunks(tx: &Transaction<'_>, draft: &Draft<'_>) -> Result<(), HubError> {
    let rows = &draft.chunks;
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO chunk (source, first, count, value)
         SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::bytea[])
         ON CONFLICT (source, first) DO UPDATE SET count = excluded.count, value = excluded.value";
    let (sources, firsts) = (column!(rows, row => row.source), column!(rows, row => row.first));
    let (counts, values) = (column!(rows, row => row.count), column!(rows, row => row.value.as_slice()));
    tell(tx, sql, &[&sources, &firsts, &counts, &values]).await?;
    Ok(())
}

async fn write_failed(tx: &Transaction<'_>, draft: &Draft<'_>) -> Result<(), HubError> {
    let pick = |wanted| draft.failed.iter().filter(move |(_, listed)| **listed == wanted).map(|(key, _)| *key).unzip();
    let (runs, jobs): (Vec<i64>, Vec<i64>) = pick(true);
    if !runs.is_empty() {
        let sql = "INSERT INTO failed (run, job) SELECT * FROM unnest($1::int8[], $2::int8[]) ON CONFLICT DO NOTHING";
        tell(tx, sql, &[&runs, &jobs]).await?;
    }
    let (runs, jobs): (Vec<i64>, Vec<i64>) = pick(false);
    if !runs.is_empty() {
        let sql = "DELETE FROM failed USING unnest($1::int8[], $2::int8[]) AS old (run, job)
             WHERE failed.run = old.run AND failed.job = old.job";
        tell(tx, sql, &[&runs, &jobs]).await?;
    }
    Ok(())
}

/// Safe to add blindly: the rows are made with the run, which is locked.
pub(super) async fn write_counts(tx: &Transaction<'_>, counts: &Counts) -> Result<(), HubError> {
    let rows: Vec<_> = counts.0.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sql =
        "UPDATE step_count AS old SET blocked = old.blocked + new.blocked, available = old.available + new.available,
             running = old.running + new.running, completed = old.completed + new.completed,
             failed = old.failed + new.failed, cancelled = old.cancelled + new.cancelled,
             attempts = old.attempts + new.attempts, retries = old.retries + new.retries,
             pendings = old.pendings + new.pendings, resets = old.resets + new.resets, run_ms = old.run_ms + new.run_ms
         FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
             $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[])
             AS new (run, step, blocked, available, running, completed, failed, cancelled, attempts, retries, pendings,
                 resets, run_ms)
         WHERE old.run = new.run AND old.step = new.step";
    tell(
        tx,
        sql,
        &[
            &column!(rows, row => row.0.0),
            &column!(rows, row => i64::from(row.0.1)),
            &column!(rows, row => row.1.blocked),
            &column!(rows, row => row.1.available),
            &column!(rows, row => row.1.running),
            &column!(rows, row => row.1.completed),
            &column!(rows, row => row.1.failed),
            &column!(rows, row => row.1.cancelled),
            &column!(rows, row => row.1.attempts),
            &column!(rows, row => row.1.retries),
            &column!(rows, row => row.1.pendings),
            &column!(rows, row => row.1.resets),
            &column!(rows, row => row.1.run_ms),
        ],
    )
    .await?;
    Ok(())
}

async fn write_runs(tx: &Transaction<'_>, draft: &Draft<'_>) -> Result<(), HubError> {
    for (key, (state, finished_at)) in &draft.run_states {
        let sql = "UPDATE run SET state = $2, finished_at = $3 WHERE key = $1";
        tell(tx, sql, &[key, &run_state_code(*state), finished_at]).await?;
        if matches!(state, RunState::Completed | RunState::Cancelled) {
            // nothing of it will ever start again
            tell(tx, "DELETE FROM rate_start WHERE rate IN (SELECT id FROM rate WHERE run = $1)", &[key]).await?;
            tell(tx, "DELETE FROM rate WHERE run = $1", &[key]).await?;
        }
    }
    let touched: Vec<i64> = draft.touched.iter().copied().collect();
    if !touched.is_empty() {
        tell(tx, "UPDATE run SET version = version + 1 WHERE key = ANY($1)", &[&touched]).await?;
    }
    Ok(())
}
