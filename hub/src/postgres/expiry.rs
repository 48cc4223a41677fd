//! How leases are extended, and what becomes of leases and jobs that expire.

use std::collections::HashSet;

use bue_model::wire::{Heartbeat, HeartbeatAnswer};
use bue_model::{Failure, Timestamp};

use super::connection::retry::retry_transient;
use super::state::PostgresState;
use crate::error::HubError;
use crate::jobs::columns::{job_id, row_id, signed};
use crate::jobs::leasing::expiry::{MAX_REAPED, select_expiring};
use crate::jobs::state::state_code;
use crate::lease_key::LeaseKey;
use crate::store::{ExpiredJobs, ReapedJobs};

impl PostgresState {
    /// Returns the secret that seals leases.
    pub(super) async fn lease_key(&self) -> Result<LeaseKey, HubError> {
        retry_transient!(self.try_lease_key())
    }

    async fn try_lease_key(&self) -> Result<LeaseKey, HubError> {
        let client = self.client().await?;
        let statement = client.prepare_cached("SELECT key FROM lease_key").await?;
        let row = client.query_one(&statement, &[]).await?;
        let key: &[u8] = row.try_get(0)?;
        key.try_into().map_err(|_| HubError::damaged("the key of leases has not 32 bytes"))
    }

    /// Extends leases in memory. Those that gain three eighths of a lease are written too, so that other hubs see them in
    /// time: with every second heartbeat, half a lease before the end.
    pub(super) async fn heartbeat(&self, now: i64, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, HubError> {
        let end = now.saturating_add(signed(self.lease_ms()));
        let (ids, tokens): (Vec<i64>, Vec<i64>) =
            heartbeat.leases.iter().map(|(job, token)| (row_id(*job), signed(token.number))).unzip();
        let held = retry_transient!(self.extend(&ids, &tokens, end))?;
        let mut lost = Vec::new();
        let mut extensions = self.extensions();
        for ((job, _), (id, token)) in heartbeat.leases.iter().zip(ids.into_iter().zip(tokens)) {
            if held.contains(&(id, token)) {
                extensions.extend(id, token, end);
            } else {
                lost.push(*job);
            }
        }
        Ok(HeartbeatAnswer { lost, log_watches: Vec::new() })
    }

    /// Returns the leases that are still held. Skips rows that are locked: the next heartbeat extends them.
    async fn extend(&self, ids: &[i64], tokens: &[i64], end: i64) -> Result<HashSet<(i64, i64)>, HubError> {
        let client = self.client().await?;
        let sql = concat!(
            "SELECT job.id, job.token, lease_end FROM unnest($1::int8[], $2::int8[]) AS held (id, token)
             JOIN job ON job.id = held.id AND job.token = held.token AND job.state = ",
            state_code!(Running)
        );
        let rows = client.query(&client.prepare_cached(sql).await?, &[&ids, &tokens]).await?;
        let soon = end.saturating_sub(signed(self.lease_ms() * 3 / 8));
        let (mut held, mut to_write) = (HashSet::new(), Vec::new());
        for row in rows {
            let (id, token, stored): (i64, i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            held.insert((id, token));
            if stored.is_none_or(|stored| stored < soon) {
                to_write.push((id, token));
            }
        }
        if !to_write.is_empty() {
            let (ids, tokens): (Vec<i64>, Vec<i64>) = to_write.into_iter().unzip();
            let sql = concat!(
                "UPDATE job SET lease_end = $3 WHERE id IN (
                 SELECT job.id FROM unnest($1::int8[], $2::int8[]) AS held (id, token)
                 JOIN job ON job.id = held.id AND job.token = held.token AND job.state = ",
                state_code!(Running),
                " FOR UPDATE OF job SKIP LOCKED)"
            );
            client.execute(&client.prepare_cached(sql).await?, &[&ids, &tokens, &end]).await?;
        }
        Ok(held)
    }

    /// Releases jobs whose leases have expired, or writes how long heartbeats extended them.
    pub(super) async fn reap(&self, now: i64) -> Result<ReapedJobs, HubError> {
        let mut lost = Vec::new();
        for (id, token) in retry_transient!(self.expired(now))? {
            let extended = self.extensions().live(id, now).filter(|(held, _)| *held == token);
            match extended {
                Some((_, end)) => drop(retry_transient!(self.extend(&[id], &[token], end))?),
                None => lost.push(id),
            }
        }
        let reaped = if lost.is_empty() {
            Vec::new()
        } else {
            retry_transient!(self.change_jobs(now, &lost, &|changes| changes.reap(&lost)))?
        };
        self.extensions().forget_expired(now);
        let next_at = retry_transient!(self.next_lease_end())?;
        Ok(ReapedJobs { jobs: reaped.into_iter().map(job_id).collect(), next_at })
    }

    /// Fails available jobs that have not started in time.
    pub(super) async fn expire(&self, now: i64) -> Result<ExpiredJobs, HubError> {
        let due = retry_transient!(self.due_expiries(now))?;
        let jobs = self.fail_expired(now, &due).await?;
        let next_at = retry_transient!(self.next_expiry())?;
        Ok(ExpiredJobs { jobs: jobs.into_iter().map(job_id).collect(), next_at })
    }

    /// Fails these jobs as far as they are available and have expired. Returns those that did.
    pub(super) async fn fail_expired(&self, now: i64, ids: &[i64]) -> Result<Vec<i64>, HubError> {
        match ids {
            [] => Ok(Vec::new()),
            ids => retry_transient!(self.change_jobs(now, ids, &|changes| changes.expire(ids))),
        }
    }

    async fn due_expiries(&self, now: i64) -> Result<Vec<i64>, HubError> {
        let client = self.client().await?;
        let sql = select_expiring!("id", " AND expires_at <= $1 ORDER BY expires_at LIMIT $2");
        let rows = client.query(&client.prepare_cached(sql).await?, &[&now, &MAX_REAPED]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn next_expiry(&self) -> Result<Option<Timestamp>, HubError> {
        let client = self.client().await?;
        let sql = select_expiring!("expires_at", " ORDER BY expires_at LIMIT 1");
        let row = client.query_opt(&client.prepare_cached(sql).await?, &[]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(Timestamp))
    }

    /// Returns rows whose leases have expired in the database, and their tokens.
    async fn expired(&self, now: i64) -> Result<Vec<(i64, i64)>, HubError> {
        let client = self.client().await?;
        let sql = concat!(
            "SELECT id, token FROM job WHERE state = ",
            state_code!(Running),
            " AND lease_end <= $1 ORDER BY lease_end LIMIT $2"
        );
        let rows = client.query(&client.prepare_cached(sql).await?, &[&now, &MAX_REAPED]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    async fn next_lease_end(&self) -> Result<Option<Timestamp>, HubError> {
        let client = self.client().await?;
        let sql =
            concat!("SELECT lease_end FROM job WHERE state = ", state_code!(Running), " ORDER BY lease_end LIMIT 1");
        let row = client.query_opt(&client.prepare_cached(sql).await?, &[]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.flatten().map(Timestamp))
    }

    /// Fails a job that was just leased and cannot be sent to any worker.
    pub(super) async fn fail_undeliverable(
        &self,
        now: i64,
        id: i64,
        token: i64,
        failure: &Failure,
    ) -> Result<(), HubError> {
        retry_transient!(self.change_jobs(now, &[id], &|changes| changes.fail_undeliverable(
            id,
            token,
            failure.clone()
        )))
    }
}
