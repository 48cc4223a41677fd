//! Leasing jobs: which ones, and everything that a worker must know about them.

use bue_model::Timestamp;
use bue_model::wire::LeaseRequest;
use rusqlite::{OptionalExtension, params};

use super::arguments::LastRead;
use crate::error::HubError;
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::signed;
use crate::jobs::instance::instance_of;
use crate::jobs::leasing::lease_batch::{
    LeaseBuilder, MAX_DUE_JOBS, UndeliverableJob, clamp_request, count_lease, starts_attempt,
};
use crate::jobs::leasing::pick::{ReadyJob, counted_leases, has_recorded, without_expired};
use crate::jobs::state::state_code;
use crate::sqlite::write_tx::WriteTx;
use crate::store::LeaseAnswer;

/// A row that is leased, and its new token.
struct NewLease {
    id: i64,
    token: i64,
    /// Whether an attempt starts, so that the job cannot expire any more.
    starts_attempt: bool,
}

impl WriteTx<'_> {
    /// Leases the best of the ready jobs. Safe because picking and updating are in one transaction of the one writer.
    pub(in crate::sqlite) fn lease(
        &mut self,
        mut request: LeaseRequest,
        lease_ms: u64,
    ) -> Result<LeaseAnswer, HubError> {
        clamp_request(&mut request)?;
        self.promote_due_jobs()?;
        let (mut builder, mut tokens, mut last_read) = (LeaseBuilder::default(), Vec::new(), LastRead::default());
        let isolated = self.pick_isolated(&request)?;
        let is_isolated = isolated.is_some();
        let jobs = match isolated {
            Some(suspect) => vec![suspect],
            None if self.holds_isolated(&request.worker)? => Vec::new(),
            None => self.pick(&request)?,
        };
        let (jobs, expired) = without_expired(jobs, self.now);
        for job in jobs {
            if builder.is_full() {
                break;
            }
            tokens.push(self.add_job(&mut builder, job, &mut last_read)?);
        }
        self.start_leases(&tokens, &request.worker, is_isolated, lease_ms)?;
        self.state.granted = self.state.granted.wrapping_add(counted_leases(&request, tokens.len()));
        for UndeliverableJob { id, token, failure } in std::mem::take(&mut builder.undeliverable) {
            self.change(Snapshot::default(), RequiredReads::jobs([id]), |changes| {
                changes.fail_undeliverable(id, token, failure.clone())
            })?;
        }
        self.change_jobs(&expired, |changes| changes.expire(&expired))?;
        let batch = builder.finish(lease_ms);
        self.pending_notifications.leases |= !batch.leases.is_empty();
        // others may take the places of those that have expired
        let next_at = if expired.is_empty() { self.next_ready()? } else { Some(Timestamp(self.now)) };
        Ok(LeaseAnswer { batch, next_at })
    }

    /// Makes parked jobs ready whose time has come.
    fn promote_due_jobs(&mut self) -> Result<(), HubError> {
        let mut update = self.db.prepare_cached(concat!(
            "UPDATE job SET state = ",
            state_code!(Ready),
            " WHERE id IN (SELECT id FROM job WHERE state = ",
            state_code!(Parked),
            " AND available_at <= ?1 ORDER BY available_at LIMIT ?2)"
        ))?;
        self.pending_notifications.work |= update.execute(params![self.now, MAX_DUE_JOBS])? > 0;
        Ok(())
    }

    /// Returns when the next parked job is due, or the next start under a rate, or a suspect may have company.
    fn next_ready(&self) -> Result<Option<Timestamp>, HubError> {
        let mut parked = self.db.prepare_cached(concat!(
            "SELECT available_at FROM job WHERE state = ",
            state_code!(Parked),
            " ORDER BY available_at LIMIT 1"
        ))?;
        let parked: Option<i64> = parked.query_row([], |row| row.get(0)).optional()?;
        let others = [self.next_rate_opening()?, self.next_in_company()?];
        Ok(parked.into_iter().chain(others.into_iter().flatten()).min().map(Timestamp))
    }

    /// Makes these rows Running under their new tokens, which are larger than those before.
    fn start_leases(
        &mut self,
        jobs: &[NewLease],
        worker: &str,
        is_isolated: bool,
        lease_ms: u64,
    ) -> Result<(), HubError> {
        let end = self.now.saturating_add(signed(lease_ms));
        let mut update = self.db.prepare_cached(concat!(
            "UPDATE job SET state = ",
            state_code!(Running),
            ", token = ?2, lease_end = ?3, worker = ?4, isolated = ?5, expires_at = iif(?6, NULL, expires_at), started_at = iif(?6, ?7, NULL) WHERE id = ?1 AND state = ",
            state_code!(Ready)
        ))?;
        for NewLease { id, token, starts_attempt } in jobs {
            if update.execute(params![id, token, end, worker, is_isolated, starts_attempt, self.now])? != 1 {
                return Err(HubError::damaged("a ready job has no row"));
            }
        }
        Ok(())
    }

    fn add_job(
        &mut self,
        builder: &mut LeaseBuilder,
        ready: ReadyJob,
        last_read: &mut LastRead,
    ) -> Result<NewLease, HubError> {
        let run = self.run(ready.run)?;
        let job = run.graph.job(ready.location.node).ok_or_else(|| HubError::damaged("a loop was leased"))?;
        if ready.rate != 0 {
            self.count_start(ready.rate)?;
        }
        count_lease(&mut self.counts, &run, job, &ready);
        self.changed_runs.insert(run.key);
        let lease = NewLease {
            id: ready.location.id,
            token: ready.token + 1,
            starts_attempt: starts_attempt(&run, job, &ready),
        };
        let arguments = self.arguments(&run, instance_of(&run, ready.location)?, job, last_read);
        let arguments = arguments.and_then(|arguments| match has_recorded(&run, &ready) {
            true => self.with_recorded(ready.location.id, arguments),
            false => Ok(arguments),
        });
        builder.add(&run, job, ready, arguments)?;
        Ok(lease)
    }
}
