//! Giving jobs away: which ones, and everything a worker must know of them.

use bue_model::wire::{Lease, LeaseBatch, LeaseRequest};
use bue_model::{Failure, FailureKind, Timestamp, Token};
use bytes::Bytes;
use rusqlite::{OptionalExtension, params};

use super::inputs::Seen;
use super::ledger::{Ledger, instance_of, job_id, signed, unsigned};
use super::pick::Ready;
use super::state::State;
use crate::error::HubError;
use crate::jobs::draft::{Known, Needs};
use crate::jobs::lease_batch::{BATCH_BYTES, Batch, bound, count_by};
use crate::store::LeaseAnswer;

/// Parked jobs made ready in one transaction; the caller comes back for the rest at once.
const MAX_WOKEN: i64 = 10_000;

/// A leased job whose arguments nobody can be given.
struct Unfit {
    id: i64,
    token: i64,
    failure: Failure,
}

impl Ledger<'_> {
    /// Leases the best of what is ready. Safe because pick and change are one transaction of the one writer.
    pub(super) fn lease(&mut self, mut request: LeaseRequest, lease_ms: u64) -> Result<LeaseAnswer, HubError> {
        bound(&mut request)?;
        self.wake()?;
        let (mut batch, mut taken, mut unfit) = (Batch::default(), Vec::new(), Vec::new());
        let mut seen = Seen::default();
        for job in self.pick(&request)? {
            if batch.bytes > BATCH_BYTES {
                break;
            }
            taken.push((job.slot.id, job.token + 1));
            unfit.extend(self.add(&mut batch, job, &mut seen)?);
        }
        self.take(&taken, &request.worker, lease_ms)?;
        for Unfit { id, token, failure } in unfit {
            let needs = Needs { jobs: [id].into(), ..Needs::default() };
            self.draft(Known::default(), needs, |draft| draft.fail_leased(id, token, &failure))?;
        }
        self.effects.leases |= !batch.leases.is_empty();
        let batch = LeaseBatch { lease_ms, steps: batch.steps, leases: batch.leases };
        Ok(LeaseAnswer { batch, next_at: self.next_ready()? })
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

    /// These rows become Running under their new tokens, which are larger than those before.
    fn take(&mut self, jobs: &[(i64, i64)], worker: &str, lease_ms: u64) -> Result<(), HubError> {
        let end = self.now.saturating_add(signed(lease_ms));
        let mut update = self.db.prepare_cached(
            "UPDATE job SET state = 3, token = ?2, lease_end = ?3, worker = ?4 WHERE id = ?1 AND state = 2",
        )?;
        for (id, token) in jobs {
            if update.execute(params![id, token, end, worker])? != 1 {
                return Err(HubError::damaged("a ready job was not there when it was to be leased"));
            }
        }
        Ok(())
    }

    /// Adds a job that is to be leased to the answer; one whose arguments cannot be given to any worker is to fail instead.
    fn add(&mut self, batch: &mut Batch, ready: Ready, seen: &mut Seen) -> Result<Option<Unfit>, HubError> {
        let run = self.run(ready.run)?;
        let (slot, token) = (ready.slot, ready.token + 1);
        let job = run.graph.job(slot.node).ok_or_else(|| HubError::damaged("a loop was leased"))?;
        if ready.rate != 0 {
            self.count_start(ready.rate)?;
        }
        self.moved(&run, slot.node, State::Ready, State::Running);
        let count_by = count_by(&run, job, ready.rate);
        self.counts.step(run.key, job.step).attempts += i64::from(count_by.is_none());
        self.memory.granted = self.memory.granted.wrapping_add(1);
        let inputs = match self.inputs(&run, instance_of(&run, slot)?, job, seen) {
            Ok(Ok(inputs)) => inputs,
            Ok(Err(failure)) => return Ok(Some(Unfit { id: slot.id, token, failure })),
            // one job whose rows are damaged must not keep all others from being leased
            Err(HubError::Damaged(why)) => {
                let failure = Failure::new(FailureKind::Internal, format!("the hub's database is damaged: {why}"));
                return Ok(Some(Unfit { id: slot.id, token, failure }));
            }
            Err(error) => return Err(error),
        };
        batch.bytes = batch.bytes.saturating_add(inputs.bytes);
        let step = batch.step(&run, job)?;
        batch.leases.push(Lease {
            job: job_id(slot.id),
            run: run.id,
            token: Token(unsigned(token)),
            attempt: ready.attempts.saturating_add(1),
            step,
            inputs: inputs.inputs,
            env: ready.env.map(Bytes::from),
            count_by,
        });
        Ok(None)
    }
}
