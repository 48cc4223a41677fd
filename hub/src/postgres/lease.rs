//! Giving jobs away, in one short transaction that waits for nothing while it holds rows.

use std::collections::BTreeSet;

use bue_model::wire::{Lease, LeaseBatch, LeaseRequest};
use bue_model::{Failure, FailureKind, NodeId, Timestamp, Token};
use bytes::Bytes;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::Inner;
use super::pick::{Ready, pick};
use super::rate::{count_start, waiting};
use super::read::{ask, tell};
use super::values::{Next, Values};
use super::verbs::{Told, commit, patiently};
use super::write::write_counts;
use crate::columns::{job_id, signed, unsigned};
use crate::counts::Counts;
use crate::draft::Known;
use crate::error::HubError;
use crate::instance::{Slot, instance_of};
use crate::lease_batch::{BATCH_BYTES, Batch, bound, count_by};
use crate::state::State;
use crate::store::Leased;

/// Parked jobs made ready at one time; the caller comes back for the rest at once.
const MAX_WOKEN: i64 = 10_000;
/// Jobs whose arguments are read with one question, at most [`INLINE_LIMIT`](bue_model::job::INLINE_LIMIT) bytes each.
const READ_AHEAD: usize = 128;
/// Tries when others are at the runs of all that is ready.
const TRIES: usize = 10;

/// What a try came to.
enum Try {
    Done(LeaseBatch, Vec<Unfit>),
    /// This run was in somebody's hands.
    Busy(i64),
}

/// A leased job whose arguments nobody can be given.
struct Unfit {
    id: i64,
    token: i64,
    failure: Failure,
}

impl Inner {
    pub(super) async fn lease(&self, now: i64, mut request: LeaseRequest) -> Result<Leased, HubError> {
        bound(&mut request)?;
        // a text column takes no NUL
        request.worker.retain(|letter| letter != '\0');
        request.scopes.retain(|scope| !scope.contains('\0'));
        let mut granted = self.granted.lock().await;
        if patiently!(self.wake(now))? > 0 {
            self.announce(Told { work: true, ..Told::default() });
        }
        let (mut first, mut batch) = (None, LeaseBatch { lease_ms: self.lease_ms(), ..LeaseBatch::default() });
        for _ in 0..TRIES {
            match patiently!(self.try_lease(now, &request, *granted, first))? {
                Try::Busy(run) => first = Some(run),
                Try::Done(leased, unfit) => {
                    *granted = granted.wrapping_add((leased.leases.len() + unfit.len()) as u64);
                    batch = leased;
                    for unfit in unfit {
                        self.fail_leased(now, unfit.id, unfit.token, &unfit.failure).await?;
                    }
                    break;
                }
            }
        }
        drop(granted);
        Ok(Leased { batch, next_at: patiently!(self.next_ready(now))? })
    }

    /// Parked jobs whose time has come are ready. Those that somebody is at are woken the next time.
    async fn wake(&self, now: i64) -> Result<u64, HubError> {
        let client = self.client().await?;
        let sql = "UPDATE job SET state = 2 WHERE id IN (SELECT id FROM job WHERE state = 1 AND available_at <= $1
             ORDER BY available_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
        Ok(client.execute(&client.prepare_cached(sql).await?, &[&now, &MAX_WOKEN]).await?)
    }

