//! Leasing jobs, in one short transaction.
//!
//! Ready rows are read without locks. The row of a run is the lock of its jobs, and is taken next, if it is free. Whether the
//! rows changed between the two shows when they are updated, on the condition of their state and token.

use std::collections::BTreeSet;

use bue_model::wire::{LeaseBatch, LeaseRequest};
use bue_model::{RunId, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::leased_jobs::LeasedJob;
use super::pick::{Isolated, pick, pick_isolated};
use super::rate::count_start;
use super::values::{JobToLease, Values, with_recorded};
use crate::error::HubError;
use crate::jobs::changes::pending_notifications::PendingNotifications;
use crate::jobs::columns::signed;
use crate::jobs::counts::step_counts::CountChanges;
use crate::jobs::instance::instance_of;
use crate::jobs::leasing::isolation::{company_since, in_isolation};
use crate::jobs::leasing::lease_batch::{
    LeaseBuilder, MAX_DUE_JOBS, UndeliverableJob, clamp_request, count_lease, starts_attempt,
};
use crate::jobs::leasing::pick::{ReadyJob, counted_leases, has_recorded, with_waiting_rates, without_expired};
use crate::jobs::state::state_code;
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::query::{LOCK_RUNS, execute, lock_runs, query};
use crate::postgres::state::{Granted, PostgresState};
use crate::postgres::write::{count_versions, write_counts};
use crate::store::{ISOLATION_MS, LeaseAnswer};

/// Jobs whose arguments are read with one query, at most [`INLINE_LIMIT`](bue_model::job::INLINE_LIMIT) bytes each.
const READ_AHEAD: usize = 512;
/// Attempts while the runs of all ready jobs are locked by others.
const MAX_ATTEMPTS: usize = 10;

/// Makes parked jobs ready whose time has come. Those that are locked become ready the next time.
const PROMOTE_DUE_JOBS: &str = concat!(
    "UPDATE job SET state = ",
    state_code!(Ready),
    " WHERE id = ANY(ARRAY(SELECT id FROM job WHERE state = ",
    state_code!(Parked),
    " AND available_at <= $1 ORDER BY available_at LIMIT $2 FOR UPDATE SKIP LOCKED))"
);

/// What an attempt came to.
enum LeaseAttempt {
    Done {
        leased: LeaseAnswer,
        /// The last run of which there is a lease.
        run: Option<i64>,
        undeliverable: Vec<UndeliverableJob>,
        /// Jobs that have expired.
        expired: Vec<i64>,
    },
    /// This run was locked by another transaction, or was a moment ago.
    Locked(i64),
}

/// What a lease changes.
#[derive(Default)]
struct LeaseChanges {
    builder: LeaseBuilder,
    counts: CountChanges,
    /// Rows, and their tokens before.
    ids: Vec<i64>,
    tokens: Vec<i64>,
    /// Whether an attempt of each starts, so that it cannot expire any more.
    starts_attempt: Vec<bool>,
    keys: BTreeSet<i64>,
    runs: BTreeSet<RunId>,
}

/// Who holds leases, and until when.
struct NewHolder<'a> {
    worker: &'a str,
    /// Whether the worker is to hold no other.
    is_isolated: bool,
    now: i64,
    end: i64,
}

impl PostgresState {
    pub(in crate::postgres) async fn lease(
        &self,
        now: i64,
        mut request: LeaseRequest,
    ) -> Result<LeaseAnswer, HubError> {
        clamp_request(&mut request)?;
        // a text column takes no NUL
        request.worker.retain(|letter| letter != '\0');
        request.scopes.retain(|scope| !scope.contains('\0'));
        let mut granted = self.granted.lock().await;
        // its lock is about to be released, and no ready job would be found before
        let mut first = granted.run.filter(|_| self.is_applying_reports());
        for _ in 0..MAX_ATTEMPTS {
            match retry_transient!(self.try_lease(now, &request, granted.jobs, first))? {
                LeaseAttempt::Locked(run) => first = Some(run),
                LeaseAttempt::Done { leased, run, undeliverable, expired } => {
                    let jobs = counted_leases(&request, leased.batch.leases.len() + undeliverable.len());
                    *granted = Granted { jobs: granted.jobs.wrapping_add(jobs), run };
                    drop(granted);
                    for UndeliverableJob { id, token, failure } in undeliverable {
                        self.fail_undeliverable(now, id, token, &failure).await?;
                    }
                    self.fail_expired(now, &expired).await?;
                    return Ok(leased);
                }
            }
        }
        let batch = LeaseBatch { lease_ms: self.lease_ms(), ..LeaseBatch::default() };
        // the caller may come back at once, although other hubs are faster
        Ok(LeaseAnswer { batch, next_at: Some(Timestamp(now)) })
    }

