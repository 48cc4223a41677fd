//! What the database has, for retention and for the bucket.

use bue_model::wire::Collection;
use bue_model::{RunId, Timestamp};

use super::Inner;
use super::read::{ask, tell};
use super::verbs::patiently;
use crate::error::HubError;

/// Held while the identity is made up.
const IDENTITY_LOCK: i64 = 0x6275_6501;

impl Inner {
    pub(super) async fn ended_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, HubError> {
        patiently!(self.try_ended_runs(before, limit))
    }

    async fn try_ended_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT id FROM run WHERE state <> 0 AND finished_at < $1 ORDER BY finished_at LIMIT $2";
        let rows = ask(&tx, sql, &[&before.0, &i64::from(limit)]).await?;
        rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
    }

    pub(super) async fn gc_roots(&self) -> Result<Collection, HubError> {
        patiently!(self.try_holdings())
    }

    async fn try_holdings(&self) -> Result<Collection, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        // What this database is called, made up when somebody first asks. Nothing else refers to it, so its table is no
        // layout. Hubs that ask at the same time wait for each other at the lock.
        tell(&tx, "SELECT pg_advisory_xact_lock($1)", &[&IDENTITY_LOCK]).await?;
        tell(&tx, "CREATE TABLE IF NOT EXISTS identity (id UUID NOT NULL)", &[]).await?;
        tell(&tx, "INSERT INTO identity SELECT gen_random_uuid() WHERE NOT EXISTS (SELECT FROM identity)", &[]).await?;
        let identity = ask(&tx, "SELECT id FROM identity", &[]).await?;
        let first = identity.first().ok_or_else(|| HubError::damaged("the database has no identity"))?;
        let database = first.try_get(0)?;
        let rows = ask(&tx, "SELECT id FROM run", &[]).await?;
        let runs = rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect::<Result<_, HubError>>()?;
        self.commit(tx).await?;
        Ok(Collection { database, runs })
    }
}
