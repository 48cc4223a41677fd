//! The tables, in a separate schema, and the migrations that create them. Forward only: a database of a later release is refused.
//!
//! They are those of the SQLite store, except that `fanout.outer` is called `outside` here, because `OUTER` is a keyword;
//! [`state`](crate::jobs::state) explains the numbers of states. A transaction that changes rows of a run holds the lock on its row
//! in `run`. The two exceptions, waking parked jobs and extending leases, skip rows that are locked.

use bue_model::{BlobRef, Plan};
use deadpool_postgres::{Client, Transaction};
use tokio_postgres::error::SqlState;

use super::query::{execute, node};
use crate::error::HubError;
use crate::jobs::columns::from_postcard;
use crate::jobs::failed_entry::FailedEntry;
use crate::jobs::graph::Graph;
use crate::jobs::param_index::stored_param_rows;
use crate::pipelines::with_values;

/// One script per layout, from an empty database to the newest.
const MIGRATIONS: &[&str] = &[V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13];

/// The advisory lock that is held while the layout is checked and changed, so that hubs that start together migrate once.
const LAYOUT_LOCK: i64 = 0x6275_6500;

const V1: &str = "
CREATE TABLE sequence (next BIGINT NOT NULL);
INSERT INTO sequence VALUES (1);

CREATE TABLE run (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    name TEXT NOT NULL,
    first BIGINT NOT NULL,
    state BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    version BIGINT NOT NULL
);
CREATE TABLE plan (run BIGINT PRIMARY KEY, body BYTEA NOT NULL);

CREATE TABLE job (
    id BIGINT PRIMARY KEY,
    run BIGINT NOT NULL,
    node BIGINT NOT NULL,
    fanout BIGINT NOT NULL,
    state BIGINT NOT NULL,
    waiting_for BIGINT NOT NULL,
    scope TEXT NOT NULL,
    priority BIGINT NOT NULL,
    rate BIGINT NOT NULL,
    hinted BIGINT,
    env BYTEA,
    env_from BIGINT,
    available_at BIGINT NOT NULL,
    lease_end BIGINT,
    token BIGINT NOT NULL,
    reported BIGINT NOT NULL,
    worker TEXT,
    attempts BIGINT NOT NULL,
    pendings BIGINT NOT NULL,
    pending_since BIGINT,
    releases BIGINT NOT NULL,
    resets BIGINT NOT NULL,
    blocked_by BIGINT,
    failure BYTEA,
    log BYTEA
);
CREATE INDEX job_ready ON job (scope, priority DESC, id) WHERE state = 2 AND rate = 0;
CREATE INDEX job_rated ON job (rate, priority DESC, id) WHERE state = 2 AND rate > 0;
CREATE INDEX job_parked ON job (available_at) WHERE state = 1;
CREATE INDEX job_running ON job (lease_end) WHERE state = 3;

CREATE TABLE done (
    id BIGINT PRIMARY KEY,
    run BIGINT NOT NULL,
    node BIGINT NOT NULL,
    fanout BIGINT NOT NULL,
    state BIGINT NOT NULL,
    token BIGINT NOT NULL,
    worker TEXT,
    attempts BIGINT NOT NULL,
    resets BIGINT NOT NULL,
    hint BIGINT,
    env BYTEA,
    value BYTEA,
    log BYTEA,
    ended_at BIGINT NOT NULL
);

CREATE TABLE fanout (
    id BIGINT PRIMARY KEY,
    run BIGINT NOT NULL,
    node BIGINT NOT NULL,
    outside BIGINT NOT NULL,
    source BIGINT NOT NULL,
    first BIGINT NOT NULL,
    stride BIGINT NOT NULL,
    count BIGINT NOT NULL,
    expanded BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    failed BIGINT NOT NULL
);
CREATE INDEX fanout_run ON fanout (run);
CREATE INDEX fanout_growing ON fanout (id) WHERE expanded < count;

CREATE TABLE chunk (
    source BIGINT NOT NULL,
    first BIGINT NOT NULL,
    count BIGINT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (source, first)
);

CREATE TABLE step_count (
    run BIGINT NOT NULL,
    step BIGINT NOT NULL,
    blocked BIGINT NOT NULL DEFAULT 0,
    available BIGINT NOT NULL DEFAULT 0,
    running BIGINT NOT NULL DEFAULT 0,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    cancelled BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    retries BIGINT NOT NULL DEFAULT 0,
    pendings BIGINT NOT NULL DEFAULT 0,
    resets BIGINT NOT NULL DEFAULT 0,
    run_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (run, step)
);

