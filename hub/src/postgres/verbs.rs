//! Verbs that work on drafts: each locks its runs, runs on what was read, and writes what came of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bue_model::wire::{Changed, Heartbeat, HeartbeatAnswer, Submission};
use bue_model::{JobId, RunId, RunState, StepIndex, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::Inner;
use super::read::{FAN_OUT, LOCK_RUNS, ask, fan_out_row, fetch, lock_runs, read, state, take_ids, tell};
use super::write::write;
use crate::error::{HubError, postgres_error_text};
use crate::jobs::columns::{job_id, row_id, signed, to_blob};
use crate::jobs::draft::{Draft, Halt, Known, MAX_TURNS, Needs, Step};
use crate::jobs::graph::{Block, Graph};
use crate::jobs::instance::Run;
use crate::jobs::state::State;
use crate::store::ReapedJobs;

/// Bytes of a run's name that are kept.
const MAX_NAME: usize = 1024;
/// Leases looked at in one transaction; the next one follows at once.
const MAX_REAPED: i64 = 1_000;
/// Waits between tries while the database cannot be reached, from the first one on. Together some three seconds, longer than
/// a restart takes; whoever asks tries again for longer.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// The longest.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Tries after the first one.
const TRIES: usize = 9;
/// Rows read behind the first one that is asked for; four times as many each further time.
pub(super) const FIRST_GULP: i64 = 64;
/// The most.
const LAST_GULP: i64 = 65_536;

/// Whether it may be different at the next try: the connection broke before the commit, or two transactions collided.
pub(super) fn may_pass(error: &HubError) -> bool {
    match error {
        HubError::Unreachable(_) => true,
        HubError::Postgres(error) => match error.code() {
            Some(code) => {
                let passing = [
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::TOO_MANY_CONNECTIONS,
                    SqlState::LOCK_NOT_AVAILABLE,
                ];
                passing.contains(code)
            }
            None => true,
        },
        _ => false,
    }
}

/// Tries again what failed for a passing reason, for as long as a restart of the database takes.
macro_rules! patiently {
    ($attempt:expr) => {{
        let mut waits = $crate::postgres::verbs::waits();
        loop {
            match $attempt.await {
                Err(error) if $crate::postgres::verbs::may_pass(&error) => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => break Err(error),
                },
                done => break done,
            }
        }
    }};
}
pub(super) use patiently;

/// Each twice as long as the one before, and some more by chance, so that those that collided do not collide again.
pub(super) fn waits() -> impl Iterator<Item = Duration> + Send {
    let waits = ExponentialBuilder::default().with_min_delay(FIRST_WAIT).with_max_delay(LAST_WAIT);
    waits.with_max_times(TRIES).with_jitter().build()
}

/// What is known before anything was read, of locked runs.
struct Start {
    known: Known,
    needs: Needs,
}

impl Inner {
    /// Whether a commit that failed took place nobody knows, so it is not tried again here; asking twice is harmless.
    pub(super) async fn commit(&self, tx: Transaction<'_>) -> Result<(), HubError> {
        let began = Instant::now();
        tx.commit().await.map_err(|error| HubError::Unsure(postgres_error_text(&error)))?;
        self.notifications.commit_metrics().record(1, began.elapsed());
        Ok(())
    }

