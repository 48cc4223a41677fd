//! The runs of this database: those that retention deletes, and the roots of garbage collection in the bucket.

use bue_model::wire::Collection;
use bue_model::{RunId, Timestamp};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use crate::error::HubError;
use crate::jobs::columns::run_id;
use crate::jobs::state::run_state_code;
use crate::sqlite::read_tx::ReadTx;
use crate::sqlite::write_tx::WriteTx;

impl ReadTx<'_> {
    /// Returns runs that ended before a time, the first ones first.
    pub(in crate::sqlite) fn ended_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<RunId>, HubError> {
        let mut select = self.db.prepare_cached(concat!(
            "SELECT id FROM run WHERE state <> ",
            run_state_code!(Running),
            " AND finished_at < ?1 ORDER BY finished_at LIMIT ?2"
        ))?;
        let ids = select.query_map(params![before.0, limit], |row| row.get(0).map(run_id))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Returns the database's identity, all its runs, and the ids under which the code of pipelines was uploaded, or on whose behalf
    /// reruns have blobs.
    pub(in crate::sqlite) fn gc_roots(&self) -> Result<Collection, HubError> {
        let database = self.identity()?;
        let mut select = self.db.prepare_cached("SELECT id FROM run")?;
        let mut runs: Vec<_> = select.query_map([], |row| row.get(0).map(run_id))?.collect::<Result<_, _>>()?;
        runs.extend(self.uploads()?);
        runs.extend(self.lenders()?);
        Ok(Collection { database, runs })
    }

    /// Returns the database's identity, which is created when it is first needed. Nothing else refers to it, so its table is
    /// not part of the layout.
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
