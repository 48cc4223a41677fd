//! The runs of this database: those that retention deletes, and the roots of garbage collection in the bucket.

use bue_model::wire::Collection;
use bue_model::{RunId, Timestamp};

use crate::error::HubError;
use crate::jobs::state::run_state_code;
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::query::{execute, query};
use crate::postgres::state::PostgresState;

/// The advisory lock that is held while the identity is created.
const IDENTITY_LOCK: i64 = 0x6275_6501;

impl PostgresState {
    /// Returns runs that ended before a time, the first ones first.
    pub(in crate::postgres) async fn ended_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, HubError> {
        retry_transient!(self.try_ended_runs(before, limit))
    }

    async fn try_ended_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = concat!(
            "SELECT id FROM run WHERE state <> ",
            run_state_code!(Running),
            " AND finished_at < $1 ORDER BY finished_at LIMIT $2"
        );
        let rows = query(&tx, sql, &[&before.0, &i64::from(limit)]).await?;
        rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
    }

    /// Returns the database's identity, all its runs, and the ids under which the code of pipelines was uploaded, or on whose behalf
    /// reruns have blobs.
    pub(in crate::postgres) async fn gc_roots(&self) -> Result<Collection, HubError> {
        retry_transient!(self.try_gc_roots())
    }

    async fn try_gc_roots(&self) -> Result<Collection, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        // The identity is created when it is first needed. Nothing else refers to it, so its table is not part of the layout.
        // Hubs that need it at the same time wait for each other at the lock.
        execute(&tx, "SELECT pg_advisory_xact_lock($1)", &[&IDENTITY_LOCK]).await?;
        execute(&tx, "CREATE TABLE IF NOT EXISTS identity (id UUID NOT NULL)", &[]).await?;
        let sql = "INSERT INTO identity SELECT gen_random_uuid() WHERE NOT EXISTS (SELECT FROM identity)";
        execute(&tx, sql, &[]).await?;
        let identity = query(&tx, "SELECT id FROM identity", &[]).await?;
        let row = identity.first().ok_or_else(|| HubError::damaged("the database has no identity"))?;
        let database = row.try_get(0)?;
        let sql = "SELECT id FROM run UNION ALL SELECT upload FROM pipeline_upload UNION SELECT lender FROM lender";
        let rows = query(&tx, sql, &[]).await?;
        let runs = rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect::<Result<_, HubError>>()?;
        self.commit(tx).await?;
        Ok(Collection { database, runs })
    }
}
