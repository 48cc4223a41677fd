//! Writing a change set: each kind of change with one prepared statement, in the order of ids, so that neighbouring rows are
//! written together.

use std::borrow::Cow;
use std::sync::LazyLock;

use bue_model::RunState;
use rusqlite::{params, params_from_iter};

use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::attempts::usage_to_columns;
use crate::jobs::changes::change_set::ChangeSet;
use crate::jobs::changes::rows::{DoneRow, JobRow};
use crate::jobs::changes::snapshot::merge_ranges;
use crate::jobs::counts::step_counts::{CountChanges, StepCounts};
use crate::jobs::counts::usage::UsageCounts;
use crate::jobs::instance::IdRange;
use crate::jobs::state::run_state_to_code;

/// Inserts rows with one prepared statement. Each column is beside its value, so the two cannot get out of step.
macro_rules! insert_rows {
    (
        $db:expr, $insert:literal $table:literal $($conflict:literal)?,
        for $row:ident in $rows:expr, { $first:ident: $first_value:expr, $($column:ident: $value:expr,)* }
    ) => {
        let mut insert = $db.prepare_cached(concat!(
            $insert, " INTO ", $table, " (", stringify!($first), $(", ", stringify!($column),)* ") VALUES (?",
            $(insert_rows!(@parameter $column),)* ")", $($conflict)?
        ))?;
        for $row in $rows {
            insert.execute(params![$first_value, $($value),*])?;
        }
    };
    (@parameter $column:ident) => { ", ?" };
}

/// Updates a row. Each assignment is beside the values of its parameters.
macro_rules! update_row {
    ($db:expr, $table:literal, $id:expr, { $first:literal: $first_value:expr, $($set:literal: $($value:expr),+;)* }) => {
        $db.prepare_cached(concat!("UPDATE ", $table, " SET ", $first, $(", ", $set,)* " WHERE id = ?"))?
            .execute(params![$first_value, $($($value,)+)* $id])?
    };
}

/// Adds to the counters of a step.
static ADD_COUNTS: LazyLock<String> = LazyLock::new(|| {
    let add: Vec<String> = StepCounts::COLUMNS.iter().map(|column| format!("{column} = {column} + ?")).collect();
    format!("UPDATE step_count SET {} WHERE run = ? AND step = ?", add.join(", "))
});

