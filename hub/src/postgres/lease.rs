//! Giving jobs away, in one short transaction.
//!
//! Ready rows are looked at without locking them: the row of the run is their lock, and is taken next, if it is free. What
//! became of the rows between the two is seen when they are changed, which is guarded by their state and token.

use std::collections::BTreeSet;

use bue_model::wire::{Lease, LeaseBatch, LeaseRequest};
use bue_model::{Failure, FailureKind, RunId, Timestamp, Token};
use bytes::Bytes;
use deadpool_postgres::Transaction;
use tokio_postgres::Statement;

use super::pick::{Ready, pick};
use super::rate::{count_start, waiting};
use super::read::{LOCK_RUNS, ask, lock_runs, tell};
use super::values::{Next, Values};
use super::verbs::{Told, patiently};
use super::write::write_counts;
use super::{Granted, Inner};
use crate::error::HubError;
use crate::jobs::columns::{job_id, signed, unsigned};
use crate::jobs::counts::Counts;
use crate::jobs::instance::instance_of;
use crate::jobs::lease_batch::{BATCH_BYTES, Batch, bound, count_by};
use crate::jobs::state::State;
use crate::store::LeaseAnswer;

/// Parked jobs made ready at one time; the caller comes back for the rest at once.
const MAX_WOKEN: i64 = 10_000;
/// Jobs whose arguments are read with one question, at most [`INLINE_LIMIT`](bue_model::job::INLINE_LIMIT) bytes each.
const READ_AHEAD: usize = 512;
/// Tries when others are at the runs of all that is ready.
const TRIES: usize = 10;

/// What a try came to.
enum Try {
    /// With the last run that something is of.
    Done(LeaseAnswer, Option<i64>, Vec<Unfit>),
    /// This run was in somebody's hands, or was a moment ago.
    Busy(i64),
}

/// A leased job whose arguments nobody can be given.
struct Unfit {
    id: i64,
    token: i64,
    failure: Failure,
}

/// What a lease is going to change.
#[derive(Default)]
struct Taking {
    batch: Batch,
    counts: Counts,
    unfit: Vec<Unfit>,
    /// Rows, and the tokens they have had.
    ids: Vec<i64>,
    tokens: Vec<i64>,
    keys: BTreeSet<i64>,
    runs: BTreeSet<RunId>,
}

impl Inner {
    pub(super) async fn lease(&self, now: i64, mut request: LeaseRequest) -> Result<LeaseAnswer, HubError> {
        bound(&mut request)?;
        // a text column takes no NUL
        request.worker.retain(|letter| letter != '\0');
        request.scopes.retain(|scope| !scope.contains('\0'));
        let mut granted = self.granted.lock().await;
        // it is about to be free, and to look for what is ready before that would be in vain
        let mut first = granted.run.filter(|_| self.is_reporting());
        for _ in 0..TRIES {
            match patiently!(self.try_lease(now, &request, granted.jobs, first))? {
                Try::Busy(run) => first = Some(run),
                Try::Done(leased, run, unfit) => {
                    let given = leased.batch.leases.len() + unfit.len();
                    *granted = Granted { jobs: granted.jobs.wrapping_add(given as u64), run };
                    drop(granted);
                    for unfit in unfit {
                        self.fail_leased(now, unfit.id, unfit.token, &unfit.failure).await?;
                    }
                    return Ok(leased);
                }
            }
        }
        let batch = LeaseBatch { lease_ms: self.lease_ms(), ..LeaseBatch::default() };
        // at once, though others are quick
        Ok(LeaseAnswer { batch, next_at: Some(Timestamp(now)) })
    }

