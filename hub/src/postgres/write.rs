//! Writing a change set: one statement for each kind of change, whatever the number of rows.

use std::pin::pin;

use bue_model::RunState;
use deadpool_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use super::query::execute;
use crate::error::HubError;
use crate::jobs::attempts::usage_to_columns;
use crate::jobs::changes::change_set::ChangeSet;
use crate::jobs::changes::rows::{DoneRow, JobRow};
use crate::jobs::counts::step_counts::{CountChanges, StepCounts};
use crate::jobs::state::{run_state_to_code, state_code};

/// Many rows as one array per column, the parameters of a statement.
struct Arrays<'a> {
    columns: Vec<(&'static str, Type)>,
    values: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
}

impl Arrays<'_> {
    /// Returns the names of the columns.
    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Returns a table of the rows for the FROM clause: `unnest($1::int8[], …) AS new (id, …)`.
    fn table(&self) -> String {
        let arrays = self.columns.iter().enumerate();
        let arrays: Vec<String> = arrays.map(|(at, (_, kind))| format!("${}::{}[]", at + 1, kind.name())).collect();
        format!("unnest({}) AS new ({})", arrays.join(", "), self.names())
    }

    /// Returns the assignments of an UPDATE for the columns that a condition accepts: `state = new.state, …`.
    fn assignments(&self, accepts: impl Fn(&str) -> bool) -> String {
        let columns = self.columns.iter().map(|(name, _)| *name).filter(|name| accepts(name));
        columns.map(|name| format!("{name} = new.{name}")).collect::<Vec<_>>().join(", ")
    }

    /// Executes a statement with the arrays as its first parameters.
    async fn execute(&self, tx: &Transaction<'_>, sql: &str, more: &[&(dyn ToSql + Sync)]) -> Result<u64, HubError> {
        let mut params: Vec<&(dyn ToSql + Sync)> = self.values.iter().map(|values| &**values as _).collect();
        params.extend_from_slice(more);
        execute(tx, sql, &params).await
    }
}

/// Makes [`Arrays`] of rows. Each column is beside its type and value, so that they cannot get out of step.
macro_rules! arrays {
    ($rows:expr, $row:ident => { $($column:ident: $kind:ident = $value:expr,)+ }) => {
        Arrays {
            columns: vec![$((stringify!($column), Type::$kind)),+],
            values: vec![$(Box::new($rows.iter().map(|$row| $value).collect::<Vec<_>>())),+],
        }
    };
}

/// Copies rows into a table. Each column is beside its type and value, so that they cannot get out of step.
macro_rules! copy_rows {
    ($tx:expr, $table:literal, $rows:expr, $row:ident => { $($column:ident: $kind:ident = $value:expr,)+ }) => {{
        const COLUMNS: &[(&str, Type)] = &[$((stringify!($column), Type::$kind)),+];
        let mut copy = pin!(copy_into($tx, $table, COLUMNS).await?);
        for $row in $rows {
            let values: &[&(dyn ToSql + Sync)] = &[$(&$value),+];
            copy.as_mut().write(values).await?;
        }
        copy.finish().await?;
    }};
}

/// Passes the columns of `done` on to [`arrays!`] or [`copy_rows!`], except those that a stored and a new log differ in.
macro_rules! done_columns {
    ($macro:ident!($($arguments:tt)*), $row:ident => { $($more:tt)* }) => {
        $macro!($($arguments)*, $row => {
            id: INT8 = $row.location.id,
            run: INT8 = $row.run,
            node: INT8 = i64::from($row.location.node.0),
            fanout: INT8 = $row.location.fanout,
            state: INT8 = $row.state as i64,
            token: INT8 = $row.token,
            worker: TEXT = $row.worker.as_deref(),
            attempts: INT8 = i64::from($row.attempts),
            resets: INT8 = i64::from($row.resets),
            hint: INT8 = $row.hint.priority,
            env: BYTEA = $row.hint.env.as_deref(),
            scope_hint: TEXT = $row.hint.scope.as_deref(),
            same: BOOL = $row.same,
            started_at: INT8 = $row.last.started_at,
            run_ms: INT8 = usage_to_columns($row.last.usage).0,
            cpu_ms: INT8 = usage_to_columns($row.last.usage).1,
            peak_memory: INT8 = usage_to_columns($row.last.usage).2,
            earlier: BYTEA = $row.earlier.as_deref(),
            $($more)*
        })
    };
}

