//! Giving jobs away: which ones, and everything a worker must know of them.

use bue_model::wire::{Lease, LeaseBatch, LeaseRequest};
use bue_model::{Failure, FailureKind, NodeId, Timestamp, Token};
use bytes::Bytes;
use rusqlite::{OptionalExtension, params};

use super::ledger::{Ledger, Slot, instance_of, job_id, signed, unsigned};
use super::state::State;
use crate::error::HubError;
use crate::lease_batch::{BATCH_BYTES, Batch, bound, count_by};
use crate::store::Leased;

/// Parked jobs made ready in one transaction; the caller comes back for the rest at once.
const MAX_WOKEN: i64 = 10_000;

/// A row that was just leased.
struct Taken {
    slot: Slot,
    run: i64,
    token: i64,
    attempts: u32,
    env: Option<Vec<u8>>,
    rate: i64,
}

impl Ledger<'_> {
    /// Leases the best of what is ready. Safe because pick and change are one transaction of the one writer.
    pub(super) fn lease(&mut self, mut request: LeaseRequest, lease_ms: u64) -> Result<Leased, HubError> {
        bound(&mut request)?;
        self.wake()?;
        let mut batch = Batch::default();
        for id in self.pick(&request)? {
            if batch.bytes > BATCH_BYTES {
                break;
            }
            if let Some(taken) = self.take(id, &request.worker, lease_ms)? {
                self.add(&mut batch, taken)?;
            }
        }
        self.effects.leases |= !batch.leases.is_empty();
        let batch = LeaseBatch { lease_ms, steps: batch.steps, leases: batch.leases };
        Ok(Leased { batch, next_at: self.next_ready()? })
    }

    /// Parked jobs whose time has come are ready.
    fn wake(&mut self) -> Result<(), HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE job SET state = 2 WHERE id IN
                 (SELECT id FROM job WHERE state = 1 AND available_at <= ?1 ORDER BY available_at LIMIT ?2)",
        )?;
        self.effects.work |= update.execute(params![self.now, MAX_WOKEN])? > 0;
        Ok(())
    }

    /// When the next parked job, or the next start under a rate, is due.
    fn next_ready(&self) -> Result<Option<Timestamp>, HubError> {
        let mut parked =
            self.db.prepare_cached("SELECT available_at FROM job WHERE state = 1 ORDER BY available_at LIMIT 1")?;
        let parked: Option<i64> = parked.query_row([], |row| row.get(0)).optional()?;
        Ok(parked.into_iter().chain(self.next_rated()?).min().map(Timestamp))
    }

    /// The row becomes Running under a larger token, if it is still ready.
    fn take(&mut self, id: i64, worker: &str, lease_ms: u64) -> Result<Option<Taken>, HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE job SET state = 3, token = token + 1, lease_end = ?2, worker = ?3 WHERE id = ?1 AND state = 2
             RETURNING node, fanout, run, token, attempts, env, rate",
        )?;
        let end = self.now.saturating_add(signed(lease_ms));
        let row = update.query_row(params![id, end, worker], |row| {
            let slot = Slot { id, node: NodeId(row.get(0)?), fanout: row.get(1)? };
            let (run, token, attempts) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(Taken { slot, run, token, attempts, env: row.get(5)?, rate: row.get(6)? })
        });
        let Some(taken) = row.optional()? else { return Ok(None) };
        if taken.rate != 0 {
            self.count_start(taken.rate)?;
        }
        Ok(Some(taken))
    }

    /// Adds a leased row to the answer; one whose arguments cannot be given to any worker fails instead.
    fn add(&mut self, batch: &mut Batch, taken: Taken) -> Result<(), HubError> {
        let run = self.run(taken.run)?;
        let node = taken.slot.node;
        let job = run.graph.job(node).ok_or_else(|| HubError::damaged("a loop was leased"))?;
        self.moved(&run, node, State::Ready, State::Running);
        let count_by = count_by(&run, job, taken.rate);
        self.counts.step(run.key, job.step).attempts += i64::from(count_by.is_none());
        self.memory.granted = self.memory.granted.wrapping_add(1);
        let inputs = match self.inputs(&run, instance_of(&run, taken.slot)?, job) {
            Ok(Ok(inputs)) => inputs,
            Ok(Err(failure)) => return self.fail(&run, taken.slot, State::Running, &failure),
            // one job whose rows are damaged must not keep all others from being leased
            Err(HubError::Damaged(why)) => {
                let failure = Failure::new(FailureKind::Internal, format!("the hub's database is damaged: {why}"));
                return self.fail(&run, taken.slot, State::Running, &failure);
            }
            Err(error) => return Err(error),
        };
        batch.bytes = batch.bytes.saturating_add(inputs.bytes);
        let step = batch.step(&run, job)?;
        batch.leases.push(Lease {
            job: job_id(taken.slot.id),
            run: run.id,
            token: Token(unsigned(taken.token)),
            attempt: taken.attempts.saturating_add(1),
            step,
            inputs: inputs.inputs,
            env: taken.env.map(Bytes::from),
            count_by,
        });
        Ok(())
    }
}
