//! The tables, and the migrations that make them. Forward only: the file of a later release is refused.
//!
//! `job` contains what may still change, `done` what has ended, so work is found in a small table however long the history is.
//! Ids of jobs and fan-outs come from one sequence, see [`graph`](crate::jobs::graph); [`state`](crate::jobs::state) explains the
//! numbers of states.

use std::path::Path;

use bue_model::{BlobRef, NodeId, Plan};
use rusqlite::{Connection, params};

use crate::error::HubError;
use crate::jobs::columns::from_postcard;
use crate::jobs::failed_entry::FailedEntry;
use crate::jobs::graph::Graph;
use crate::jobs::param_index::stored_param_rows;
use crate::pipelines::with_values;

/// One script per layout, from an empty file to the newest.
const MIGRATIONS: &[&str] = &[V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13];

const V1: &str = "
-- the next free id of a job or fan-out
CREATE TABLE sequence (next INTEGER NOT NULL);
INSERT INTO sequence VALUES (1);

CREATE TABLE run (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    first INTEGER NOT NULL,            -- id of the first node of the top level
    state INTEGER NOT NULL,            -- 0 running, 1 completed, 2 failed, 3 cancelled
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    version INTEGER NOT NULL
);
-- plan and code of a run, postcard; apart from `run`, whose rows are read often
CREATE TABLE plan (run INTEGER PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    node INTEGER NOT NULL,
    fanout INTEGER NOT NULL,           -- the fan-out whose round it is part of, 0 at the top level
    state INTEGER NOT NULL,
    waiting_for INTEGER NOT NULL,      -- parents that are not completed
    scope TEXT NOT NULL,
    priority INTEGER NOT NULL,
    rate INTEGER NOT NULL,             -- its row of `rate`, 0 where none
    hinted INTEGER,                    -- node whose result gave the priority
    env BLOB,
    env_from INTEGER,                  -- node whose result gave the env
    available_at INTEGER NOT NULL,
    lease_end INTEGER,
    token INTEGER NOT NULL DEFAULT 0,  -- grows with every lease
    reported INTEGER NOT NULL DEFAULT 0, -- token of the last report that was taken
    worker TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, -- that failed
    pendings INTEGER NOT NULL DEFAULT 0,
    pending_since INTEGER,
    releases INTEGER NOT NULL DEFAULT 0,
    resets INTEGER NOT NULL DEFAULT 0, -- of its call; counted at the call's first job
    blocked_by INTEGER,
    failure BLOB,
    log BLOB
);
CREATE INDEX job_ready ON job (scope, priority DESC, id) WHERE state = 2 AND rate = 0;
CREATE INDEX job_rated ON job (rate, priority DESC, id) WHERE state = 2 AND rate > 0;
CREATE INDEX job_parked ON job (available_at) WHERE state = 1;
CREATE INDEX job_running ON job (lease_end) WHERE state = 3;

CREATE TABLE done (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    node INTEGER NOT NULL,
    fanout INTEGER NOT NULL,
    state INTEGER NOT NULL,
    token INTEGER NOT NULL,
    worker TEXT,
    attempts INTEGER NOT NULL,
    resets INTEGER NOT NULL,
    hint INTEGER,                      -- priority that dependants inherit
    env BLOB,                          -- env that dependants inherit
    value BLOB,
    log BLOB,
    ended_at INTEGER NOT NULL
);

CREATE TABLE fanout (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    node INTEGER NOT NULL,
    outer INTEGER NOT NULL,            -- the fan-out around it, 0 where none
    source INTEGER NOT NULL,           -- the job over whose list it runs
    first INTEGER NOT NULL,            -- id of the first node of the first round
    stride INTEGER NOT NULL,           -- ids a round takes
    count INTEGER NOT NULL,            -- rounds
    expanded INTEGER NOT NULL,         -- rounds that exist
    settled INTEGER NOT NULL,          -- rounds in which nothing is open
    failed INTEGER NOT NULL            -- settled rounds with a failed job
);
CREATE INDEX fanout_run ON fanout (run);
CREATE INDEX fanout_growing ON fanout (id) WHERE expanded < count;

-- pieces of lists that fan-outs run over
CREATE TABLE chunk (
    source INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (source, first)
) WITHOUT ROWID;

-- jobs of each step, counted as they change, so that nobody has to count rows
CREATE TABLE step_count (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    blocked INTEGER NOT NULL DEFAULT 0,
    available INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    pendings INTEGER NOT NULL DEFAULT 0,
    resets INTEGER NOT NULL DEFAULT 0,
    run_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, step)
) WITHOUT ROWID;

CREATE TABLE failed (run INTEGER NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (run, job)) WITHOUT ROWID;