    /// Locks the runs of ready jobs: waits for the first one before anything is read, and takes all others only if they are
    /// free. Leaves the rows of runs that are locked by others alone.
    async fn try_lease(
        &self,
        now: i64,
        request: &LeaseRequest,
        granted: u64,
        first: Option<i64>,
    ) -> Result<LeaseAttempt, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let first: Vec<i64> = first.into_iter().collect();
        // pipelined, the lock first: the rows are read when it is held, and after due jobs became ready
        let (lock, promote) = (tx.prepare_cached(LOCK_RUNS).await?, tx.prepare_cached(PROMOTE_DUE_JOBS).await?);
        let (_, promoted, isolated, picked) = tokio::try_join!(
            lock_runs(&tx, &lock, &first),
            promote_due_jobs(&tx, &promote, now),
            pick_isolated(&tx, now, request),
            pick(&tx, now, request, granted)
        )?;
        let is_isolated = matches!(isolated, Isolated::Suspect(_));
        let (picked, expired) = without_expired(isolated.jobs(picked), now);
        let runs: BTreeSet<i64> = picked.iter().map(|job| job.run).collect();
        let others: Vec<i64> = runs.iter().filter(|run| !first.contains(run)).copied().collect();
        let mut locked = lock_free(&tx, &others).await?;
        locked.extend(first);
        let locked_by_others = runs.iter().find(|run| !locked.contains(run)).copied();
        let jobs: Vec<ReadyJob> = picked.into_iter().filter(|job| locked.contains(&job.run)).collect();
        if let Some(run) = locked_by_others.filter(|_| jobs.is_empty()) {
            return Ok(LeaseAttempt::Locked(run));
        }
        let mut changes = self.add_jobs(&tx, now, jobs).await?;
        let end = now.saturating_add(signed(self.lease_ms()));
        let keys: Vec<i64> = changes.keys.iter().copied().collect();
        let holder = NewHolder { worker: &request.worker, is_isolated, now, end };
        let (is_complete, (), (), next_at) = tokio::try_join!(
            start_leases(&tx, &changes, &holder),
            write_counts(&tx, &changes.counts),
            count_versions(&tx, &keys),
            next_ready(&tx, now)
        )?;
        if !is_complete {
            // another hub leased some of them before their run was locked
            let run = keys.first().copied().ok_or_else(|| HubError::damaged("a lease of no run"))?;
            return Ok(LeaseAttempt::Locked(run));
        }
        self.commit(tx).await?;
        let undeliverable = std::mem::take(&mut changes.builder.undeliverable);
        let batch = changes.builder.finish(self.lease_ms());
        let leases = !batch.leases.is_empty();
        self.announce(PendingNotifications {
            work: promoted > 0,
            leases,
            runs: changes.runs,
            ..PendingNotifications::default()
        });
        // others may take the places of those that have expired
        let next_at = if expired.is_empty() { next_at } else { Some(Timestamp(now)) };
        let leased = LeaseAnswer { batch, next_at };
        Ok(LeaseAttempt::Done { leased, run: keys.last().copied(), undeliverable, expired })
    }

    /// Reads the arguments of these jobs ahead.
    async fn read_ahead(&self, tx: &Transaction<'_>, values: &mut Values, jobs: &[ReadyJob]) -> Result<(), HubError> {
        let mut runs = Vec::with_capacity(jobs.len());
        for job in jobs {
            runs.push(self.run(tx, job.run).await?);
        }
        // damaged ones are reported where their arguments are put together
        let next = jobs.iter().zip(&runs).filter_map(|(job, run)| {
            let (instance, job) = (instance_of(run, job.location).ok()?, run.graph.job(job.location.node)?);
            Some(JobToLease { run, instance, job })
        });
        values.read_arguments(tx, &next.collect::<Vec<_>>()).await
    }

    /// Adds jobs with their arguments, as far as they fit into one answer.
    async fn add_jobs(&self, tx: &Transaction<'_>, now: i64, jobs: Vec<ReadyJob>) -> Result<LeaseChanges, HubError> {
        let (mut changes, mut values) = (LeaseChanges::default(), Values::default());
        for (at, job) in jobs.iter().enumerate() {
            if changes.builder.is_full() {
                break;
            }
            if at % READ_AHEAD == 0 {
                let end = jobs.len().min(at + READ_AHEAD);
                self.read_ahead(tx, &mut values, jobs.get(at..end).unwrap_or_default()).await?;
            }
            self.add_job(tx, now, job, &mut values, &mut changes).await?;
        }
        Ok(changes)
    }

    async fn add_job(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        ready: &ReadyJob,
        values: &mut Values,
        changes: &mut LeaseChanges,
    ) -> Result<(), HubError> {
        let run = self.run(tx, ready.run).await?;
        let location = ready.location;
        let job = run.graph.job(location.node).ok_or_else(|| HubError::damaged("a loop was leased"))?;
        changes.ids.push(location.id);
        changes.tokens.push(ready.token);
        changes.starts_attempt.push(starts_attempt(&run, job, ready));
        count_lease(&mut changes.counts, &run, job, ready);
        changes.keys.insert(run.key);
        changes.runs.insert(run.id);
        if ready.rate != 0 {
            count_start(tx, now, ready.rate).await?;
        }
        let mut arguments = values.arguments(tx, &run, instance_of(&run, location)?, job).await;
        if has_recorded(&run, ready) {
            arguments = with_recorded(tx, location.id, arguments).await;
        }
        changes.builder.add(&run, job, ready.clone(), arguments)?;
        self.leased_jobs().insert(LeasedJob { location, run: run.key });
        Ok(())
    }
}

