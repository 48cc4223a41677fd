//! What the database has, for retention and for the bucket.

use bue_model::wire::Collection;
use bue_model::{RunId, Timestamp};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::ledger::{Ledger, run_id};
use crate::error::HubError;

impl Ledger<'_> {
    pub(super) fn ended_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, HubError> {
        let mut select = self
            .db
            .prepare_cached("SELECT id FROM run WHERE state <> 0 AND finished_at < ?1 ORDER BY finished_at LIMIT ?2")?;
        let ids = select.query_map(params![before.0, limit], |row| row.get(0).map(run_id))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    pub(super) fn gc_roots(&self) -> Result<Collection, HubError> {
        let database = self.identity()?;
        let mut select = self.db.prepare_cached("SELECT id FROM run")?;
        let runs = select.query_map([], |row| row.get(0).map(run_id))?.collect::<Result<_, _>>()?;
        Ok(Collection { database, runs })
    }

    /// What this database is called, made up when somebody first asks. Nothing else refers to it, so its table is no layout.
    fn identity(&self) -> Result<Uuid, HubError> {
        self.db.execute_batch("CREATE TABLE IF NOT EXISTS identity (id BLOB NOT NULL)")?;
        let mut select = self.db.prepare_cached("SELECT id FROM identity")?;
        if let Some(id) = select.query_row([], |row| row.get(0)).optional()? {
            return Ok(Uuid::from_bytes(id));
        }
        let id =
            self.db.query_row("INSERT INTO identity VALUES (randomblob(16)) RETURNING id", [], |row| row.get(0))?;
        Ok(Uuid::from_bytes(id))
    }
}