    /// Runs a verb on as much of the database as it needs, writes what it changed, and makes the first of the rounds that
    /// have room now.
    async fn draft<T: Send>(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        start: Start,
        verb: &(dyn Fn(&mut Draft<'_>) -> Step<T> + Sync),
    ) -> Result<(T, Told), HubError> {
        let (value, mut told, mut known) = self.draft_once(tx, now, start, verb).await?;
        for _ in 0..MAX_TURNS {
            let Some(id) = told.growing.pop_first() else { break };
            let needs = Needs { jobs: [id].into(), fan_outs: [id].into(), ..Needs::default() };
            let start = Start { known: known.of_the_runs(), needs };
            let ((), more, after) = self.draft_once(tx, now, start, &|draft| draft.grow(id)).await?;
            told.take(more);
            known = after;
        }
        Ok((value, told))
    }

    async fn draft_once<T: Send>(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        Start { mut known, mut needs }: Start,
        verb: &(dyn Fn(&mut Draft<'_>) -> Step<T> + Sync),
    ) -> Result<(T, Told, Known), HubError> {
        let mut gulp = FIRST_GULP;
        loop {
            if !needs.is_empty() {
                read(tx, &mut known, needs, (now, gulp)).await?;
                gulp = (gulp * 4).min(LAST_GULP);
            }
            let mut draft = Draft::new(&known, now);
            let done = verb(&mut draft).and_then(|value| draft.settle_all().map(|()| value));
            needs = std::mem::take(&mut draft.needs);
            if !needs.is_empty() {
                continue;
            }
            let value = match done {
                Ok(value) => value,
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Need) => return Err(HubError::damaged("a request needs nothing and cannot go on")),
            };
            write(tx, &draft).await?;
            let runs = draft.touched.iter().filter_map(|key| known.runs.get(key)).map(|run| run.id).collect();
            let told = Told { work: draft.effects.work, leases: false, runs, growing: draft.effects.growing };
            let states = draft.run_states;
            known.run_states.extend(states.into_iter().map(|(key, (state, _))| (key, state)));
            return Ok((value, told, known));
        }
    }

    /// One transaction about these runs.
    async fn change<T: Send>(
        &self,
        now: i64,
        runs: &[i64],
        mut needs: Needs,
        verb: &(dyn Fn(&mut Draft<'_>) -> Step<T> + Sync),
    ) -> Result<T, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut known = Known::default();
        // sent at once, the locks before all others; so the server reads the rows when it has them
        let lock = tx.prepare_cached(LOCK_RUNS).await?;
        let (rows, fetched) = tokio::try_join!(lock_runs(&tx, &lock, runs), fetch(&tx, &needs, FIRST_GULP))?;
        fetched.put_into(&mut known, &mut needs);
        self.learn(&tx, rows, &mut known).await?;
        let (value, told) = self.draft(&tx, now, Start { known, needs }, verb).await?;
        self.commit(tx).await?;
        self.announce(told);
        Ok(value)
    }

    /// Makes the run and its top level. A run that is there already is left as it is, which makes submitting twice
    /// harmless: `run.id` is unique, and who comes second waits for the first one's commit.
    pub(super) async fn submit(&self, now: i64, mut submission: Submission) -> Result<RunId, HubError> {
        let id = submission.run;
        submission.name.truncate(submission.name.floor_char_boundary(MAX_NAME));
        // a text column takes no NUL
        let name = submission.name.replace('\0', "");
        if patiently!(self.run_key(id))?.is_some() {
            return Ok(id);
        }
        let body = to_blob(&(&submission.plan, &submission.code))?;
        Graph::new(submission.plan.clone(), submission.code.clone())?;
        patiently!(self.try_submit(now, id, &name, &body, &submission))
    }

    async fn try_submit(
        &self,
        now: i64,
        id: RunId,
        name: &str,
        body: &[u8],
        submission: &Submission,
    ) -> Result<RunId, HubError> {
        let graph = Graph::new(submission.plan.clone(), submission.code.clone())?;
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let first = take_ids(&tx, graph.blocks.first().map_or(0, Block::stride)).await?;
        let sql = "INSERT INTO run (id, name, first, state, created_at, version) VALUES ($1, $2, $3, 0, $4, 0)
             ON CONFLICT (id) DO NOTHING RETURNING key";
        let rows = ask(&tx, sql, &[&id.0, &name, &first, &now]).await?;
        let Some(row) = rows.first() else { return Ok(id) };
        let key: i64 = row.try_get(0)?;
        tell(&tx, "INSERT INTO plan (run, body) VALUES ($1, $2)", &[&key, &body]).await?;
        let steps: Vec<i64> = (0..).take(graph.steps.len()).collect();
        tell(&tx, "INSERT INTO step_count (run, step) SELECT $1, unnest($2::int8[])", &[&key, &steps]).await?;
        let mut known = Known::default();
        for (index, step) in (0..).map(StepIndex).zip(&graph.steps) {
            let at = i64::from(index.0);
            if let Some(limit) = step.settings.rate.as_ref().filter(|limit| limit.by.is_none()) {
                let sql = "INSERT INTO rate (run, step, scope, count, per_ms, next, open_at)
                     VALUES ($1, $2, $3, $4, $5, 0, 0) RETURNING id";
                let (scope, count, per_ms) = (&step.settings.scope, i64::from(limit.count), signed(limit.per_ms));
                let rows = ask(&tx, sql, &[&key, &at, scope, &count, &per_ms]).await?;
                let rate = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
                known.rates.insert((key, index.0), rate);
            }
        }
        let run = std::sync::Arc::new(Run { key, id, first, graph });
        known.runs.insert(key, run.clone());
        known.run_states.insert(key, RunState::Running);
        known.new_runs.insert(key);
        let begin = |draft: &mut Draft<'_>| draft.begin(&run);
        let ((), told) = self.draft(&tx, now, Start { known, needs: Needs::default() }, &begin).await?;
        self.commit(tx).await?;
        self.announce(told);
        Ok(id)
    }

    pub(super) async fn run_key(&self, run: RunId) -> Result<Option<i64>, HubError> {
        let client = self.client().await?;
        let statement = client.prepare_cached("SELECT key FROM run WHERE id = $1").await?;
        let row = client.query_opt(&statement, &[&run.0]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn presume_run(&self, run: RunId) -> Result<i64, HubError> {
        patiently!(self.run_key(run))?.ok_or(HubError::RunNotFound(run))
    }

    /// A change that begins with these jobs.
    pub(super) async fn change_jobs<T: Send>(
        &self,
        now: i64,
        jobs: &[i64],
        verb: &(dyn Fn(&mut Draft<'_>) -> Step<T> + Sync),
    ) -> Result<T, HubError> {
        let (runs, needs) = self.places_of(jobs).await?;
        self.change(now, &runs, needs, verb).await
    }

    pub(super) async fn cancel_job(&self, now: i64, job: JobId) -> Result<Changed, HubError> {
        patiently!(self.change_jobs(now, &[row_id(job)], &|draft| draft.cancel_job(job)))
    }

    pub(super) async fn reset_job(&self, now: i64, job: JobId) -> Result<Changed, HubError> {
        patiently!(self.change_jobs(now, &[row_id(job)], &|draft| draft.reset_job(job)))
    }

    pub(super) async fn reset_run(&self, now: i64, run: RunId) -> Result<Changed, HubError> {
        let key = self.presume_run(run).await?;
        patiently!(self.try_reset_run(now, key))
    }

    async fn try_reset_run(&self, now: i64, key: i64) -> Result<Changed, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut known = Known::default();
        self.lock(&tx, &[key], &mut known).await?;
        let rows = ask(&tx, "SELECT job FROM failed WHERE run = $1 ORDER BY job", &[&key]).await?;
        let failed: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let needs = Needs { jobs: failed.iter().copied().collect(), ..Needs::default() };
        let reset = |draft: &mut Draft<'_>| draft.reset_failed(key, &failed);
        let (changed, told) = self.draft(&tx, now, Start { known, needs }, &reset).await?;
        self.commit(tx).await?;
        self.announce(told);
        Ok(changed)
    }

    pub(super) async fn cancel_run(&self, now: i64, run: RunId) -> Result<Changed, HubError> {
        let key = self.presume_run(run).await?;
        patiently!(self.try_cancel_run(now, key))
    }

    /// Everything of the run that is not over, except failed jobs, which stay to be read. Safe beside running jobs: their
    /// rows are gone, so their reports find nothing. A run may have many rows, so they move inside the database.
    async fn try_cancel_run(&self, now: i64, key: i64) -> Result<Changed, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut known = Known::default();
        self.lock(&tx, &[key], &mut known).await?;
        if known.run_states.get(&key) != Some(&RunState::Running) {
            return Ok(Changed { jobs: 0 });
        }
        let rows = ask(&tx, &format!("SELECT {FAN_OUT} FROM fanout WHERE run = $1"), &[&key]).await?;
        let fan_outs = rows.iter().map(fan_out_row).collect::<Result<Vec<_>, _>>()?;
        let run = self.run(&tx, key).await?;
        let mut stretches = vec![(run.first, run.first + run.graph.blocks.first().map_or(0, Block::stride))];
        stretches.extend(fan_outs.iter().map(|fan_out| (fan_out.first, fan_out.round(fan_out.expanded))));
        let mut gone = Vec::new();
        for (first, end) in stretches {
            gone.extend(clear(&tx, first, end, now).await?);
        }
        let cancel = |draft: &mut Draft<'_>| {
            let mut jobs = 0;
            for (node, from, count) in &gone {
                if let Some(job) = run.graph.job(bue_model::NodeId(*node)) {
                    draft.counts.add(key, job.step, *from, -count);
                    draft.counts.add(key, job.step, State::Cancelled, *count);
                    jobs += crate::jobs::columns::unsigned(*count);
                }
            }
            for fan_out in &fan_outs {
                jobs += draft.clear_unmade(&run, fan_out)?;
            }
            draft.run_states.insert(key, (RunState::Cancelled, Some(now)));
            draft.touch(key);
            Ok(Changed { jobs })
        };
        let (changed, told) = self.draft(&tx, now, Start { known, needs: Needs::default() }, &cancel).await?;
        self.commit(tx).await?;
        self.announce(told);
        Ok(changed)
    }

    /// Remembers extensions; those that gain three eighths of a lease are written, so that other hubs see them in
    /// time: every second heartbeat, with half a lease left.
    pub(super) async fn heartbeat(&self, now: i64, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, HubError> {
        let end = now.saturating_add(signed(self.lease_ms()));
        let (ids, tokens): (Vec<i64>, Vec<i64>) =
            heartbeat.leases.iter().map(|(job, token)| (row_id(*job), signed(token.0))).unzip();
        let held = patiently!(self.extend(&ids, &tokens, end))?;
        let mut lost = Vec::new();
        let mut extended = self.extended();
        for ((job, _), (id, token)) in heartbeat.leases.iter().zip(ids.into_iter().zip(tokens)) {
            if held.contains(&(id, token)) {
                extended.insert(id, (token, end));
            } else {
                lost.push(*job);
            }
        }
        Ok(HeartbeatAnswer { lost })
    }

    /// The leases that still hold. Skips rows that a transaction is at: they are extended by the next heartbeat.
    async fn extend(
        &self,
        ids: &[i64],
        tokens: &[i64],
        end: i64,
    ) -> Result<std::collections::HashSet<(i64, i64)>, HubError> {
        let client = self.client().await?;
        let sql = "SELECT job.id, job.token, lease_end FROM unnest($1::int8[], $2::int8[]) AS held (id, token)
             JOIN job ON job.id = held.id AND job.token = held.token AND job.state = 3";
        let rows = client.query(&client.prepare_cached(sql).await?, &[&ids, &tokens]).await?;
        let soon = end.saturating_sub(signed(self.lease_ms() * 3 / 8));
        let (mut held, mut short) = (std::collections::HashSet::new(), Vec::new());
        for row in rows {
            let (id, token, stored): (i64, i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            held.insert((id, token));
            if stored.is_none_or(|stored| stored < soon) {
                short.push((id, token));
            }
        }
        if !short.is_empty() {
            let (ids, tokens): (Vec<i64>, Vec<i64>) = short.into_iter().unzip();
            let sql = "UPDATE job SET lease_end = $3 WHERE id IN (
                 SELECT job.id FROM unnest($1::int8[], $2::int8[]) AS held (id, token)
                 JOIN job ON job.id = held.id AND job.token = held.token AND job.state = 3 FOR UPDATE OF job SKIP LOCKED)";
            client.execute(&client.prepare_cached(sql).await?, &[&ids, &tokens, &end]).await?;
        }
        Ok(held)
    }

    /// Puts jobs back whose leases have ended, or writes down how long they were extended.
    pub(super) async fn reap(&self, now: i64) -> Result<ReapedJobs, HubError> {
        let ended = patiently!(self.ended(now))?;
        let (kept, ended): (Vec<_>, Vec<_>) = {
            let extended = self.extended();
            let kept =
                |(id, token): &(i64, i64)| extended.get(id).is_some_and(|(held, end)| held == token && *end > now);
            ended.into_iter().partition(kept)
        };
        for (id, token) in kept {
            let end = self.extended().get(&id).map_or(now, |(_, end)| *end);
            patiently!(self.extend(&[id], &[token], end))?;
        }
        let ids: Vec<i64> = ended.into_iter().map(|(id, _)| id).collect();
        let lost = if ids.is_empty() {
            Vec::new()
        } else {
            patiently!(self.change_jobs(now, &ids, &|draft| draft.reap(&ids)))?
        };
        self.extended().retain(|_, (_, end)| *end > now);
        Ok(ReapedJobs { jobs: lost.into_iter().map(job_id).collect(), next_at: patiently!(self.next_lease_end())? })
    }

    async fn ended(&self, now: i64) -> Result<Vec<(i64, i64)>, HubError> {
        let client = self.client().await?;
        let sql = "SELECT id, token FROM job WHERE state = 3 AND lease_end <= $1 ORDER BY lease_end LIMIT $2";
        let rows = client.query(&client.prepare_cached(sql).await?, &[&now, &MAX_REAPED]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    async fn next_lease_end(&self) -> Result<Option<Timestamp>, HubError> {
        let client = self.client().await?;
        let sql = "SELECT lease_end FROM job WHERE state = 3 ORDER BY lease_end LIMIT 1";
        let row = client.query_opt(&client.prepare_cached(sql).await?, &[]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.flatten().map(Timestamp))
    }

    /// A job that was just leased and that nobody can be given.
    pub(super) async fn fail_leased(
        &self,
        now: i64,
        id: i64,
        token: i64,
        failure: &bue_model::Failure,
    ) -> Result<(), HubError> {
        patiently!(self.change_jobs(now, &[id], &|draft| draft.fail_leased(id, token, failure)))
    }

    /// The next rounds of a fan-out; of no effect where it has no room for more.
    pub(super) async fn grow(&self, id: i64) -> Result<(), HubError> {
        let now = self.latest();
        let (runs, mut needs) = self.places_of(&[id]).await?;
        needs.fan_outs.insert(id);
        self.change(now, &runs, needs, &|draft| draft.grow(id)).await
    }
}

/// The rows of one range of ids go to `done`; how many of each node and state they were.
async fn clear(tx: &Transaction<'_>, first: i64, end: i64, now: i64) -> Result<Vec<(u32, State, i64)>, HubError> {
    let sql = "WITH gone AS (DELETE FROM job WHERE id >= $1 AND id < $2 AND state <> 5 RETURNING *),
         kept AS (INSERT INTO done (id, run, node, fanout, state, token, worker, attempts, resets, log, ended_at)
             SELECT id, run, node, fanout, 8, token, worker, attempts, resets, log, $3 FROM gone)
         SELECT node, state, count(*) FROM gone GROUP BY node, state";
    let rows = ask(tx, sql, &[&first, &end, &now]).await?;
    let read = |row: &tokio_postgres::Row| {
        let node = u32::try_from(row.try_get::<_, i64>(0)?).unwrap_or(u32::MAX);
        Ok((node, state(row.try_get(1)?)?, row.try_get(2)?))
    };
    rows.iter().map(read).collect()
}

/// What the world is to hear of a transaction.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) work: bool,
    pub(super) leases: bool,
    pub(super) runs: BTreeSet<RunId>,
    pub(super) growing: BTreeSet<i64>,
}

impl Told {
    /// What came of the same transaction later.
    fn take(&mut self, more: Self) {
        self.work |= more.work;
        self.leases |= more.leases;
        self.runs.extend(more.runs);
        self.growing.extend(more.growing);
    }
}