-- steps with a `!rate`; the last `count` starts are a ring in `rate_start`
CREATE TABLE rate (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    scope TEXT NOT NULL,
    count INTEGER NOT NULL,
    per_ms INTEGER NOT NULL,
    next INTEGER NOT NULL,             -- starts so far
    open_at INTEGER NOT NULL           -- when the next start is allowed
);
CREATE UNIQUE INDEX rate_step ON rate (run, step);
CREATE INDEX rate_scope ON rate (scope, open_at);
CREATE TABLE rate_start (
    rate INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (rate, slot)
) WITHOUT ROWID;
";

/// Rates by key.
const V2: &str = "
ALTER TABLE rate ADD COLUMN key BLOB NOT NULL DEFAULT x'';      -- what it counts, x'' where a step's starts count together
ALTER TABLE rate ADD COLUMN idle_at INTEGER NOT NULL DEFAULT 0; -- when its last start is long enough ago not to matter
DROP INDEX rate_step;
CREATE UNIQUE INDEX rate_step ON rate (run, step, key);
CREATE INDEX rate_idle ON rate (run, step, idle_at) WHERE key <> x'';
DROP INDEX rate_scope;
CREATE INDEX job_of_rate ON job (rate) WHERE rate > 0;
";

/// The fan-outs of a run in the order of their rounds' ids, to list jobs.
const V3: &str = "
CREATE INDEX fanout_first ON fanout (run, first);
DROP INDEX fanout_run;
";

/// The secret that seals leases. SQLite seeds `randomblob` from the system.
const V4: &str = "
CREATE TABLE lease_key (key BLOB NOT NULL);
INSERT INTO lease_key VALUES (randomblob(32));
";

/// Jobs that are leased alone, because their workers died several times.
const V5: &str = "
ALTER TABLE job ADD COLUMN isolated INTEGER NOT NULL DEFAULT 0; -- whether its worker holds no other job
CREATE INDEX job_isolated ON job (worker) WHERE state = 3 AND isolated = 1;
CREATE INDEX job_suspect ON job (scope, available_at) WHERE state = 2 AND releases >= 3;
";

/// Published pipelines, and the runs that they started.
const V6: &str = "
CREATE TABLE pipeline (
    name TEXT PRIMARY KEY,
    current INTEGER NOT NULL           -- the version that new runs get
) WITHOUT ROWID;
CREATE TABLE pipeline_version (
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    hash BLOB NOT NULL,                -- of the body
    script TEXT NOT NULL,
    body BLOB NOT NULL,                -- plan and code, postcard
    published_at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, version)
);
CREATE TABLE pipeline_upload (
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    upload BLOB NOT NULL,              -- on whose behalf its code is in the bucket
    PRIMARY KEY (pipeline, version, upload)
) WITHOUT ROWID;
CREATE UNIQUE INDEX pipeline_content ON pipeline_version (pipeline, hash);
CREATE TABLE invocation (
    run INTEGER PRIMARY KEY,
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    params TEXT NOT NULL,              -- what the caller gave, as JSON
    priority INTEGER NOT NULL          -- added to that of every step
);
CREATE INDEX invocation_pipeline ON invocation (pipeline, run);
CREATE INDEX invocation_version ON invocation (pipeline, version);
";

/// Schedules, and the runs that they started; jobs that expire unless they start in time, which counts from the creation of the run or
/// its last reset; and limits of the jobs that run at the same time.
const V7: &str = "
CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL,                -- what the user said, as JSON
    progress TEXT NOT NULL,            -- how far it is, as JSON
    turn_at INTEGER                    -- when it is looked at next; null if never
);
CREATE INDEX schedule_turn ON schedule (turn_at) WHERE turn_at IS NOT NULL;
CREATE TABLE schedule_run (
    run INTEGER PRIMARY KEY,
    schedule TEXT NOT NULL,
    due INTEGER NOT NULL
);
CREATE INDEX schedule_run_due ON schedule_run (schedule, due);
ALTER TABLE run ADD COLUMN reset_at INTEGER; -- when failed jobs of it were reset last
ALTER TABLE job ADD COLUMN expires_at INTEGER; -- NULL once an attempt has started, and for steps without an expiry
CREATE INDEX job_expiring ON job (expires_at) WHERE expires_at IS NOT NULL AND state IN (1, 2);
ALTER TABLE rate ADD COLUMN at_most INTEGER NOT NULL DEFAULT 0; -- jobs under it that may run, 0 for any number
CREATE INDEX job_counted ON job (rate) WHERE state = 3 AND rate > 0;
";

