//! Jobs of each step, as the table holds them.

use rusqlite::{Connection, params};

pub(super) use crate::counts::Counts;
use crate::error::HubError;

impl Counts {
    /// Safe to add blindly: the rows are made with the run, and the writer's transaction is the only one there is.
    pub(super) fn write(&mut self, db: &Connection) -> Result<(), HubError> {
        let mut update = db.prepare_cached(
            "UPDATE step_count SET blocked = blocked + ?3, available = available + ?4, running = running + ?5,
                 completed = completed + ?6, failed = failed + ?7, cancelled = cancelled + ?8,
                 attempts = attempts + ?9, retries = retries + ?10, pendings = pendings + ?11,
                 resets = resets + ?12, run_ms = run_ms + ?13
             WHERE run = ?1 AND step = ?2",
        )?;
        for ((run, step), delta) in std::mem::take(&mut self.0) {
            update.execute(params![
                run,
                step,
                delta.blocked,
                delta.available,
                delta.running,
                delta.completed,
                delta.failed,
                delta.cancelled,
                delta.attempts,
                delta.retries,
                delta.pendings,
                delta.resets,
                delta.run_ms,
            ])?;
        }
        Ok(())
    }
}
