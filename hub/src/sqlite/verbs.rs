//! Verbs that work on drafts: what each reads beforehand, since it is sure to look at it.

use std::sync::Arc;

use bue_model::wire::{Changed, Heartbeat, HeartbeatAnswer, Report, Submission, Verdict};
use bue_model::{JobId, RunId, RunState, StepIndex, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::ledger::{Ledger, job_id, row_id, signed, to_blob};
use super::memory::Run;
use crate::error::HubError;
use crate::jobs::draft::{Known, Needs};
use crate::jobs::graph::{Block, Graph};
use crate::store::ReapedJobs;

/// Bytes of a run's name that are kept.
const MAX_NAME: usize = 1024;
/// Leases looked at in one transaction; the next one follows at once.
const MAX_REAPED: i64 = 1_000;

impl Ledger<'_> {
    /// Makes the run and its top level. A run that is there already is left as it is, which makes submitting twice harmless:
    /// the look and the insert are one transaction, and `run.id` is unique.
    pub(super) fn submit(&mut self, mut submission: Submission) -> Result<RunId, HubError> {
        let id = submission.run;
        if self.run_key(id)?.is_some() {
            return Ok(id);
        }
        submission.name.truncate(submission.name.floor_char_boundary(MAX_NAME));
        let body = to_blob(&(&submission.plan, &submission.code))?;
        let graph = Graph::new(submission.plan, submission.code)?;
        let first = self.take_ids(graph.blocks.first().map_or(0, Block::stride))?;
        let key = self.insert_run(id, &submission.name, first, &body)?;
        let run = Arc::new(Run { key, id, first, graph });
        let mut known = Known::default();
        self.insert_steps(&run, &mut known)?;
        self.memory.runs.keep(run.clone());
        known.runs.insert(key, run.clone());
        known.run_states.insert(key, RunState::Running);
        known.new_runs.insert(key);
        self.draft(known, Needs::default(), |draft| draft.begin(&run))?;
        Ok(id)
    }

    fn insert_run(&self, id: RunId, name: &str, first: i64, body: &[u8]) -> Result<i64, HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO run (id, name, first, state, created_at, version) VALUES (?1, ?2, ?3, 0, ?4, 0)",
        )?;
        insert.execute(params![id.0.as_bytes(), name, first, self.now])?;
        let key = self.db.last_insert_rowid();
        self.db.prepare_cached("INSERT INTO plan (run, body) VALUES (?1, ?2)")?.execute(params![key, body])?;
        Ok(key)
    }

    fn insert_steps(&self, run: &Run, known: &mut Known) -> Result<(), HubError> {
        let mut count = self.db.prepare_cached("INSERT INTO step_count (run, step) VALUES (?1, ?2)")?;
        let mut rate = self.db.prepare_cached(
            "INSERT INTO rate (run, step, scope, count, per_ms, next, open_at) VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)",
        )?;
        for (index, step) in (0..).map(StepIndex).zip(&run.graph.steps) {
            count.execute(params![run.key, index.0])?;
            if let Some(limit) = step.settings.rate.as_ref().filter(|limit| limit.by.is_none()) {
                let (scope, per_ms) = (&step.settings.scope, signed(limit.per_ms));
                rate.execute(params![run.key, index.0, scope, limit.count, per_ms])?;
                known.rates.insert((run.key, index.0), self.db.last_insert_rowid());
            }
        }
        Ok(())
    }

    /// Takes reports.
    pub(super) fn complete(&mut self, reports: &[Report]) -> Result<Vec<Verdict>, HubError> {
        let ids: Vec<i64> = reports.iter().map(|report| row_id(report.job)).collect();
        let mut known = Known::default();
        self.read_around(&mut known, &ids)?;
        let verdicts = self.draft(known, Needs::default(), |draft| draft.reports(reports))?;
        for report in reports {
            self.forget_extension(row_id(report.job), signed(report.token.0));
        }
        Ok(verdicts)
    }

    /// This lease is over; another one of the job may be held.
    fn forget_extension(&mut self, id: i64, token: i64) {
        if self.memory.extended.get(&id).is_some_and(|(held, _)| *held == token) {
            self.memory.extended.remove(&id);
        }
    }

    pub(super) fn cancel_job(&mut self, job: JobId) -> Result<Changed, HubError> {
        let mut known = Known::default();
        self.read_around(&mut known, &[row_id(job)])?;
        self.draft(known, Needs::default(), |draft| draft.cancel_job(job))
    }

    /// Puts a failed job back.
    pub(super) fn reset_job(&mut self, job: JobId) -> Result<Changed, HubError> {
        let mut known = Known::default();
        self.read_around(&mut known, &[row_id(job)])?;
        self.draft(known, Needs::default(), |draft| draft.reset_job(job))
    }

    /// Puts all failed jobs of a run back.
    pub(super) fn reset_run(&mut self, id: RunId) -> Result<Changed, HubError> {
        let Some(key) = self.run_key(id)? else { return Err(HubError::RunNotFound(id)) };
        let mut select = self.db.prepare_cached("SELECT job FROM failed WHERE run = ?1")?;
        let failed: Vec<i64> = select.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut known = Known::default();
        self.learn_run(&mut known, key)?;
        self.read_around(&mut known, &failed)?;
        self.draft(known, Needs::default(), |draft| draft.reset_failed(key, &failed))
    }

    /// Writes nothing: extensions are remembered, and reach the database when a lease is about to end. Lost with a crash,
    /// they cost at most that a job is given away while its worker still runs it; its token then decides.
    pub(super) fn heartbeat(&mut self, heartbeat: &Heartbeat, lease_ms: u64) -> Result<HeartbeatAnswer, HubError> {
        let mut select = self.db.prepare_cached("SELECT 1 FROM job WHERE id = ?1 AND state = 3 AND token = ?2")?;
        let end = self.now.saturating_add(signed(lease_ms));
        let mut lost = Vec::new();
        for (job, token) in &heartbeat.leases {
            let (id, token) = (row_id(*job), signed(token.0));
            if select.exists(params![id, token])? {
                self.memory.extended.insert(id, (token, end));
            } else {
                lost.push(*job);
            }
        }
        Ok(HeartbeatAnswer { lost })
    }

    /// Puts jobs back whose leases have ended, or writes down how long they were extended.
    pub(super) fn reap(&mut self) -> Result<ReapedJobs, HubError> {
        let mut select = self
            .db
            .prepare_cached("SELECT id FROM job WHERE state = 3 AND lease_end <= ?1 ORDER BY lease_end LIMIT ?2")?;
        let ended: Vec<i64> =
            select.query_map(params![self.now, MAX_REAPED], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut lost = Vec::new();
        for id in ended {
            if !self.extend(id)? {
                lost.push(id);
            }
        }
        let mut known = Known::default();
        self.read_around(&mut known, &lost)?;
        let jobs = self.draft(known, Needs::default(), |draft| draft.reap(&lost))?;
        let now = self.now;
        self.memory.extended.retain(|_, (_, end)| *end > now);
        Ok(ReapedJobs { jobs: jobs.into_iter().map(job_id).collect(), next_at: self.next_lease_end()? })
    }

    /// Whether a heartbeat under the row's token was there in time.
    fn extend(&mut self, id: i64) -> Result<bool, HubError> {
        let Some((token, end)) = self.memory.extended.get(&id).copied().filter(|(_, end)| *end > self.now) else {
            return Ok(false);
        };
        let mut update =
            self.db.prepare_cached("UPDATE job SET lease_end = ?3 WHERE id = ?1 AND state = 3 AND token = ?2")?;
        Ok(update.execute(params![id, token, end])? == 1)
    }

    fn next_lease_end(&self) -> Result<Option<Timestamp>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT lease_end FROM job WHERE state = 3 ORDER BY lease_end LIMIT 1")?;
        Ok(select.query_row([], |row| row.get(0)).optional()?.map(Timestamp))
    }
}