/// Jobs in other scopes than those of their steps, and runs that end with a `finally` block.
const V8: &str = "
ALTER TABLE job ADD COLUMN scope_hint TEXT;    -- the scope that it inherited
ALTER TABLE job ADD COLUMN scope_from INTEGER; -- node whose result gave it
ALTER TABLE job ADD COLUMN moved INTEGER NOT NULL DEFAULT 0; -- whether its scope is not that of its step
ALTER TABLE done ADD COLUMN scope_hint TEXT;   -- scope that dependants inherit
CREATE INDEX job_moved ON job (run) WHERE moved = 1;
DROP INDEX job_rated;
CREATE INDEX job_rated ON job (rate, scope, priority DESC, id) WHERE state = 2 AND rate > 0;
ALTER TABLE run ADD COLUMN ending INTEGER;     -- the state it had when its `finally` block began; null if that has not begun
";

/// Runs that repeat others and reuse results, and when runs were cancelled.
const V9: &str = "
CREATE TABLE rerun (
    run INTEGER PRIMARY KEY,
    original BLOB NOT NULL,            -- id of the run that it repeats
    first INTEGER NOT NULL,            -- of that run
    version INTEGER NOT NULL,          -- of that run when this one was created
    reusable BLOB NOT NULL,            -- nodes whose jobs may be reused, a bit each
    request TEXT NOT NULL              -- what the caller asked for, as JSON
);
-- runs on whose behalf blobs of this run may be in the bucket
CREATE TABLE lender (run INTEGER NOT NULL, lender BLOB NOT NULL, PRIMARY KEY (run, lender)) WITHOUT ROWID;
-- rounds of loops in reruns and in the runs that they repeat
CREATE TABLE counterpart (
    fanout INTEGER NOT NULL,
    first INTEGER NOT NULL,            -- the first of these rounds
    count INTEGER NOT NULL,
    original INTEGER NOT NULL,         -- id of the first node of the first round's counterpart
    PRIMARY KEY (fanout, first)
) WITHOUT ROWID;
ALTER TABLE done ADD COLUMN same INTEGER NOT NULL DEFAULT 0; -- whether its result is that of its counterpart
ALTER TABLE step_count ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN cancelled_at INTEGER;
UPDATE run SET cancelled_at = finished_at WHERE state = 3;
";

/// Lists of runs and of failed jobs in the order of time, by state, path, pipeline and parameters.
const V10: &str = "
CREATE INDEX run_created ON run (created_at);
CREATE INDEX run_state ON run (state, created_at);
CREATE INDEX run_name ON run (name, created_at);
ALTER TABLE invocation ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0; -- that of the run
UPDATE invocation SET created_at = (SELECT created_at FROM run WHERE key = invocation.run);
DROP INDEX invocation_pipeline;
CREATE INDEX invocation_pipeline ON invocation (pipeline, created_at, run);
-- values of parameters that callers gave
CREATE TABLE run_param (
    name TEXT NOT NULL,
    value TEXT NOT NULL,               -- what it is found by, see `param_index`
    created_at INTEGER NOT NULL,       -- that of the run
    run INTEGER NOT NULL,
    PRIMARY KEY (name, value, created_at, run)
) WITHOUT ROWID;
CREATE INDEX run_param_run ON run_param (run);
ALTER TABLE failed ADD COLUMN failed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE failed ADD COLUMN step TEXT NOT NULL DEFAULT '';
ALTER TABLE failed ADD COLUMN headline TEXT NOT NULL DEFAULT ''; -- what failures with the same cause have in common
UPDATE failed SET failed_at = (SELECT coalesce(finished_at, created_at) FROM run WHERE key = failed.run);
CREATE INDEX failed_time ON failed (failed_at, job);
CREATE INDEX failed_step ON failed (step, failed_at, job);
";
/// Who changed what; and how many runs, jobs and workers there were.
const V11: &str = "
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    role TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    run_id BLOB,
    has_run INTEGER NOT NULL,          -- whether the run exists; its entries are kept as long
    detail TEXT NOT NULL               -- JSON
);
CREATE INDEX audit_time ON audit (at);
CREATE INDEX audit_actor ON audit (actor, at);
CREATE INDEX audit_action ON audit (action, at);
CREATE INDEX audit_actor_action ON audit (actor, action, at);
CREATE INDEX audit_run ON audit (run_id, at) WHERE run_id IS NOT NULL;
CREATE INDEX audit_expiring ON audit (at) WHERE has_run = 0;
CREATE TABLE history (
    interval_ms INTEGER NOT NULL,
    at INTEGER NOT NULL,               -- the beginning of the slot
    runs INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    available INTEGER NOT NULL,
    running INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    workers INTEGER NOT NULL,
    PRIMARY KEY (interval_ms, at)
) WITHOUT ROWID;
";
/// Attempts of jobs, what the attempts of steps used, and how many jobs waited although they were ready.
const V12: &str = "
ALTER TABLE job ADD COLUMN started_at INTEGER;   -- when the running attempt started
ALTER TABLE job ADD COLUMN earlier BLOB;         -- the attempts before that one, postcard
ALTER TABLE done ADD COLUMN started_at INTEGER;  -- when the last attempt started; it ended when the job did
ALTER TABLE done ADD COLUMN run_ms INTEGER;      -- what the worker measured of it, and the next two
ALTER TABLE done ADD COLUMN cpu_ms INTEGER;
ALTER TABLE done ADD COLUMN peak_memory INTEGER; -- bytes
ALTER TABLE done ADD COLUMN earlier BLOB;
-- attempts of each step by how long they took, as a logarithm
CREATE TABLE step_usage (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    peak_memory INTEGER NOT NULL,
    PRIMARY KEY (run, step, bucket)
) WITHOUT ROWID;
-- the next key of a run: a key of a deleted run is not used again
ALTER TABLE sequence ADD COLUMN next_run INTEGER NOT NULL DEFAULT 1;
UPDATE sequence SET next_run = (SELECT coalesce(max(key), 0) + 1 FROM run);
ALTER TABLE invocation ADD COLUMN state INTEGER NOT NULL DEFAULT 0; -- that of the run
UPDATE invocation SET state = (SELECT state FROM run WHERE key = invocation.run);
CREATE INDEX invocation_state ON invocation (pipeline, state, created_at, run);
ALTER TABLE history ADD COLUMN delayed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE history ADD COLUMN handed_back INTEGER NOT NULL DEFAULT 0;
";
/// Loops that run while their source does, and windows of loops.
const V13: &str = "
ALTER TABLE fanout ADD COLUMN streams INTEGER NOT NULL DEFAULT 0;      -- whether there may be more rounds
ALTER TABLE fanout ADD COLUMN max_live INTEGER NOT NULL DEFAULT 50000;  -- rounds that may be live at one time
";
/// The layout whose new columns are filled in by code.
const LISTS_LAYOUT: i64 = 10;