    /// Locks the runs of what is ready: the first one by waiting before anything else is looked at, all others only if they are
    /// free. Rows of runs that are not are left alone.
    async fn try_lease(
        &self,
        now: i64,
        request: &LeaseRequest,
        granted: u64,
        first: Option<i64>,
    ) -> Result<Try, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let first: Vec<i64> = first.into_iter().collect();
        // sent at once, the lock before all others; so the rows are looked at when it is held, and when the others are awake
        let (lock, awaken) = (tx.prepare_cached(LOCK_RUNS).await?, tx.prepare_cached(WAKE).await?);
        let (_, woken, picked) =
            tokio::try_join!(lock_runs(&tx, &lock, &first), wake(&tx, &awaken, now), pick(&tx, now, request, granted))?;
        let runs: BTreeSet<i64> = picked.iter().map(|job| job.run).collect();
        let others: Vec<i64> = runs.iter().filter(|run| !first.contains(run)).copied().collect();
        let mut free = lock_free(&tx, &others).await?;
        free.extend(first);
        let busy = runs.iter().find(|run| !free.contains(run)).copied();
        let jobs: Vec<Ready> = picked.into_iter().filter(|job| free.contains(&job.run)).collect();
        if let Some(run) = busy.filter(|_| jobs.is_empty()) {
            return Ok(Try::Busy(run));
        }
        let taking = self.look_through(&tx, now, jobs).await?;
        let end = now.saturating_add(signed(self.lease_ms()));
        let keys: Vec<i64> = taking.keys.iter().copied().collect();
        let (is_whole, (), (), next_at) = tokio::try_join!(
            take(&tx, &taking, &request.worker, end),
            write_counts(&tx, &taking.counts),
            count_versions(&tx, &keys),
            next_ready(&tx, now)
        )?;
        if !is_whole {
            // another hub had some of them before their run was locked
            return keys.first().map(|run| Try::Busy(*run)).ok_or_else(|| HubError::damaged("a lease of no run"));
        }
        self.commit(tx).await?;
        let batch = LeaseBatch { lease_ms: self.lease_ms(), steps: taking.batch.steps, leases: taking.batch.leases };
        self.announce(Told { work: woken > 0, leases: !batch.leases.is_empty(), runs: taking.runs, ..Told::default() });
        Ok(Try::Done(LeaseAnswer { batch, next_at }, keys.last().copied(), taking.unfit))
    }

    /// The arguments of these jobs.
    async fn read_ahead(&self, tx: &Transaction<'_>, values: &mut Values, jobs: &[Ready]) -> Result<(), HubError> {
        let mut runs = Vec::with_capacity(jobs.len());
        for job in jobs {
            runs.push(self.run(tx, job.run).await?);
        }
        // what is damaged is complained of where it is taken
        let next = jobs.iter().zip(&runs).filter_map(|(job, run)| {
            let (instance, job) = (instance_of(run, job.slot).ok()?, run.graph.job(job.slot.node)?);
            Some(Next { run, instance, job })
        });
        values.read_arguments(tx, &next.collect::<Vec<_>>()).await
    }

    /// What a worker must know of these jobs, as far as it fits into one answer.
    async fn look_through(&self, tx: &Transaction<'_>, now: i64, jobs: Vec<Ready>) -> Result<Taking, HubError> {
        let (mut taking, mut values) = (Taking::default(), Values::default());
        for (at, job) in jobs.iter().enumerate() {
            if taking.batch.bytes > BATCH_BYTES {
                break;
            }
            if at % READ_AHEAD == 0 {
                let end = jobs.len().min(at + READ_AHEAD);
                self.read_ahead(tx, &mut values, jobs.get(at..end).unwrap_or_default()).await?;
            }
            self.look_at(tx, now, job, &mut values, &mut taking).await?;
        }
        Ok(taking)
    }

    async fn look_at(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        ready: &Ready,
        values: &mut Values,
        taking: &mut Taking,
    ) -> Result<(), HubError> {
        let run = self.run(tx, ready.run).await?;
        let (slot, token) = (ready.slot, ready.token.saturating_add(1));
        let job = run.graph.job(slot.node).ok_or_else(|| HubError::damaged("a loop was leased"))?;
        taking.ids.push(slot.id);
        taking.tokens.push(ready.token);
        taking.counts.moved(run.key, job.step, State::Ready, State::Running);
        let count_by = count_by(&run, job, ready.rate);
        taking.counts.step(run.key, job.step).attempts += i64::from(count_by.is_none());
        taking.keys.insert(run.key);
        taking.runs.insert(run.id);
        if ready.rate != 0 {
            count_start(tx, now, ready.rate).await?;
        }
        let inputs = match values.inputs(tx, &run, instance_of(&run, slot)?, job).await {
            Ok(Ok(inputs)) => inputs,
            Ok(Err(failure)) => {
                taking.unfit.push(Unfit { id: slot.id, token, failure });
                return Ok(());
            }
            // one job whose rows are damaged must not keep all others from being leased
            Err(HubError::Damaged(why)) => {
                let why = format!("the hub's database is damaged: {why}");
                let failure = Failure::new(FailureKind::Internal, why);
                taking.unfit.push(Unfit { id: slot.id, token, failure });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        taking.batch.bytes = taking.batch.bytes.saturating_add(inputs.bytes);
        let step = taking.batch.step(&run, job)?;
        taking.batch.leases.push(Lease {
            job: job_id(slot.id),
            run: run.id,
            token: Token(unsigned(token)),
            attempt: ready.attempts.saturating_add(1),
            step,
            inputs: inputs.inputs,
            env: ready.env.clone().map(Bytes::from),
            count_by,
        });
        self.places().keep(slot, run.key);
        Ok(())
    }
}

/// Parked jobs whose time has come are ready. Those that somebody is at are woken the next time.
const WAKE: &str =
    "UPDATE job SET state = 2 WHERE id = ANY(ARRAY(SELECT id FROM job WHERE state = 1 AND available_at <= $1
         ORDER BY available_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// The statement above; how many there were.
async fn wake(tx: &Transaction<'_>, statement: &Statement, now: i64) -> Result<u64, HubError> {
    Ok(tx.execute(statement, &[&now, &MAX_WOKEN]).await?)
}

/// When the next parked job, or the next start under a rate, is due.
async fn next_ready(tx: &Transaction<'_>, now: i64) -> Result<Option<Timestamp>, HubError> {
    let sql = waiting!(
        "SELECT least((SELECT available_at FROM job WHERE state = 1 ORDER BY available_at LIMIT 1),
         (SELECT min(open_at) FROM rate WHERE id IN (SELECT rate FROM waiting) AND open_at > $1))"
    );
    let rows = ask(tx, sql, &[&now]).await?;
    let next: Option<i64> = rows.first().map_or(Ok(None), |row| row.try_get(0))?;
    Ok(next.map(Timestamp))
}

