//! Reruns: runs that repeat others, and what is read of the runs that they repeat.

use bue_model::pipeline::Invoked;
use bue_model::{BlobRef, Plan, RunId, RunState};
use rusqlite::{OptionalExtension, params};

use super::read::hint;
use super::read_tx::ReadTx;
use super::schema::insert_params;
use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::changes::rows::ChunkRow;
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::{from_postcard, run_id, small};
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{FanOut, IdRange};
use crate::jobs::original::{NodeSet, Original};
use crate::jobs::param_index::stored_param_rows;
use crate::jobs::state::state_code;
use crate::reruns::{Rerun, StoredPlan, merged_params};

/// Joins `done` with the original run, which must have the version of the last parameter.
macro_rules! select_originals {
    ($columns:literal, $condition:literal, $version:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM done JOIN run ON run.key = done.run WHERE ",
            $condition,
            " AND done.state = ",
            state_code!(Completed),
            " AND run.version = ",
            $version
        )
    };
}

impl ReadTx<'_> {
    /// Returns the plan of a run and its code.
    fn plan_body(&self, key: i64) -> Result<(Plan, Vec<BlobRef>), HubError> {
        let mut select = self.db.prepare_cached("SELECT body FROM plan WHERE run = ?1")?;
        let body: Vec<u8> = select.query_row([key], |row| row.get(0))?;
        from_postcard(&body)
    }

    /// Returns the plan of a run.
    pub(super) fn stored_plan(&self, id: RunId) -> Result<Option<StoredPlan>, HubError> {
        let Some(key) = self.run_key(id)? else { return Ok(None) };
        let (plan, code) = self.plan_body(key)?;
        let mut name = self.db.prepare_cached("SELECT name FROM run WHERE key = ?1")?;
        let mut pipeline = self.db.prepare_cached("SELECT pipeline, version FROM invocation WHERE run = ?1")?;
        let mut rerun = self.db.prepare_cached("SELECT original, request FROM rerun WHERE run = ?1")?;
        Ok(Some(StoredPlan {
            name: name.query_row([key], |row| row.get(0))?,
            plan,
            code,
            pipeline: pipeline.query_row([key], |row| Ok((row.get(0)?, small(row.get(1)?)))).optional()?,
            rerun: rerun.query_row([key], |row| Ok((run_id(row.get(0)?), row.get(1)?))).optional()?,
        }))
    }

    /// Returns the run that a rerun repeats.
    pub(super) fn original_of(&self, key: i64) -> Result<Option<Original>, HubError> {
        let mut select = self.db.prepare_cached("SELECT first, version, reusable FROM rerun WHERE run = ?1")?;
        let original = select.query_row([key], |row| {
            Ok(Original { first: row.get(0)?, version: row.get(1)?, reusable: NodeSet::from_bytes(row.get(2)?) })
        });
        Ok(original.optional()?)
    }
}