CREATE TABLE failed (run BIGINT NOT NULL, job BIGINT NOT NULL, PRIMARY KEY (run, job));

CREATE TABLE rate (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run BIGINT NOT NULL,
    step BIGINT NOT NULL,
    scope TEXT NOT NULL,
    count BIGINT NOT NULL,
    per_ms BIGINT NOT NULL,
    next BIGINT NOT NULL,
    open_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX rate_step ON rate (run, step);
CREATE INDEX rate_scope ON rate (scope, open_at);
CREATE TABLE rate_start (
    rate BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (rate, slot)
);
";

/// Rates by key.
const V2: &str = "
ALTER TABLE rate ADD COLUMN key BYTEA NOT NULL DEFAULT '';
ALTER TABLE rate ADD COLUMN idle_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX rate_step;
CREATE UNIQUE INDEX rate_step ON rate (run, step, key);
CREATE INDEX rate_idle ON rate (run, step, idle_at) WHERE key <> '';
DROP INDEX rate_scope;
CREATE INDEX job_of_rate ON job (rate) WHERE rate > 0;
";

/// The fan-outs of a run in the order of their rounds' ids, to list jobs.
const V3: &str = "
CREATE INDEX fanout_first ON fanout (run, first);
DROP INDEX fanout_run;
";

/// The secret that seals leases, of 366 random bits: a version 4 UUID has 122.
const V4: &str = "
CREATE TABLE lease_key (key BYTEA NOT NULL);
INSERT INTO lease_key
SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
";

/// Jobs that are leased alone, because their workers died several times.
const V5: &str = "
ALTER TABLE job ADD COLUMN isolated BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX job_isolated ON job (worker) WHERE state = 3 AND isolated;
CREATE INDEX job_suspect ON job (scope, available_at) WHERE state = 2 AND releases >= 3;
";

/// Published pipelines, and the runs that they started.
const V6: &str = "
CREATE TABLE pipeline (name TEXT PRIMARY KEY, current BIGINT NOT NULL);
CREATE TABLE pipeline_version (
    pipeline TEXT NOT NULL,
    version BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    script TEXT NOT NULL,
    body BYTEA NOT NULL,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (pipeline, version)
);
CREATE TABLE pipeline_upload (
    pipeline TEXT NOT NULL,
    version BIGINT NOT NULL,
    upload UUID NOT NULL,
    PRIMARY KEY (pipeline, version, upload)
);
CREATE UNIQUE INDEX pipeline_content ON pipeline_version (pipeline, hash);
CREATE TABLE invocation (
    run BIGINT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    version BIGINT NOT NULL,
    params TEXT NOT NULL,
    priority BIGINT NOT NULL
);
CREATE INDEX invocation_pipeline ON invocation (pipeline, run);
CREATE INDEX invocation_version ON invocation (pipeline, version);
";

/// Schedules, and the runs that they started; jobs that expire unless they start in time, which counts from the creation of the run or
/// its last reset; and limits of the jobs that run at the same time.
const V7: &str = "
CREATE TABLE schedule (
    name TEXT COLLATE \"C\" PRIMARY KEY,
    spec TEXT NOT NULL,
    progress TEXT NOT NULL,
    turn_at BIGINT
);
CREATE INDEX schedule_turn ON schedule (turn_at) WHERE turn_at IS NOT NULL;
CREATE TABLE schedule_run (run BIGINT PRIMARY KEY, schedule TEXT NOT NULL, due BIGINT NOT NULL);
CREATE INDEX schedule_run_due ON schedule_run (schedule, due);
ALTER TABLE run ADD COLUMN reset_at BIGINT;
ALTER TABLE job ADD COLUMN expires_at BIGINT;
CREATE INDEX job_expiring ON job (expires_at) WHERE expires_at IS NOT NULL AND state IN (1, 2);
ALTER TABLE rate ADD COLUMN at_most BIGINT NOT NULL DEFAULT 0;
CREATE INDEX job_counted ON job (rate) WHERE state = 3 AND rate > 0;
";

/// Jobs in other scopes than those of their steps, and runs that end with a `finally` block.
const V8: &str = "
ALTER TABLE job ADD COLUMN scope_hint TEXT;
ALTER TABLE job ADD COLUMN scope_from BIGINT;
ALTER TABLE job ADD COLUMN moved BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE done ADD COLUMN scope_hint TEXT;
CREATE INDEX job_moved ON job (run) WHERE moved;
DROP INDEX job_rated;
CREATE INDEX job_rated ON job (rate, scope, priority DESC, id) WHERE state = 2 AND rate > 0;
ALTER TABLE run ADD COLUMN ending BIGINT;
";

/// Runs that repeat others and reuse results, and when runs were cancelled.
const V9: &str = "
CREATE TABLE rerun (
    run BIGINT PRIMARY KEY,
    original UUID NOT NULL,
    first BIGINT NOT NULL,
    version BIGINT NOT NULL,
    reusable BYTEA NOT NULL,
    request TEXT NOT NULL
);
CREATE TABLE lender (run BIGINT NOT NULL, lender UUID NOT NULL, PRIMARY KEY (run, lender));
CREATE TABLE counterpart (
    fanout BIGINT NOT NULL,
    first BIGINT NOT NULL,
    count BIGINT NOT NULL,
    original BIGINT NOT NULL,
    PRIMARY KEY (fanout, first)
);
ALTER TABLE done ADD COLUMN same BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE step_count ADD COLUMN reused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN cancelled_at BIGINT;
UPDATE run SET cancelled_at = finished_at WHERE state = 3;
";

/// Lists of runs and of failed jobs in the order of time, by state, path, pipeline and parameters.
const V10: &str = "
CREATE INDEX run_created ON run (created_at, key);
CREATE INDEX run_state ON run (state, created_at, key);
CREATE INDEX run_name ON run (name, created_at, key);
ALTER TABLE invocation ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
UPDATE invocation SET created_at = run.created_at FROM run WHERE run.key = invocation.run;
DROP INDEX invocation_pipeline;
CREATE INDEX invocation_pipeline ON invocation (pipeline, created_at, run);
CREATE TABLE run_param (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    run BIGINT NOT NULL,
    PRIMARY KEY (name, value, created_at, run)
);
CREATE INDEX run_param_run ON run_param (run);
ALTER TABLE failed ADD COLUMN failed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE failed ADD COLUMN step TEXT NOT NULL DEFAULT '';
ALTER TABLE failed ADD COLUMN headline TEXT NOT NULL DEFAULT '';
UPDATE failed SET failed_at = coalesce(run.finished_at, run.created_at) FROM run WHERE run.key = failed.run;
CREATE INDEX failed_time ON failed (failed_at, job);
CREATE INDEX failed_step ON failed (step, failed_at, job);
";
/// Who changed what; and how many runs, jobs and workers there were.
const V11: &str = "
CREATE TABLE audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    role TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    run_id UUID,
    has_run BOOLEAN NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_time ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor, at, id);