/// Those of these runs that nobody is at, locked.
async fn lock_free(tx: &Transaction<'_>, runs: &[i64]) -> Result<BTreeSet<i64>, HubError> {
    if runs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sql = "SELECT key FROM run WHERE key = ANY($1) ORDER BY key FOR UPDATE SKIP LOCKED";
    ask(tx, sql, &[&runs]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// What is to be seen of these runs changed.
async fn count_versions(tx: &Transaction<'_>, keys: &[i64]) -> Result<(), HubError> {
    if !keys.is_empty() {
        tell(tx, "UPDATE run SET version = version + 1 WHERE key = ANY($1)", &[&keys]).await?;
    }
    Ok(())
}

/// Makes these rows Running under larger tokens; whether all were still as they were when they were looked at.
async fn take(tx: &Transaction<'_>, taking: &Taking, worker: &str, end: i64) -> Result<bool, HubError> {
    if taking.ids.is_empty() {
        return Ok(true);
    }
    let sql = "UPDATE job SET state = 3, token = job.token + 1, lease_end = $3, worker = $4
         FROM unnest($1::int8[], $2::int8[]) AS ready (id, token)
         WHERE job.id = ready.id AND job.token = ready.token AND job.state = 2";
    let taken = tell(tx, sql, &[&taking.ids, &taking.tokens, &end, &worker]).await?;
    Ok(taken == taking.ids.len() as u64)
}