/// Brings a database to the newest layout. Each script and its number are one transaction, so a crash leaves a complete layout.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), HubError> {
    let layout: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let supported = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let Some(missing) = usize::try_from(layout).ok().and_then(|layout| MIGRATIONS.get(layout..)) else {
        return Err(HubError::NewerLayout { path: path.to_owned(), layout, supported });
    };
    for (version, script) in (layout + 1..).zip(missing) {
        let tx = db.transaction()?;
        tx.execute_batch(script)?;
        if version == LISTS_LAYOUT {
            fill_lists(&tx)?;
        }
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

/// Fills in what [`V10`] adds and SQL cannot compute.
fn fill_lists(db: &Connection) -> Result<(), HubError> {
    let mut invocations = db.prepare("SELECT run, created_at, params FROM invocation")?;
    let mut rows = invocations.query([])?;
    while let Some(row) = rows.next()? {
        let (run, created_at, params): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        insert_params(db, run, created_at, &stored_param_rows(&params)?)?;
    }
    let mut failed = db.prepare(
        "SELECT failed.run, job, node, failure FROM failed JOIN job ON job.id = failed.job ORDER BY failed.run",
    )?;
    let mut update = db.prepare("UPDATE failed SET step = ?3, headline = ?4 WHERE run = ?1 AND job = ?2")?;
    let mut select = db.prepare("SELECT body FROM plan WHERE run = ?1")?;
    let (mut rows, mut last) = (failed.query([])?, None);
    while let Some(row) = rows.next()? {
        let (run, job, node): (i64, i64, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let graph = match last.take() {
            Some((key, graph)) if key == run => graph,
            _ => {
                let body: Vec<u8> = select.query_row([run], |row| row.get(0))?;
                let (plan, code): (Plan, Vec<BlobRef>) = from_postcard(&body)?;
                Graph::new(with_values(plan)?, code)?
            }
        };
        let failure: Option<Vec<u8>> = row.get(3)?;
        let entry = FailedEntry::of_stored(&graph, NodeId(node), failure.as_deref())?;
        update.execute(params![run, job, entry.step, entry.headline])?;
        last = Some((run, graph));
    }
    Ok(())
}

/// Inserts what a run is found by.
pub(super) fn insert_params(
    db: &Connection,
    run: i64,
    created_at: i64,
    rows: &[(String, String)],
) -> Result<(), HubError> {
    let mut insert =
        db.prepare_cached("INSERT INTO run_param (name, value, created_at, run) VALUES (?1, ?2, ?3, ?4)")?;
    for (name, value) in rows {
        insert.execute(params![name, value, created_at, run])?;
    }
    Ok(())
}