CREATE INDEX audit_action ON audit (action, at, id);
CREATE INDEX audit_actor_action ON audit (actor, action, at, id);
CREATE INDEX audit_run ON audit (run_id, at, id) WHERE run_id IS NOT NULL;
CREATE INDEX audit_expiring ON audit (at) WHERE NOT has_run;
CREATE TABLE history (
    interval_ms BIGINT NOT NULL,
    at BIGINT NOT NULL,
    runs BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    available BIGINT NOT NULL,
    running BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    workers BIGINT NOT NULL,
    PRIMARY KEY (interval_ms, at)
);
";
/// Attempts of jobs, what the attempts of steps used, and how many jobs waited although they were ready.
const V12: &str = "
ALTER TABLE job ADD COLUMN started_at BIGINT;
ALTER TABLE job ADD COLUMN earlier BYTEA;
ALTER TABLE done ADD COLUMN started_at BIGINT;
ALTER TABLE done ADD COLUMN run_ms BIGINT;
ALTER TABLE done ADD COLUMN cpu_ms BIGINT;
ALTER TABLE done ADD COLUMN peak_memory BIGINT;
ALTER TABLE done ADD COLUMN earlier BYTEA;
CREATE TABLE step_usage (
    run BIGINT NOT NULL,
    step BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    cpu_ms BIGINT NOT NULL,
    peak_memory BIGINT NOT NULL,
    PRIMARY KEY (run, step, bucket)
);
ALTER TABLE invocation ADD COLUMN state BIGINT NOT NULL DEFAULT 0;
UPDATE invocation SET state = run.state FROM run WHERE run.key = invocation.run;
CREATE INDEX invocation_state ON invocation (pipeline, state, created_at, run);
ALTER TABLE history ADD COLUMN delayed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE history ADD COLUMN handed_back BIGINT NOT NULL DEFAULT 0;
";
/// Loops that run while their source does, and windows of loops.
const V13: &str = "
ALTER TABLE fanout ADD COLUMN streams BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE fanout ADD COLUMN max_live BIGINT NOT NULL DEFAULT 50000;
";
/// The layout whose new columns are filled in by code.
const LISTS_LAYOUT: i64 = 10;