/// Passes the columns of `job` that both an insert and an update write on to [`arrays!`] or [`copy_rows!`].
macro_rules! job_columns {
    ($macro:ident!($($arguments:tt)*), $row:ident => { $($more:tt)* }) => {
        $macro!($($arguments)*, $row => {
            id: INT8 = $row.location.id,
            token: INT8 = $row.token,
            state: INT8 = $row.state as i64,
            waiting_for: INT8 = $row.waiting_for,
            scope: TEXT = (&*$row.scope),
            scope_hint: TEXT = $row.scope_hint.as_deref(),
            scope_from: INT8 = $row.scope_from.map(|node| i64::from(node.0)),
            priority: INT8 = $row.priority,
            rate: INT8 = $row.rate,
            hinted: INT8 = $row.hinted.map(|node| i64::from(node.0)),
            env: BYTEA = $row.env.as_deref(),
            env_from: INT8 = $row.env_from.map(|node| i64::from(node.0)),
            available_at: INT8 = $row.available_at,
            lease_end: INT8 = $row.lease_end,
            reported: INT8 = $row.reported,
            started_at: INT8 = $row.started_at,
            earlier: BYTEA = $row.earlier.as_deref(),
            attempts: INT8 = i64::from($row.attempts),
            pendings: INT8 = i64::from($row.pendings),
            pending_since: INT8 = $row.pending_since,
            releases: INT8 = i64::from($row.releases),
            expires_at: INT8 = $row.expires_at,
            resets: INT8 = i64::from($row.resets),
            blocked_by: INT8 = $row.blocked_by,
            $($more)*
        })
    };
}

/// Writes all changes. Safe because the runs are locked since before their rows were read. Rows of `job` are changed only
/// under the token they were read with, so a change that was derived from an older lease would fail as a whole.
pub(super) async fn write(tx: &Transaction<'_>, changes: &ChangeSet<'_>) -> Result<(), HubError> {
    let stored = &changes.snapshot.jobs;
    let deleted = changes.jobs.iter().filter(|(_, row)| row.is_none());
    let deleted: Vec<&JobRow> = deleted.filter_map(|(id, _)| stored.get(id)).collect();
    let (updated, inserted): (Vec<&JobRow>, Vec<&JobRow>) =
        changes.jobs.values().flatten().partition(|row| stored.contains_key(&row.location.id));
    let (reused, ended): (Vec<&DoneRow>, Vec<&DoneRow>) =
        changes.done.values().flatten().partition(|row| row.copied.is_some());
    let (with_log, with_stored_log): (Vec<&DoneRow>, Vec<&DoneRow>) =
        ended.into_iter().partition(|row| row.log.is_some());
    let restored: Vec<i64> = changes.done.keys().filter(|id| changes.snapshot.done.contains_key(id)).copied().collect();
    // first, because a loop without rounds is done again as soon as it is restored
    delete_done(tx, &restored).await?;
    // before rows of `job` are deleted, because their logs move along
    move_to_done(tx, changes.now, &with_stored_log).await?;
    // pipelined: one round trip for all of them; no two of them change the same rows
    tokio::try_join!(
        delete_jobs(tx, &deleted),
        update_jobs(tx, changes, &updated),
        write_fan_outs(tx, changes),
        write_chunks(tx, changes),
        copy_lists(tx, changes),
        write_counterparts(tx, changes),
        copy_results(tx, changes, &reused),
        write_failed(tx, changes),
        write_counts(tx, &changes.counts),
        write_runs(tx, changes),
        copy_done(tx, changes.now, &with_log),
        copy_jobs(tx, changes, &inserted)
    )
    .map(drop)
}

/// Inserts into `done`, with the logs of the rows in `job`.
async fn move_to_done(tx: &Transaction<'_>, now: i64, rows: &[&DoneRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    let new = done_columns!(arrays!(rows), row => { value: BYTEA = row.value.as_deref(), });
    let sql = format!(
        "INSERT INTO done ({}, log, ended_at) SELECT new.*, job.log, ${} FROM {} LEFT JOIN job ON job.id = new.id",
        new.names(),
        new.columns.len() + 1,
        new.table()
    );
    new.execute(tx, &sql, &[&now]).await?;
    Ok(())
}