impl WriteTx<'_> {
    /// Writes all changes. Safe because they were derived from rows that this same transaction read, and there is one writer.
    pub(super) fn write(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        // before rows of `job` are deleted, because their logs move along
        self.write_done(changes)?;
        self.delete_jobs(changes)?;
        self.write_jobs(changes)?;
        self.write_fan_outs(changes)?;
        self.write_chunks(changes)?;
        self.write_reused(changes)?;
        self.write_failed(changes)?;
        for (key, (state, finished_at)) in &changes.run_states {
            let mut update = self.db.prepare_cached("UPDATE run SET state = ?2, finished_at = ?3 WHERE key = ?1")?;
            update.execute(params![key, run_state_to_code(*state), finished_at])?;
            let mut update = self.db.prepare_cached("UPDATE invocation SET state = ?2 WHERE run = ?1")?;
            update.execute([*key, run_state_to_code(*state)])?;
            if matches!(state, RunState::Completed | RunState::Cancelled) {
                self.delete_rates(*key)?;
            }
        }
        for (key, ending) in &changes.endings {
            let mut update = self.db.prepare_cached("UPDATE run SET ending = ?2 WHERE key = ?1")?;
            update.execute(params![key, ending.map(run_state_to_code)])?;
        }
        for key in &changes.cancelled_runs {
            self.db.prepare_cached("UPDATE run SET cancelled_at = ?2 WHERE key = ?1")?.execute([*key, changes.now])?;
        }
        for key in &changes.reset_runs {
            self.db.prepare_cached("UPDATE run SET reset_at = ?2 WHERE key = ?1")?.execute([*key, changes.now])?;
        }
        Ok(())
    }

    fn write_done(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        let mut delete = self.db.prepare_cached("DELETE FROM done WHERE id = ?1")?;
        for id in changes.done.keys().filter(|id| changes.snapshot.done.contains_key(id)) {
            delete.execute([id])?;
        }
        insert_rows!(self.db, "INSERT" "done", for row in changes.done.values().flatten(), {
            id: row.location.id,
            run: row.run,
            node: row.location.node.0,
            fanout: row.location.fanout,
            state: row.state,
            token: row.token,
            worker: row.worker.as_deref(),
            attempts: row.attempts,
            resets: row.resets,
            hint: row.hint.priority,
            env: row.hint.env,
            scope_hint: row.hint.scope.as_deref(),
            value: self.value_of(row)?,
            same: row.same,
            log: self.log_of(row)?,
            ended_at: changes.now,
            started_at: row.last.started_at,
            run_ms: usage_to_columns(row.last.usage).0,
            cpu_ms: usage_to_columns(row.last.usage).1,
            peak_memory: usage_to_columns(row.last.usage).2,
            earlier: row.earlier,
        });
        Ok(())
    }

    /// Returns the value of a row, its own or the one that it gets from a row of another run.
    fn value_of<'a>(&self, row: &'a DoneRow) -> Result<Option<Cow<'a, [u8]>>, HubError> {
        let Some(copied) = row.copied else { return Ok(row.value.as_deref().map(Cow::Borrowed)) };
        let mut select = self.db.prepare_cached("SELECT value FROM done WHERE id = ?1")?;
        let value: Vec<u8> = select.query_row([copied], |row| row.get(0))?;
        Ok(Some(Cow::Owned(value)))
    }

    /// Returns the new log of a row, or the one of the row in `job` that moves along.
    fn log_of<'a>(&self, row: &'a DoneRow) -> Result<Option<Cow<'a, [u8]>>, HubError> {
        if let Some(log) = &row.log {
            return Ok(log.as_deref().map(Cow::Borrowed));
        }
        let mut select = self.db.prepare_cached("SELECT log FROM job WHERE id = ?1")?;
        let mut rows = select.query([row.location.id])?;
        let stored: Option<Vec<u8>> = rows.next()?.map_or(Ok(None), |row| row.get(0))?;
        Ok(stored.map(Cow::Owned))
    }

    fn delete_jobs(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        let stored = &changes.snapshot.jobs;
        let deleted = changes.jobs.iter().filter(|(id, row)| row.is_none() && stored.contains_key(id));
        let ranges: Vec<IdRange> = merge_ranges(deleted.map(|(id, _)| (*id, id + 1)), 0);
        let mut delete = self.db.prepare_cached("DELETE FROM job WHERE id >= ?1 AND id < ?2")?;
        for (first, end) in ranges {
            delete.execute([first, end])?;
        }
        Ok(())
    }

    /// Updates and inserts touch different rows, so their order does not matter.
    fn write_jobs(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        let is_stored = |row: &&JobRow| changes.snapshot.jobs.contains_key(&row.location.id);
        for row in changes.jobs.values().flatten().filter(is_stored) {
            self.update_job(row, changes.is_moved(row))?;
        }
        insert_rows!(self.db, "INSERT" "job", for row in changes.jobs.values().flatten().filter(|row| !is_stored(row)), {
            id: row.location.id,
            run: row.run,
            node: row.location.node.0,
            fanout: row.location.fanout,
            state: row.state,
            waiting_for: row.waiting_for,
            scope: row.scope,
            scope_hint: row.scope_hint.as_deref(),
            scope_from: row.scope_from.map(|node| node.0),
            moved: changes.is_moved(row),
            priority: row.priority,
            rate: row.rate,
            hinted: row.hinted.map(|node| node.0),
            env: row.env,
            env_from: row.env_from.map(|node| node.0),
            available_at: row.available_at,
            lease_end: row.lease_end,
            token: row.token,
            reported: row.reported,
            worker: row.worker.as_deref(),
            started_at: row.started_at,
            earlier: row.earlier,
            attempts: row.attempts,
            pendings: row.pendings,
            pending_since: row.pending_since,
            releases: row.releases,
            expires_at: row.expires_at,
            resets: row.resets,
            blocked_by: row.blocked_by,
        });
        Ok(())
    }

    fn update_job(&self, row: &JobRow, moved: bool) -> Result<(), HubError> {
        update_row!(self.db, "job", row.location.id, {
            "state = ?": row.state,
            "waiting_for = ?": row.waiting_for;
            "scope = ?": row.scope;
            "scope_hint = ?": row.scope_hint.as_deref();
            "scope_from = ?": row.scope_from.map(|node| node.0);
            "moved = ?": moved;
            "priority = ?": row.priority;
            "rate = ?": row.rate;
            "hinted = ?": row.hinted.map(|node| node.0);
            "env = ?": row.env;
            "env_from = ?": row.env_from.map(|node| node.0);
            "available_at = ?": row.available_at;
            "lease_end = ?": row.lease_end;
            "reported = ?": row.reported;
            "started_at = ?": row.started_at;
            "earlier = ?": row.earlier;
            "attempts = ?": row.attempts;
            "pendings = ?": row.pendings;
            "pending_since = ?": row.pending_since;
            "releases = ?": row.releases;
            "expires_at = ?": row.expires_at;
            "resets = ?": row.resets;
            "blocked_by = ?": row.blocked_by;
            "failure = coalesce(?, failure)": row.failure;
            "log = iif(?, ?, log)": row.log.is_some(), row.log.as_ref().and_then(|log| log.as_deref());
        });
        Ok(())
    }

    fn write_fan_outs(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        insert_rows!(
            self.db,
            "INSERT" "fanout" " ON CONFLICT (id) DO UPDATE SET count = excluded.count, expanded = excluded.expanded,
                 settled = excluded.settled, failed = excluded.failed, streams = excluded.streams",
            for row in changes.fan_outs.values(),
            {
                id: row.id,
                run: row.run,
                node: row.node.0,
                outer: row.outer,
                source: row.source,
                first: row.first,
                stride: row.stride,
                count: row.count,
                expanded: row.expanded,
                settled: row.settled,
                failed: row.failed,
                streams: row.streams,
                max_live: row.max_live,
            }
        );
        Ok(())
    }

    /// A job completes once, unless its call starts over before that; its list then replaces the earlier one.
    fn write_chunks(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        insert_rows!(self.db, "INSERT OR REPLACE" "chunk", for chunk in &changes.chunks, {
            source: chunk.source,
            first: chunk.first,
            count: chunk.count,
            value: chunk.value,
        });
        Ok(())
    }

    /// Copies the lists of jobs that are reused, and writes the counterparts of rounds.
    fn write_reused(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        let mut copy = self.db.prepare_cached(
            "INSERT INTO chunk (source, first, count, value) SELECT ?2, first, count, value FROM chunk WHERE source = ?1",
        )?;
        for list in &changes.copied_lists {
            copy.execute([list.from, list.to])?;
        }
        insert_rows!(self.db, "INSERT" "counterpart", for row in &changes.counterparts, {
            fanout: row.fan_out,
            first: row.first,
            count: row.count,
            original: row.original,
        });
        Ok(())
    }

    fn write_failed(&self, changes: &ChangeSet<'_>) -> Result<(), HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT OR REPLACE INTO failed (run, job, failed_at, step, headline) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let mut delete = self.db.prepare_cached("DELETE FROM failed WHERE run = ?1 AND job = ?2")?;
        for ((run, job), entry) in &changes.failed {
            match entry {
                Some(entry) => insert.execute(params![run, job, changes.now, entry.step, entry.headline])?,
                None => delete.execute([run, job])?,
            };
        }
        Ok(())
    }

    /// Adds the collected counts. Safe without a check: the rows are inserted with the run, and there is one writer.
    pub(super) fn write_counts(&mut self) -> Result<(), HubError> {
        let CountChanges { steps, usage } = std::mem::take(&mut self.counts);
        let mut update = self.db.prepare_cached(&ADD_COUNTS)?;
        for ((run, step), counts) in steps {
            let values = counts.values();
            update.execute(params_from_iter(values.iter().chain([&run, &i64::from(step)])))?;
        }
        let mut add = self.db.prepare_cached(
            "INSERT INTO step_usage (run, step, bucket, attempts, cpu_ms, peak_memory) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET attempts = attempts + ?4, cpu_ms = cpu_ms + ?5, peak_memory = max(peak_memory, ?6)",
        )?;
        for ((run, step, bucket), UsageCounts { attempts, cpu_ms, peak_memory }) in usage {
            add.execute(params![run, step, bucket, attempts, cpu_ms, peak_memory])?;
        }
        Ok(())
    }
}
