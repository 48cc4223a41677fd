//! Changes: each locks its runs, runs an operation on what was read, and writes its changes, in one transaction.

use std::collections::BTreeSet;

use bue_model::RunState;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::leasing::leased_jobs::LeasedJob;
use super::query::{LOCK_RUNS, lock_runs, node, query, run_state};
use super::read::{fetch, read};
use super::state::PostgresState;
use super::write::write;
use crate::error::HubError;
use crate::jobs::changes::change_set::{ChangeResult, ChangeSet, Evaluation, ReadAhead, evaluate};
use crate::jobs::changes::pending_notifications::{MAX_ROUND_BATCHES, PendingNotifications};
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::small;
use crate::jobs::instance::{Location, Run, ids_of, instance_of};

/// Rows to read ahead of a needed job the first time. An instance of that size is read as a whole.
const FIRST_READ_AHEAD: i64 = 64;

/// What is read before an operation runs for the first time, of runs that are locked.
#[derive(Default)]
pub(super) struct Start {
    pub(super) snapshot: Snapshot,
    pub(super) required: RequiredReads,
}

/// What an operation came to.
struct Applied<T> {
    value: T,
    pending_notifications: PendingNotifications,
    /// What was read, with the new states of runs.
    snapshot: Snapshot,
}

impl PostgresState {
    /// Runs an operation on as much of the database as it needs, writes what it changed, and instantiates the first of the rounds
    /// that have room now.
    pub(super) async fn apply<T: Send>(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        start: Start,
        operation: &(dyn Fn(&mut ChangeSet<'_>) -> ChangeResult<T> + Sync),
    ) -> Result<(T, PendingNotifications), HubError> {
        let Applied { value, mut pending_notifications, mut snapshot } =
            self.apply_once(tx, now, start, operation).await?;
        for _ in 0..MAX_ROUND_BATCHES {
            let Some(id) = pending_notifications.growing.pop_first() else { break };
            let start = Start { snapshot: snapshot.keep_runs_only(), required: RequiredReads::fan_out(id) };
            let grown = self.apply_once(tx, now, start, &|changes| changes.grow(id)).await?;
            pending_notifications.merge(grown.pending_notifications);
            snapshot = grown.snapshot;
        }
        Ok((value, pending_notifications))
    }

    async fn apply_once<T: Send>(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        Start { mut snapshot, mut required }: Start,
        operation: &(dyn Fn(&mut ChangeSet<'_>) -> ChangeResult<T> + Sync),
    ) -> Result<Applied<T>, HubError> {
        let mut read_ahead = ReadAhead::starting_at(FIRST_READ_AHEAD);
        loop {
            if !required.is_empty() {
                read(tx, &mut snapshot, required, now, read_ahead.next()).await?;
            }
            match evaluate(&snapshot, now, operation)? {
                Evaluation::Incomplete(missing) => required = missing,
                Evaluation::Complete(value, changes) => {
                    write(tx, &changes).await?;
                    let runs = changes.changed_runs.iter().filter_map(|key| snapshot.runs.get(key)).map(|run| run.id);
                    let pending_notifications =
                        PendingNotifications { runs: runs.collect(), ..changes.pending_notifications };
                    let (states, reset_runs, endings) = (changes.run_states, changes.reset_runs, changes.endings);
                    snapshot.fresh_since.extend(reset_runs.into_iter().map(|key| (key, now)));
                    for (key, ending) in endings {
                        snapshot.endings.remove(&key);
                        snapshot.endings.extend(ending.map(|ending| (key, ending)));
                    }
                    snapshot.run_states.extend(states.into_iter().map(|(key, (state, _))| (key, state)));
                    return Ok(Applied { value, pending_notifications, snapshot });
                }
            }
        }
    }

    /// Runs an operation on these runs, in a transaction.
    async fn change<T: Send>(
        &self,
        now: i64,
        runs: &[i64],
        mut required: RequiredReads,
        operation: &(dyn Fn(&mut ChangeSet<'_>) -> ChangeResult<T> + Sync),
    ) -> Result<T, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut snapshot = Snapshot::default();
        // pipelined, the locks first, so that the server reads the rows when it has them
        let lock = tx.prepare_cached(LOCK_RUNS).await?;
        let (rows, fetched) = tokio::try_join!(lock_runs(&tx, &lock, runs), fetch(&tx, &required, FIRST_READ_AHEAD))?;
        fetched.add_to(&mut snapshot, &mut required);
        self.read_runs(&tx, rows, &mut snapshot).await?;
        let (value, pending_notifications) = self.apply(&tx, now, Start { snapshot, required }, operation).await?;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(value)
    }

    /// Runs an operation that begins with these jobs, in a transaction.
    pub(super) async fn change_jobs<T: Send>(
        &self,
        now: i64,
        jobs: &[i64],
        operation: &(dyn Fn(&mut ChangeSet<'_>) -> ChangeResult<T> + Sync),
    ) -> Result<T, HubError> {
        let (runs, required) = self.runs_and_required_reads(jobs).await?;
        self.change(now, &runs, required, operation).await
    }

    /// Instantiates the next rounds of a fan-out. Changes nothing if it has no room for more.
    pub(super) async fn grow(&self, id: i64) -> Result<(), HubError> {
        let now = self.latest_now();
        let (runs, mut required) = self.runs_and_required_reads(&[id]).await?;
        required.fan_outs.insert(id);
        self.change(now, &runs, required, &|changes| changes.grow(id)).await
    }

    /// Locks a run and reads it.
    pub(super) async fn lock(&self, tx: &Transaction<'_>, key: i64) -> Result<Snapshot, HubError> {
        let lock = tx.prepare_cached(LOCK_RUNS).await?;
        let rows = lock_runs(tx, &lock, &[key]).await?;
        let mut snapshot = Snapshot::default();
        self.read_runs(tx, rows, &mut snapshot).await?;
        Ok(snapshot)
    }

    /// Reads what never changes of locked runs, and their states.
    async fn read_runs(&self, tx: &Transaction<'_>, rows: Vec<Row>, snapshot: &mut Snapshot) -> Result<(), HubError> {
        for row in rows {
            let key: i64 = row.try_get(0)?;
            let state: RunState = run_state(key, row.try_get(1)?)?;
            snapshot.run_states.insert(key, state);
            snapshot.fresh_since.insert(key, row.try_get(2)?);
            if let Some(ending) = row.try_get::<_, Option<i64>>(3)? {
                snapshot.endings.insert(key, run_state(key, ending)?);
            }
            let run = self.run(tx, key).await?;
            read_rates(tx, &run, snapshot).await?;
            snapshot.runs.insert(key, run);
        }
        Ok(())
    }

    /// Returns the runs of jobs, each once, and what a change that begins with these jobs is sure to need: their instances,
    /// and the fan-outs around them. None of it ever changes, so it is looked up before anything is locked.
    async fn runs_and_required_reads(&self, jobs: &[i64]) -> Result<(Vec<i64>, RequiredReads), HubError> {
        let (mut located, mut unknown) = (Vec::with_capacity(jobs.len()), Vec::new());
        {
            let leased_jobs = self.leased_jobs();
            for id in jobs {
                match leased_jobs.get(*id) {
                    Some(job) => located.push(job),
                    None => unknown.push(*id),
                }
            }
        }
        if !unknown.is_empty() {
            located.extend(self.locate(&unknown).await?);
        }
        let (mut runs, mut required) = (BTreeSet::new(), RequiredReads::default());
        for LeasedJob { location, run } in located {
            runs.insert(run);
            if location.fanout != 0 {
                required.fan_outs.insert(location.fanout);
            }
            let cached = self.runs().get(run);
            match cached.and_then(|run| Some(ids_of(&run, instance_of(&run, location).ok()?))) {
                Some(range) if range.1 - range.0 <= FIRST_READ_AHEAD => drop(required.job_ranges.insert(range)),
                Some(range) => {
                    required.jobs.insert(location.id);
                    required.open.insert(range);
                }
                None => drop(required.jobs.insert(location.id)),
            }
        }
        Ok((runs.into_iter().collect(), required))
    }

    /// Returns the key of the run of a job.
    pub(super) async fn run_of(&self, job: i64) -> Result<Option<i64>, HubError> {
        Ok(self.locate(&[job]).await?.first().map(|located| located.run))
    }

    async fn locate(&self, jobs: &[i64]) -> Result<Vec<LeasedJob>, HubError> {
        let client = self.client().await?;
        let sql = "SELECT id, run, node, fanout FROM job WHERE id = ANY($1)
             UNION ALL SELECT id, run, node, fanout FROM done WHERE id = ANY($1)";
        let rows = client.query(&client.prepare_cached(sql).await?, &[&jobs]).await?;
        let located = rows.iter().map(|row| {
            let location = Location { id: row.try_get(0)?, node: node(row.try_get(2)?), fanout: row.try_get(3)? };
            Ok(LeasedJob { location, run: row.try_get(1)? })
        });
        located.collect()
    }
}

/// Reads the rates of a run that have no keys.
pub(super) async fn read_rates(tx: &Transaction<'_>, run: &Run, snapshot: &mut Snapshot) -> Result<(), HubError> {
    if run.graph.steps.iter().any(|step| step.settings.limits_starts()) {
        for rate in query(tx, "SELECT step, id FROM rate WHERE run = $1 AND key = ''", &[&run.key]).await? {
            snapshot.rates.insert((run.key, small(rate.try_get(0)?)), rate.try_get(1)?);
        }
    }
    Ok(())
}