/// Inserts rows of `done` with the values of rows of other runs. Fails if one of those is not there any more: nothing locks them.
async fn copy_results(tx: &Transaction<'_>, changes: &ChangeSet<'_>, rows: &[&DoneRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    let version = |row: &DoneRow| {
        let original = changes.snapshot.runs.get(&row.run).and_then(|run| run.original.as_ref());
        original.map(|original| original.version)
    };
    let new = done_columns!(arrays!(rows), row => {});
    let more = arrays!(rows, row => { copied: INT8 = row.copied, copied_version: INT8 = version(row), });
    let columns = new.columns.len();
    let all = Arrays {
        columns: new.columns.iter().chain(&more.columns).cloned().collect(),
        values: new.values.into_iter().chain(more.values).collect(),
    };
    let names = new.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let selected = new.columns.iter().map(|(name, _)| format!("new.{name}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO done ({names}, value, ended_at) SELECT {selected}, original.value, ${}
         FROM {} JOIN done AS original ON original.id = new.copied AND original.state = {}
         JOIN run ON run.key = original.run AND run.version = new.copied_version",
        columns + 3,
        all.table(),
        state_code!(Completed),
    );
    match all.execute(tx, &sql, &[&changes.now]).await? == rows.len() as u64 {
        true => Ok(()),
        // it is read again, and finds that there is nothing to reuse
        false => Err(HubError::Unreachable("the run that a rerun repeats has changed meanwhile".to_owned())),
    }
}

/// Copies the lists of jobs that are reused.
async fn copy_lists(tx: &Transaction<'_>, changes: &ChangeSet<'_>) -> Result<(), HubError> {
    let rows = &changes.copied_lists;
    if rows.is_empty() {
        return Ok(());
    }
    let new = arrays!(rows, row => { copied: INT8 = row.from, copy: INT8 = row.to, });
    let sql = format!(
        "INSERT INTO chunk (source, first, count, value) SELECT new.copy, chunk.first, chunk.count, chunk.value
         FROM {} JOIN chunk ON chunk.source = new.copied",
        new.table()
    );
    new.execute(tx, &sql, &[]).await?;
    Ok(())
}

async fn write_counterparts(tx: &Transaction<'_>, changes: &ChangeSet<'_>) -> Result<(), HubError> {
    let rows = &changes.counterparts;
    if rows.is_empty() {
        return Ok(());
    }
    let new = arrays!(rows, row => {
        fanout: INT8 = row.fan_out,
        first: INT8 = row.first,
        count: INT8 = row.count,
        original: INT8 = row.original,
    });
    let sql = format!("INSERT INTO counterpart ({}) SELECT * FROM {}", new.names(), new.table());
    new.execute(tx, &sql, &[]).await?;
    Ok(())
}

async fn delete_done(tx: &Transaction<'_>, ids: &[i64]) -> Result<(), HubError> {
    if !ids.is_empty() {
        execute(tx, "DELETE FROM done WHERE id = ANY($1)", &[&ids]).await?;
    }
    Ok(())
}

/// Starts to copy rows into a table, which takes a tenth of the time of a statement with arrays.
async fn copy_into(
    tx: &Transaction<'_>,
    table: &str,
    columns: &[(&str, Type)],
) -> Result<BinaryCopyInWriter, HubError> {
    let (names, types): (Vec<&str>, Vec<Type>) = columns.iter().cloned().unzip();
    let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names.join(", "));
    let statement = tx.prepare_cached(&sql).await?;
    Ok(BinaryCopyInWriter::new(tx.copy_in(&statement).await?, &types))
}

/// Copies rows with new logs into `done`.
async fn copy_done(tx: &Transaction<'_>, now: i64, rows: &[&DoneRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    done_columns!(copy_rows!(tx, "done", rows), row => {
        value: BYTEA = row.value.as_deref(),
        log: BYTEA = row.log.as_ref().and_then(|log| log.as_deref()),
        ended_at: INT8 = now,
    });
    Ok(())
}

async fn delete_jobs(tx: &Transaction<'_>, rows: &[&JobRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    let old = arrays!(rows, row => { id: INT8 = row.location.id, token: INT8 = row.token, });
    let sql = format!("DELETE FROM job USING {} WHERE job.id = new.id AND job.token = new.token", old.table());
    expect_all(old.execute(tx, &sql, &[]).await?, rows.len())
}

/// Checks that a statement found all rows as they were read under the lock.
fn expect_all(changed: u64, expected: usize) -> Result<(), HubError> {
    match usize::try_from(changed) == Ok(expected) {
        true => Ok(()),
        false => Err(HubError::damaged("a job changed while its run was locked")),
    }
}