/// Brings a database to the newest layout, in one transaction under a lock.
pub(super) async fn migrate(client: &mut Client, database: &str) -> Result<(), HubError> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LAYOUT_LOCK]).await?;
    let layout = read_layout(&tx, database).await.map_err(|error| match error {
        HubError::Postgres(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
            HubError::ForeignSchema(database.to_owned())
        }
        error => error,
    })?;
    let supported = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let Some(missing) = usize::try_from(layout).ok().and_then(|layout| MIGRATIONS.get(layout..)) else {
        return Err(HubError::NewerLayout { path: database.into(), layout, supported });
    };
    for (version, script) in (layout + 1..).zip(missing) {
        tx.batch_execute(script).await?;
        if version == LISTS_LAYOUT {
            fill_lists(&tx).await?;
        }
        tx.execute("INSERT INTO layout VALUES ($1)", &[&version]).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Returns the layout of a database, 0 if it has none.
async fn read_layout(tx: &Transaction<'_>, database: &str) -> Result<i64, HubError> {
    let sql = "SELECT to_regnamespace('bue') IS NULL, to_regclass('bue.layout') IS NULL,
         EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace('bue'))";
    let row = tx.query_one(sql, &[]).await?;
    let (lacks_schema, lacks_layout, has_tables): (bool, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if lacks_layout && has_tables {
        return Err(HubError::ForeignSchema(database.to_owned()));
    }
    if lacks_schema {
        tx.batch_execute("CREATE SCHEMA bue").await?;
    }
    if lacks_layout {
        tx.batch_execute("CREATE TABLE layout (version BIGINT PRIMARY KEY)").await?;
    }
    Ok(tx.query_one("SELECT coalesce(max(version), 0) FROM layout", &[]).await?.try_get(0)?)
}

/// Fills in what [`V10`] adds and SQL cannot compute.
async fn fill_lists(tx: &Transaction<'_>) -> Result<(), HubError> {
    for row in tx.query("SELECT run, created_at, params FROM invocation", &[]).await? {
        let params = stored_param_rows(row.try_get(2)?)?;
        insert_params(tx, row.try_get(1)?, &[(row.try_get(0)?, params)]).await?;
    }
    let sql = "SELECT failed.run, job, node, failure FROM failed JOIN job ON job.id = failed.job ORDER BY failed.run";
    let mut last: Option<(i64, Graph)> = None;
    for row in tx.query(sql, &[]).await? {
        let (run, job): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let graph = match last.take() {
            Some((key, graph)) if key == run => graph,
            _ => {
                let body = tx.query_one("SELECT body FROM plan WHERE run = $1", &[&run]).await?;
                let (plan, code): (Plan, Vec<BlobRef>) = from_postcard(body.try_get(0)?)?;
                Graph::new(with_values(plan)?, code)?
            }
        };
        let entry = FailedEntry::of_stored(&graph, node(row.try_get(2)?), row.try_get(3)?)?;
        let update = "UPDATE failed SET step = $3, headline = $4 WHERE run = $1 AND job = $2";
        execute(tx, update, &[&run, &job, &entry.step, &entry.headline]).await?;
        last = Some((run, graph));
    }
    Ok(())
}

/// Inserts what runs that were created at this time are found by: the names and keys of the values of their parameters.
pub(super) async fn insert_params(
    tx: &Transaction<'_>,
    created_at: i64,
    runs: &[(i64, Vec<(String, String)>)],
) -> Result<(), HubError> {
    let (mut names, mut values, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for (key, rows) in runs {
        for (name, value) in rows {
            names.push(&**name);
            values.push(&**value);
            keys.push(*key);
        }
    }
    if !keys.is_empty() {
        let sql = "INSERT INTO run_param (name, value, run, created_at)
             SELECT *, $4::int8 FROM unnest($1::text[], $2::text[], $3::int8[])";
        execute(tx, sql, &[&names, &values, &keys, &created_at]).await?;
    }
    Ok(())
}
