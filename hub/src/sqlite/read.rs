//! Reading what a change set needs.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bue_model::NodeId;
use rusqlite::{OptionalExtension, Row, params};

use super::state::run_state;
use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::attempts::{LastAttempt, usage_from_columns};
use crate::jobs::changes::rows::{DoneRow, JobRow};
use crate::jobs::changes::snapshot::{KeyedRate, RequiredReads, Snapshot, merge_ranges};
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{IdRange, Location, Run, ids_of, instance_of};
use crate::jobs::state::state_code;

/// Columns of `job`, in the order of [`SharedTexts::job_row`].
macro_rules! select_jobs {
    ($($condition:expr),+) => {
        concat!(
            "SELECT id, node, fanout, run, state, waiting_for, scope, priority, rate, hinted, env, env_from, available_at,
                 lease_end, token, reported, worker, attempts, pendings, pending_since, releases, resets, blocked_by,
                 isolated, expires_at, scope_hint, scope_from, started_at, earlier
             FROM job WHERE ",
            $($condition),+
        )
    };
}

/// Ids between two ranges that are read along: cheaper than another lookup.
const MAX_GAP: i64 = 8;
/// Ids of an instance that is read as a whole.
const SMALL_INSTANCE: i64 = 64;

/// The texts of the row before, which are the same in most rows.
#[derive(Default)]
struct SharedTexts {
    scope: Option<Arc<str>>,
    scope_hint: Option<Arc<str>>,
    worker: Option<Arc<str>>,
}

/// Returns the last text again if it is the same, or a new one.
fn shared(last: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(last) = last.as_ref().filter(|last| ***last == *text) {
        return last.clone();
    }
    last.insert(Arc::from(text)).clone()
}

impl SharedTexts {
    fn job_row(&mut self, row: &Row<'_>) -> rusqlite::Result<JobRow> {
        Ok(JobRow {
            location: Location { id: row.get(0)?, node: NodeId(row.get(1)?), fanout: row.get(2)? },
            run: row.get(3)?,
            state: row.get(4)?,
            waiting_for: row.get(5)?,
            scope: shared(&mut self.scope, row.get_ref(6)?.as_str()?),
            priority: row.get(7)?,
            rate: row.get(8)?,
            hinted: row.get::<_, Option<u32>>(9)?.map(NodeId),
            env: row.get(10)?,
            env_from: row.get::<_, Option<u32>>(11)?.map(NodeId),
            available_at: row.get(12)?,
            lease_end: row.get(13)?,
            token: row.get(14)?,
            reported: row.get(15)?,
            worker: row.get_ref(16)?.as_str_or_null()?.map(|text| shared(&mut self.worker, text)),
            attempts: row.get(17)?,
            pendings: row.get(18)?,
            pending_since: row.get(19)?,
            releases: row.get(20)?,
            resets: row.get(21)?,
            blocked_by: row.get(22)?,
            isolated: row.get(23)?,
            expires_at: row.get(24)?,
            scope_hint: row.get_ref(25)?.as_str_or_null()?.map(|text| shared(&mut self.scope_hint, text)),
            scope_from: row.get::<_, Option<u32>>(26)?.map(NodeId),
            started_at: row.get(27)?,
            earlier: row.get(28)?,
            ending: None,
            failure: None,
            log: None,
        })
    }
}