async fn copy_jobs(tx: &Transaction<'_>, changes: &ChangeSet<'_>, rows: &[&JobRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    job_columns!(copy_rows!(tx, "job", rows), row => {
        run: INT8 = row.run,
        node: INT8 = i64::from(row.location.node.0),
        fanout: INT8 = row.location.fanout,
        moved: BOOL = changes.is_moved(row),
        worker: TEXT = row.worker.as_deref(),
    });
    Ok(())
}

async fn update_jobs(tx: &Transaction<'_>, changes: &ChangeSet<'_>, rows: &[&JobRow]) -> Result<(), HubError> {
    if rows.is_empty() {
        return Ok(());
    }
    let new = job_columns!(arrays!(rows), row => {
        moved: BOOL = changes.is_moved(row),
        new_failure: BYTEA = row.failure.as_deref(),
        has_new_log: BOOL = row.log.is_some(),
        new_log: BYTEA = row.log.as_ref().and_then(|log| log.as_deref()),
    });
    let is_plain = |column: &str| !matches!(column, "id" | "token" | "new_failure" | "has_new_log" | "new_log");
    let sql = format!(
        "UPDATE job SET {}, failure = coalesce(new.new_failure, job.failure),
             log = CASE WHEN new.has_new_log THEN new.new_log ELSE job.log END
         FROM {} WHERE job.id = new.id AND job.token = new.token",
        new.assignments(is_plain),
        new.table()
    );
    expect_all(new.execute(tx, &sql, &[]).await?, rows.len())
}

async fn write_fan_outs(tx: &Transaction<'_>, changes: &ChangeSet<'_>) -> Result<(), HubError> {
    let rows: Vec<_> = changes.fan_outs.values().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let new = arrays!(rows, row => {
        id: INT8 = row.id,
        run: INT8 = row.run,
        node: INT8 = i64::from(row.node.0),
        outside: INT8 = row.outer,
        source: INT8 = row.source,
        first: INT8 = row.first,
        stride: INT8 = row.stride,
        count: INT8 = row.count,
        expanded: INT8 = row.expanded,
        settled: INT8 = row.settled,
        failed: INT8 = row.failed,
        streams: BOOL = row.streams,
        max_live: INT8 = row.max_live,
    });
    let sql = format!(
        "INSERT INTO fanout ({}) SELECT * FROM {} ON CONFLICT (id) DO UPDATE
             SET count = excluded.count, expanded = excluded.expanded, settled = excluded.settled, failed = excluded.failed,
                 streams = excluded.streams",
        new.names(),
        new.table()
    );
    new.execute(tx, &sql, &[]).await?;
    Ok(())
}

/// A job completes once, unless its call starts over before that; its list then replaces the earlier one.
async fn write_chunks(tx: &Transaction<'_>, changes: &ChangeSet<'_>) -> Result<(), HubError> {
    let rows = &changes.chunks;
    if rows.is_empty() {
        return Ok(());
    }
    let new = arrays!(rows, row => {
        source: INT8 = row.source,
        first: INT8 = row.first,
        count: INT8 = row.count,
        value: BYTEA = row.value.as_slice(),
    });
    let sql = format!(
        "INSERT INTO chunk ({}) SELECT * FROM {} ON CONFLICT (source, first) DO UPDATE
             SET count = excluded.count, value = excluded.value",
        new.names(),
        new.table()
    );
    new.execute(tx, &sql, &[]).await?;
    Ok(())
}

async fn write_failed(tx: &Transaction<'_>, changes: &ChangeSet<'_>) -> Result<(), HubError> {
    let entries = changes.failed.iter();
    let rows: Vec<_> = entries.clone().filter_map(|(key, entry)| Some((key, entry.as_ref()?))).collect();
    if !rows.is_empty() {
        let new = arrays!(rows, row => {
            run: INT8 = row.0.0,
            job: INT8 = row.0.1,
            step: TEXT = &*row.1.step,
            headline: TEXT = &*row.1.headline,
        });
        let sql = format!(
            "INSERT INTO failed ({}, failed_at) SELECT new.*, ${}::int8 FROM {} ON CONFLICT (run, job) DO UPDATE
                 SET failed_at = excluded.failed_at, step = excluded.step, headline = excluded.headline",
            new.names(),
            new.columns.len() + 1,
            new.table()
        );
        new.execute(tx, &sql, &[&changes.now]).await?;
    }
    let old = entries.filter(|(_, entry)| entry.is_none()).map(|(key, _)| *key);
    let (runs, jobs): (Vec<i64>, Vec<i64>) = old.unzip();
    if !runs.is_empty() {
        let sql = "DELETE FROM failed USING unnest($1::int8[], $2::int8[]) AS old (run, job)
             WHERE failed.run = old.run AND failed.job = old.job";
        execute(tx, sql, &[&runs, &jobs]).await?;
    }
    Ok(())
}

/// Adds counts. Safe without a check: the rows are inserted with the run, which is locked.
pub(super) async fn write_counts(tx: &Transaction<'_>, counts: &CountChanges) -> Result<(), HubError> {
    tokio::try_join!(write_step_counts(tx, counts), write_usage(tx, counts)).map(drop)
}

async fn write_step_counts(tx: &Transaction<'_>, counts: &CountChanges) -> Result<(), HubError> {
    if counts.steps.is_empty() {
        return Ok(());
    }
    let mut columns = vec![Vec::with_capacity(counts.steps.len()); 2 + StepCounts::COLUMNS.len()];
    for ((run, step), counts) in &counts.steps {
        let values = [*run, i64::from(*step)].into_iter().chain(counts.values());
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }
    let names = ["run", "step"].into_iter().chain(StepCounts::COLUMNS.iter().copied());
    let new = Arrays {
        columns: names.map(|name| (name, Type::INT8)).collect(),
        values: columns.into_iter().map(|column| Box::new(column) as _).collect(),
    };
    let add: Vec<String> =
        StepCounts::COLUMNS.iter().map(|column| format!("{column} = old.{column} + new.{column}")).collect();
    let sql = format!(
        "UPDATE step_count AS old SET {} FROM {} WHERE old.run = new.run AND old.step = new.step",
        add.join(", "),
        new.table()
    );
    new.execute(tx, &sql, &[]).await?;
    Ok(())
}

/// Adds what attempts used.
async fn write_usage(tx: &Transaction<'_>, counts: &CountChanges) -> Result<(), HubError> {
    let rows: Vec<_> = counts.usage.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let new = arrays!(rows, row => {
        run: INT8 = row.0.0,
        step: INT8 = i64::from(row.0.1),
        bucket: INT8 = row.0.2,
        attempts: INT8 = row.1.attempts,
        cpu_ms: INT8 = row.1.cpu_ms,
        peak_memory: INT8 = row.1.peak_memory,
    });
    let sql = format!(
        "INSERT INTO step_usage AS old ({}) SELECT * FROM {} ON CONFLICT (run, step, bucket) DO UPDATE
             SET attempts = old.attempts + excluded.attempts, cpu_ms = old.cpu_ms + excluded.cpu_ms,
                 peak_memory = greatest(old.peak_memory, excluded.peak_memory)",
        new.names(),
        new.table()
    );
    new.execute(tx, &sql, &[]).await?;
    Ok(())
}

async fn write_runs(tx: &Transaction<'_>, changes: &ChangeSet<'_>) -> Result<(), HubError> {
    for (key, (state, finished_at)) in &changes.run_states {
        let sql = "UPDATE run SET state = $2, finished_at = $3 WHERE key = $1";
        execute(tx, sql, &[key, &run_state_to_code(*state), finished_at]).await?;
        execute(tx, "UPDATE invocation SET state = $2 WHERE run = $1", &[key, &run_state_to_code(*state)]).await?;
        if matches!(state, RunState::Completed | RunState::Cancelled) {
            // nothing of it will start again
            execute(tx, "DELETE FROM rate_start WHERE rate IN (SELECT id FROM rate WHERE run = $1)", &[key]).await?;
            execute(tx, "DELETE FROM rate WHERE run = $1", &[key]).await?;
        }
    }
    for (key, ending) in &changes.endings {
        let ending = ending.map(run_state_to_code);
        execute(tx, "UPDATE run SET ending = $2 WHERE key = $1", &[key, &ending]).await?;
    }
    if !changes.cancelled_runs.is_empty() {
        let cancelled: Vec<i64> = changes.cancelled_runs.iter().copied().collect();
        execute(tx, "UPDATE run SET cancelled_at = $2 WHERE key = ANY($1)", &[&cancelled, &changes.now]).await?;
    }
    if !changes.reset_runs.is_empty() {
        let reset: Vec<i64> = changes.reset_runs.iter().copied().collect();
        execute(tx, "UPDATE run SET reset_at = $2 WHERE key = ANY($1)", &[&reset, &changes.now]).await?;
    }
    let changed: Vec<i64> = changes.changed_runs.iter().copied().collect();
    count_versions(tx, &changed).await
}

/// Counts that what users see of these runs changed.
pub(super) async fn count_versions(tx: &Transaction<'_>, keys: &[i64]) -> Result<(), HubError> {
    if !keys.is_empty() {
        execute(tx, "UPDATE run SET version = version + 1 WHERE key = ANY($1)", &[&keys]).await?;
    }
    Ok(())
}