/// Executes [`PROMOTE_DUE_JOBS`]. Returns the number of jobs.
async fn promote_due_jobs(tx: &Transaction<'_>, statement: &Statement, now: i64) -> Result<u64, HubError> {
    Ok(tx.execute(statement, &[&now, &MAX_DUE_JOBS]).await?)
}

/// Returns when the next parked job is due, or the next start under a rate, or a suspect may have company.
async fn next_ready(tx: &Transaction<'_>, now: i64) -> Result<Option<Timestamp>, HubError> {
    let sql = with_waiting_rates!(concat!(
        "SELECT least((SELECT available_at FROM job WHERE state = ",
        state_code!(Parked),
        " ORDER BY available_at LIMIT 1),
         (SELECT min(available_at) + $3 FROM job WHERE state = ",
        state_code!(Ready),
        " AND ",
        in_isolation!("$2"),
        "),
         (SELECT min(open_at) FROM rate WHERE id IN (SELECT rate FROM waiting) AND open_at > $1))"
    ));
    let rows = query(tx, sql, &[&now, &company_since(now), &signed(ISOLATION_MS)]).await?;
    let next: Option<i64> = rows.first().map_or(Ok(None), |row| row.try_get(0))?;
    Ok(next.map(Timestamp))
}

/// Locks those of these runs that are free. Returns them.
async fn lock_free(tx: &Transaction<'_>, runs: &[i64]) -> Result<BTreeSet<i64>, HubError> {
    if runs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sql = "SELECT key FROM run WHERE key = ANY($1) ORDER BY key FOR UPDATE SKIP LOCKED";
    query(tx, sql, &[&runs]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Makes these rows Running under larger tokens. Returns whether all were still as they were when they were read.
async fn start_leases(tx: &Transaction<'_>, changes: &LeaseChanges, holder: &NewHolder<'_>) -> Result<bool, HubError> {
    if changes.ids.is_empty() {
        return Ok(true);
    }
    let sql = concat!(
        "UPDATE job SET state = ",
        state_code!(Running),
        ", token = job.token + 1, lease_end = $3, worker = $4, isolated = $5,
             expires_at = CASE WHEN ready.starts_attempt THEN NULL ELSE job.expires_at END,
             started_at = CASE WHEN ready.starts_attempt THEN $7::int8 END
         FROM unnest($1::int8[], $2::int8[], $6::bool[]) AS ready (id, token, starts_attempt)
         WHERE job.id = ready.id AND job.token = ready.token AND job.state = ",
        state_code!(Ready)
    );
    let NewHolder { worker, is_isolated, now, end } = holder;
    let params: &[&(dyn ToSql + Sync)] =
        &[&changes.ids, &changes.tokens, end, worker, is_isolated, &changes.starts_attempt, now];
    let updated = execute(tx, sql, params).await?;
    Ok(updated == changes.ids.len() as u64)
}