impl WriteTx<'_> {
    /// Starts a run that repeats another one. A run that exists is left as it is, so the request is idempotent.
    pub(super) fn rerun(&mut self, rerun: &Rerun) -> Result<Invoked, HubError> {
        let key = match self.run_key(rerun.run)? {
            Some(key) => self.expect_same_rerun(key, rerun)?,
            None => self.start_rerun(rerun)?,
        };
        Ok(Invoked { run: rerun.run, state: self.run_state(key)? })
    }

    /// Inserts a rerun. Returns its key. The original run is there until the end of this transaction, and its blobs are kept from
    /// then on, because it is a lender.
    fn start_rerun(&mut self, rerun: &Rerun) -> Result<i64, HubError> {
        let original_key = self.expect_run(rerun.original)?;
        if self.run_state(original_key)? == RunState::Running {
            return Err(HubError::OriginalRunning(rerun.original));
        }
        let mut select = self.db.prepare_cached("SELECT name, first, version FROM run WHERE key = ?1")?;
        let (name, first, version): (String, i64, i64) =
            select.query_row([original_key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let (plan, code) = self.plan_body(original_key)?;
        let (submission, reusable) = rerun.submission(name, plan, code)?;
        let original = Original { first, version, reusable };
        let key = self.submit_new(submission, Some(original.clone()), None)?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO rerun (run, original, first, version, reusable, request) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let (id, reusable) = (rerun.original.0.as_bytes(), original.reusable.as_bytes());
        insert.execute(params![key, id, first, version, reusable, rerun.request_json()])?;
        let mut lend = self.db.prepare_cached(
            "INSERT INTO lender (run, lender) SELECT ?1, lender FROM lender WHERE run = ?3 UNION SELECT ?1, ?2",
        )?;
        lend.execute(params![key, id, original_key])?;
        self.copy_invocation(original_key, key, rerun)?;
        Ok(key)
    }

    /// A rerun of a run of a pipeline is a run of the same version.
    fn copy_invocation(&self, original: i64, key: i64, rerun: &Rerun) -> Result<(), HubError> {
        let mut select = self.db.prepare_cached("SELECT params FROM invocation WHERE run = ?1")?;
        let params: Option<String> = select.query_row([original], |row| row.get(0)).optional()?;
        let Some(params) = params else { return Ok(()) };
        let mut insert = self.db.prepare_cached(
            "INSERT INTO invocation (run, pipeline, version, params, priority, created_at)
             SELECT ?2, pipeline, version, ?3, priority, ?4 FROM invocation WHERE run = ?1",
        )?;
        let params = merged_params(&params, rerun)?;
        insert.execute(params![original, key, params, self.now])?;
        insert_params(self.db, key, self.now, &stored_param_rows(&params)?)?;
        Ok(())
    }

    /// Checks that a run that exists was started by the same request.
    fn expect_same_rerun(&self, key: i64, rerun: &Rerun) -> Result<i64, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT 1 FROM rerun WHERE run = ?1 AND original = ?2 AND request = ?3")?;
        match select.exists(params![key, rerun.original.0.as_bytes(), rerun.request_json()])? {
            true => Ok(key),
            false => Err(HubError::OtherRerun(rerun.run)),
        }
    }

    /// Returns the runs on whose behalf blobs of reruns may be in the bucket.
    pub(super) fn lenders(&self) -> Result<Vec<RunId>, HubError> {
        let mut select = self.db.prepare_cached("SELECT DISTINCT lender FROM lender")?;
        Ok(select.query_map([], |row| row.get(0).map(run_id))?.collect::<Result<_, _>>()?)
    }

    /// Reads what a change set needs of original runs, and of the rounds of reruns.
    pub(super) fn read_originals(
        &self,
        snapshot: &mut Snapshot,
        required: &RequiredReads,
        read_ahead: i64,
    ) -> Result<(), HubError> {
        for (version, range) in required.original_ranges(read_ahead) {
            for (id, hint) in self.original_hints(version, range)? {
                snapshot.add_original((version, id), hint);
            }
            snapshot.mark_originals_read(version, range);
        }
        for (version, id) in &required.original_values {
            let sql = select_originals!("done.value", "done.id = ?1", "?2");
            let value = self.db.prepare_cached(sql)?.query_row([id, version], |row| row.get(0)).optional()?;
            snapshot.original_values.insert((*version, *id), value.flatten());
        }
        for source in &required.lists {
            snapshot.lists.insert(*source, self.list(*source)?);
        }
        for (version, source) in &required.original_lists {
            let is_there =
                self.db.prepare_cached(select_originals!("1", "done.id = ?1", "?2"))?.exists([source, version])?;
            let list = if is_there { self.list(*source)? } else { Vec::new() };
            snapshot.original_lists.insert((*version, *source), list);
        }
        for (id, round) in &required.counterparts {
            snapshot.counterparts.insert((*id, *round), self.counterpart(*id, *round)?);
        }
        for (id, node) in &required.same_rounds {
            let (first, end) = snapshot.fan_outs.get(id).map_or((0, 0), FanOut::expanded_ids);
            let mut select = self
                .db
                .prepare_cached("SELECT count(*) FROM done WHERE id >= ?1 AND id < ?2 AND node = ?3 AND same = 1")?;
            let count = select.query_row(params![first, end, node], |row| row.get(0))?;
            snapshot.same_rounds.insert((*id, *node), count);
        }
        Ok(())
    }

    fn original_hints(&self, version: i64, (first, end): IdRange) -> Result<Vec<(i64, Hint)>, HubError> {
        let sql =
            select_originals!("done.id, done.hint, done.env, done.scope_hint", "done.id >= ?1 AND done.id < ?2", "?3");
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map([first, end, version], |row| Ok((row.get(0)?, hint(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the list that a job returned.
    fn list(&self, source: i64) -> Result<Vec<ChunkRow>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT first, count, value FROM chunk WHERE source = ?1 ORDER BY first")?;
        let chunks = select.query_map([source], |row| {
            Ok(ChunkRow { source, first: row.get(0)?, count: row.get(1)?, value: row.get(2)? })
        });
        Ok(chunks?.collect::<Result<_, _>>()?)
    }

    /// Returns the id of the first node of a round's counterpart.
    fn counterpart(&self, fan_out: i64, round: i64) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT original + (?2 - counterpart.first) * stride, ?2 < counterpart.first + counterpart.count
             FROM counterpart JOIN fanout ON fanout.id = counterpart.fanout
             WHERE counterpart.fanout = ?1 AND counterpart.first <= ?2 ORDER BY counterpart.first DESC LIMIT 1",
        )?;
        let row = select.query_row([fan_out, round], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?))).optional()?;
        Ok(row.filter(|(_, is_inside)| *is_inside).map(|(id, _)| id))
    }
}