    /// When the next parked job, or the next start under a rate, is due.
    async fn next_ready(&self, now: i64) -> Result<Option<Timestamp>, HubError> {
        let client = self.client().await?;
        let sql = waiting!(
            "SELECT least((SELECT available_at FROM job WHERE state = 1 ORDER BY available_at LIMIT 1),
             (SELECT min(open_at) FROM rate WHERE id IN (SELECT rate FROM waiting) AND open_at > $1))"
        );
        let row = client.query_one(&client.prepare_cached(sql).await?, &[&now]).await?;
        Ok(row.try_get::<_, Option<i64>>(0)?.map(Timestamp))
    }

    /// Locks ready rows, then their runs: the first one by waiting before anything is held, all others only if they are
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
        let mut known = Known::default();
        if let Some(run) = first {
            self.lock(&tx, &[run], &mut known).await?;
        }
        let picked = pick(&tx, now, request, granted).await?;
        let runs: BTreeSet<i64> = picked.iter().map(|job| job.run).collect();
        let runs: Vec<i64> = runs.into_iter().collect();
        let sql = "SELECT key FROM run WHERE key = ANY($1) ORDER BY key FOR UPDATE SKIP LOCKED";
        let rows = ask(&tx, sql, &[&runs]).await?;
        let free = rows.iter().map(|row| row.try_get(0)).collect::<Result<BTreeSet<i64>, _>>()?;
        let busy = runs.iter().find(|run| !free.contains(run)).copied();
        let jobs: Vec<Ready> = picked.into_iter().filter(|job| free.contains(&job.run)).collect();
        match busy {
            Some(run) if jobs.is_empty() => Ok(Try::Busy(run)),
            _ => self.take(tx, now, &request.worker, &jobs).await,
        }
    }

    /// The arguments of these rows, each with its run.
    async fn read_ahead(
        &self,
        tx: &Transaction<'_>,
        values: &mut Values,
        rows: &[(i64, &Row)],
    ) -> Result<(), HubError> {
        let mut places = Vec::with_capacity(rows.len());
        for (run, row) in rows {
            let node = NodeId(u32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(u32::MAX));
            places.push((self.run(tx, *run).await?, Slot { id: row.try_get(0)?, node, fanout: row.try_get(2)? }));
        }
        // what is damaged is complained of where it is taken
        let next = places.iter().filter_map(|(run, slot)| {
            Some(Next { run, instance: instance_of(run, *slot).ok()?, job: run.graph.job(slot.node)? })
        });
        values.read_arguments(tx, &next.collect::<Vec<_>>()).await
    }

    /// Makes these rows Running under larger tokens, and says what a worker must know of them.
    async fn take(&self, tx: Transaction<'_>, now: i64, worker: &str, jobs: &[Ready]) -> Result<Try, HubError> {
        let (mut batch, mut counts, mut unfit) = (Batch::default(), Counts::default(), Vec::new());
        let mut values = Values::default();
        let mut runs = std::collections::BTreeMap::new();
        let end = now.saturating_add(signed(self.lease_ms()));
        let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
        let sql = "SELECT id, node, fanout, token, attempts, env FROM job WHERE id = ANY($1) AND state = 2";
        let rows = ask(&tx, sql, &[&ids]).await?;
        let mut found = std::collections::HashMap::new();
        for row in &rows {
            found.insert(row.try_get::<_, i64>(0)?, row);
        }
        let mut taken = Vec::new();
        for (at, job) in jobs.iter().enumerate() {
            if batch.bytes > BATCH_BYTES {
                break;
            }
            if at % READ_AHEAD == 0 {
                let next = jobs.iter().skip(at).take(READ_AHEAD);
                let next: Vec<_> = next.filter_map(|job| Some((job.run, *found.get(&job.id)?))).collect();
                self.read_ahead(&tx, &mut values, &next).await?;
            }
            let Some(row) = found.get(&job.id) else { continue };
            let node = NodeId(u32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(u32::MAX));
            let slot = Slot { id: job.id, node, fanout: row.try_get(2)? };
            let run = self.run(&tx, job.run).await?;
            let graph_job = run.graph.job(node).ok_or_else(|| HubError::damaged("a loop was leased"))?;
            let token = row.try_get::<_, i64>(3)?.saturating_add(1);
            taken.push(job.id);
            counts.moved(run.key, graph_job.step, State::Ready, State::Running);
            let count_by = count_by(&run, graph_job, job.rate);
            counts.step(run.key, graph_job.step).attempts += i64::from(count_by.is_none());
            runs.insert(run.key, run.id);
            if job.rate != 0 {
                count_start(&tx, now, job.rate).await?;
            }
            let inputs = match values.inputs(&tx, &run, instance_of(&run, slot)?, graph_job).await {
                Ok(Ok(inputs)) => inputs,
                Ok(Err(failure)) => {
                    unfit.push(Unfit { id: job.id, token, failure });
                    continue;
                }
                // one job whose rows are damaged must not keep all others from being leased
                Err(HubError::Damaged(why)) => {
                    let why = format!("the hub's database is damaged: {why}");
                    unfit.push(Unfit { id: job.id, token, failure: Failure::new(FailureKind::Internal, why) });
                    continue;
                }
                Err(error) => return Err(error),
            };
            batch.bytes = batch.bytes.saturating_add(inputs.bytes);
            let attempts = u32::try_from(row.try_get::<_, i64>(4)?).unwrap_or(u32::MAX);
            let step = batch.step(&run, graph_job)?;
            batch.leases.push(Lease {
                job: job_id(job.id),
                run: run.id,
                token: Token(unsigned(token)),
                attempt: attempts.saturating_add(1),
                step,
                inputs: inputs.inputs,
                env: row.try_get::<_, Option<Vec<u8>>>(5)?.map(Bytes::from),
                count_by,
            });
        }
        if taken.is_empty() {
            return Ok(Try::Done(LeaseBatch { lease_ms: self.lease_ms(), ..LeaseBatch::default() }, unfit));
        }
        let sql =
            "UPDATE job SET state = 3, token = token + 1, lease_end = $2, worker = $3 WHERE id = ANY($1) AND state = 2";
        if tell(&tx, sql, &[&taken, &end, &worker]).await? != taken.len() as u64 {
            return Err(HubError::damaged("a job that was locked is not ready any more"));
        }
        write_counts(&tx, &counts).await?;
        let keys: Vec<i64> = runs.keys().copied().collect();
        tell(&tx, "UPDATE run SET version = version + 1 WHERE key = ANY($1)", &[&keys]).await?;
        commit(tx).await?;
        let runs = runs.into_values().collect();
        self.announce(Told { leases: !batch.leases.is_empty(), runs, ..Told::default() });
        Ok(Try::Done(LeaseBatch { lease_ms: self.lease_ms(), steps: batch.steps, leases: batch.leases }, unfit))
    }
}