impl WriteTx<'_> {
    /// Reads what is needed, and `read_ahead` rows from each needed job on, since dependants are behind what they wait for.
    pub(super) fn read(
        &mut self,
        snapshot: &mut Snapshot,
        required: RequiredReads,
        read_ahead: i64,
    ) -> Result<(), HubError> {
        let ahead = required.jobs.iter().map(|id| (*id, id.saturating_add(read_ahead)));
        self.read_jobs(snapshot, merge_ranges(ahead.chain(required.job_ranges.iter().copied()), MAX_GAP))?;
        self.read_done(snapshot, &required.done)?;
        self.read_fan_outs(snapshot, &required.fan_outs)?;
        self.read_open(snapshot, &required.open)?;
        self.read_first_failed(snapshot, &required.first_failed)?;
        self.read_originals(snapshot, &required, read_ahead)?;
        for (id, node) in required.round_rows {
            self.read_round_rows(snapshot, id, node)?;
        }
        for source in required.elements {
            snapshot.elements.insert(source, self.elements(source)?);
        }
        for run in required.failed_counts {
            let mut select = self.db.prepare_cached("SELECT count(*) FROM failed WHERE run = ?1")?;
            snapshot.failed_counts.insert(run, select.query_row([run], |row| row.get(0))?);
        }
        for rate in required.keyed_rates {
            self.read_keyed_rate(snapshot, rate)?;
        }
        for count in required.ids {
            snapshot.ids.push((self.allocate_ids(count)?, count));
        }
        Ok(())
    }

    /// Reads what a change that begins with these jobs is sure to need: their rows, those of their instances, and the
    /// fan-outs around them.
    pub(super) fn read_around(&mut self, snapshot: &mut Snapshot, ids: &[i64]) -> Result<(), HubError> {
        self.read_jobs(snapshot, merge_ranges(ids.iter().map(|id| (*id, id.saturating_add(1))), MAX_GAP))?;
        let (mut instances, mut required) = (Vec::new(), RequiredReads::default());
        for id in ids {
            let Some(row) = snapshot.jobs.get(id) else {
                required.done.insert(*id);
                continue;
            };
            let run = snapshot.runs.get(&row.run).ok_or_else(|| HubError::damaged("a job without its run"))?;
            if row.location.fanout != 0 {
                required.fan_outs.insert(row.location.fanout);
            }
            let range = ids_of(run, instance_of(run, row.location)?);
            if range.1 - range.0 > SMALL_INSTANCE {
                required.open.insert(range);
            } else if !snapshot.has_read_jobs(range) {
                instances.push(range);
            }
        }
        self.read_jobs(snapshot, merge_ranges(instances.into_iter(), MAX_GAP))?;
        self.read(snapshot, required, 1)
    }

    /// Reads what never changes of a run, and its state.
    pub(super) fn read_run(&mut self, snapshot: &mut Snapshot, key: i64) -> Result<(), HubError> {
        if snapshot.runs.contains_key(&key) {
            return Ok(());
        }
        let run = self.run(key)?;
        let mut select =
            self.db.prepare_cached("SELECT state, coalesce(reset_at, created_at), ending FROM run WHERE key = ?1")?;
        let (state, fresh_since, ending) = select.query_row([key], |row| {
            Ok((run_state(row.get(0)?)?, row.get(1)?, row.get::<_, Option<i64>>(2)?.map(run_state).transpose()?))
        })?;
        snapshot.run_states.insert(key, state);
        snapshot.endings.extend(ending.map(|ending| (key, ending)));
        snapshot.fresh_since.insert(key, fresh_since);
        self.read_rates(&run, snapshot)?;
        snapshot.runs.insert(key, run);
        Ok(())
    }

    /// Reads the rates of a run that have no keys.
    pub(super) fn read_rates(&self, run: &Run, snapshot: &mut Snapshot) -> Result<(), HubError> {
        if run.graph.steps.iter().any(|step| step.settings.limits_starts()) {
            let mut select = self.db.prepare_cached("SELECT step, id FROM rate WHERE run = ?1 AND key = x''")?;
            for rate in select.query_map([run.key], |row| Ok((row.get(0)?, row.get(1)?)))? {
                let (step, id) = rate?;
                snapshot.rates.insert((run.key, step), id);
            }
        }
        Ok(())
    }

    fn read_jobs(&mut self, snapshot: &mut Snapshot, ranges: Vec<IdRange>) -> Result<(), HubError> {
        let mut texts = SharedTexts::default();
        let db = self.db;
        let mut select = db.prepare_cached(select_jobs!("id >= ?1 AND id < ?2"))?;
        for (first, end) in ranges {
            let mut rows = select.query([first, end])?;
            while let Some(row) = rows.next()? {
                let row = texts.job_row(row)?;
                self.read_run(snapshot, row.run)?;
                snapshot.jobs.insert(row.location.id, row);
            }
            snapshot.mark_jobs_read((first, end));
        }
        Ok(())
    }

    fn read_done(&mut self, snapshot: &mut Snapshot, ids: &BTreeSet<i64>) -> Result<(), HubError> {
        let db = self.db;
        let mut select = db.prepare_cached(
            "SELECT id, node, fanout, run, state, token, worker, attempts, resets, hint, env, scope_hint, same,
                 started_at, ended_at, run_ms, cpu_ms, peak_memory, earlier
             FROM done WHERE id = ?1",
        )?;
        for id in ids {
            if let Some(row) = select.query_row([id], done_row).optional()? {
                self.read_run(snapshot, row.run)?;
                snapshot.done.insert(*id, row);
            }
            snapshot.done_lookups.insert(*id);
        }
        Ok(())
    }

    fn read_fan_outs(&mut self, snapshot: &mut Snapshot, ids: &BTreeSet<i64>) -> Result<(), HubError> {
        for id in ids {
            if let Some(fan_out) = self.fan_out(*id)? {
                self.read_run(snapshot, fan_out.run)?;
                snapshot.fan_outs.insert(*id, fan_out);
            }
            snapshot.fan_out_lookups.insert(*id);
        }
        Ok(())
    }

    /// Reads the first open row of each range that was not read yet.
    fn read_open(&self, snapshot: &mut Snapshot, ranges: &BTreeSet<IdRange>) -> Result<(), HubError> {
        let sql = select_jobs!("id >= ?1 AND id < ?2 AND state < ", state_code!(Failed), " ORDER BY id");
        for range in ranges {
            if self.read_first_unread(snapshot, sql, *range)?.is_none() {
                snapshot.no_other_open.insert(*range);
            }
        }
        Ok(())
    }

    /// Reads the first failed or stuck row of each range that was not read before.
    fn read_first_failed(&self, snapshot: &mut Snapshot, ranges: &BTreeSet<IdRange>) -> Result<(), HubError> {
        let sql = select_jobs!("id >= ?1 AND id < ?2 AND state >= ", state_code!(Failed), " ORDER BY id");
        for range in ranges {
            let id = self.read_first_unread(snapshot, sql, *range)?;
            snapshot.first_failed.insert(*range, id);
        }
        Ok(())
    }

    /// Reads the first row of a range that a query selects and that was not read before. Returns its id.
    fn read_first_unread(
        &self,
        snapshot: &mut Snapshot,
        sql: &str,
        (first, end): IdRange,
    ) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query([first, end])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if let Entry::Vacant(unread) = snapshot.jobs.entry(id) {
                unread.insert(SharedTexts::default().job_row(row)?);
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Reads the rows of a node in all rounds of a fan-out, as far as they may wait for something. Scans the fan-out's rows:
    /// the rounds that are live at one time are few.
    fn read_round_rows(&self, snapshot: &mut Snapshot, id: i64, node: u32) -> Result<(), HubError> {
        let Some(fan_out) = snapshot.fan_outs.get(&id) else { return Ok(()) };
        let (first, end) = fan_out.expanded_ids();
        let mut select = self.db.prepare_cached(select_jobs!(
            "id >= ?1 AND id < ?2 AND node = ?3 AND state <> ",
            state_code!(Failed),
            " ORDER BY id"
        ))?;
        let mut rows = select.query(params![first, end, node])?;
        let mut texts = SharedTexts::default();
        while let Some(row) = rows.next()? {
            let row = texts.job_row(row)?;
            snapshot.jobs.insert(row.location.id, row);
        }
        snapshot.round_rows.insert((id, node));
        Ok(())
    }

    fn elements(&self, source: i64) -> Result<i64, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT first + count FROM chunk WHERE source = ?1 ORDER BY first DESC LIMIT 1")?;
        Ok(select.query_row([source], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    fn read_keyed_rate(&mut self, snapshot: &mut Snapshot, (run, step, key): KeyedRate) -> Result<(), HubError> {
        let graph = &self.run(run)?.graph;
        let settings = graph.steps.get(step.get()).map(|step| &step.settings);
        let settings = settings.ok_or_else(|| HubError::damaged("a rate of no step"))?;
        let rate = self.rate_for_key(run, step, settings, key)?;
        snapshot.keyed_rates.insert((run, step, key), rate);
        Ok(())
    }
}

/// Reads what a row of `done` passes on from three columns.
pub(super) fn hint(row: &Row<'_>, first: usize) -> rusqlite::Result<Hint> {
    Ok(Hint {
        priority: row.get(first)?,
        env: row.get(first + 1)?,
        scope: row.get_ref(first + 2)?.as_str_or_null()?.map(Arc::from),
    })
}

/// Reads a row's last attempt from five columns.
pub(super) fn last_attempt(row: &Row<'_>, first: usize) -> rusqlite::Result<LastAttempt> {
    Ok(LastAttempt {
        started_at: row.get(first)?,
        ended_at: row.get(first + 1)?,
        usage: usage_from_columns((row.get(first + 2)?, row.get(first + 3)?, row.get(first + 4)?)),
    })
}

fn done_row(row: &Row<'_>) -> rusqlite::Result<DoneRow> {
    Ok(DoneRow {
        location: Location { id: row.get(0)?, node: NodeId(row.get(1)?), fanout: row.get(2)? },
        run: row.get(3)?,
        state: row.get(4)?,
        token: row.get(5)?,
        worker: row.get_ref(6)?.as_str_or_null()?.map(Arc::from),
        attempts: row.get(7)?,
        resets: row.get(8)?,
        hint: hint(row, 9)?,
        value: None,
        copied: None,
        same: row.get(12)?,
        last: last_attempt(row, 13)?,
        earlier: row.get(18)?,
        log: None,
    })
}
