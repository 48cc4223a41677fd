//! How rows stand towards those that depend on them.

use rusqlite::OptionalExtension;

use super::ledger::{Ledger, job_id};
use super::state::State;
use crate::error::HubError;
pub(super) use crate::fate::{Fate, Hint, Inherited, Standing, fate, standing_at_birth};

impl Ledger<'_> {
    /// How a row stands towards those that depend on it.
    pub(super) fn standing(&self, id: i64) -> Result<Standing, HubError> {
        let mut done = self.db.prepare_cached("SELECT state, hint, env FROM done WHERE id = ?1")?;
        let found = done.query_row([id], |row| {
            let hint = Hint { priority: row.get(1)?, env: row.get(2)? };
            Ok(match row.get(0)? {
                State::Cancelled => Standing::Cancelled,
                _ => Standing::Completed(hint),
            })
        });
        if let Some(standing) = found.optional()? {
            return Ok(standing);
        }
        let mut job = self.db.prepare_cached("SELECT state, blocked_by FROM job WHERE id = ?1")?;
        let found = job.query_row([id], |row| {
            Ok(match row.get(0)? {
                State::Failed => Standing::Dead(id),
                State::Stuck => Standing::Dead(row.get(1)?),
                _ => Standing::Open,
            })
        });
        found.optional()?.ok_or_else(|| HubError::damaged(format!("job {} is missing", job_id(id))))
    }
}
