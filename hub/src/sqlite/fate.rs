//! How a job begins its life, by how its parents stand. Pure, apart from asking how they stand.

use bue_model::NodeId;
use rusqlite::OptionalExtension;

use super::ledger::{Ledger, job_id};
use super::state::State;
use crate::error::HubError;

/// What a completed job leaves to those that depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) priority: Option<i64>,
    pub(super) env: Option<Vec<u8>>,
}

/// How a parent stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may still complete by itself.
    Open,
    Completed(Hint),
    /// It will not complete unless somebody resets this failed job.
    Dead(i64),
    Cancelled,
}

/// What was left to a job, and by which node. Of several, the one that stands last in the script wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inherited {
    pub(super) priority: Option<(NodeId, i64)>,
    pub(super) env: Option<(NodeId, Vec<u8>)>,
}

impl Inherited {
    /// Takes what a parent leaves, unless one that stands later already did.
    pub(super) fn take(&mut self, from: NodeId, hint: &Hint) {
        if let Some(priority) = hint.priority
            && self.priority.is_none_or(|(earlier, _)| earlier <= from)
        {
            self.priority = Some((from, priority));
        }
        if let Some(env) = &hint.env
            && self.env.as_ref().is_none_or(|(earlier, _)| *earlier <= from)
        {
            self.env = Some((from, env.clone()));
        }
    }
}

/// How a job stands when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All parents are completed.
    Free,
    /// So many are not.
    Blocked(i64),
    /// So many are not, and this failed job holds it up for good.
    Stuck(i64, i64),
    Cancelled,
}

/// The fate of a job whose parents stand like this. A cancelled parent weighs more than a failed one, because no reset
/// brings it back.
pub(super) fn fate<'a>(parents: impl IntoIterator<Item = &'a Standing>) -> Fate {
    let (mut missing, mut dead, mut cancelled) = (0, None, false);
    for parent in parents {
        match parent {
            Standing::Completed(_) => continue,
            Standing::Open => {}
            Standing::Dead(by) => dead = dead.or(Some(*by)),
            Standing::Cancelled => cancelled = true,
        }
        missing += 1;
    }
    match (cancelled, dead, missing) {
        (true, ..) => Fate::Cancelled,
        (_, Some(by), missing) => Fate::Stuck(missing, by),
        (_, None, 0) => Fate::Free,
        (_, None, missing) => Fate::Blocked(missing),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_free_when_all_its_parents_are_completed() {
        let completed = Standing::Completed(Hint::default());
        assert_eq!(fate([]), Fate::Free);
        assert_eq!(fate([&completed, &completed]), Fate::Free);
        assert_eq!(fate([&completed, &Standing::Open]), Fate::Blocked(1));
        assert_eq!(fate([&Standing::Dead(7), &Standing::Open, &completed]), Fate::Stuck(2, 7));
        assert_eq!(fate([&Standing::Dead(7), &Standing::Cancelled]), Fate::Cancelled);
    }

    #[test]
    fn of_several_hints_the_last_in_the_script_wins() {
        let hint = |priority| Hint { priority: Some(priority), env: None };
        let mut inherited = Inherited::default();
        inherited.take(NodeId(5), &hint(1));
        inherited.take(NodeId(2), &hint(9));
        assert_eq!(inherited.priority, Some((NodeId(5), 1)));
        inherited.take(NodeId(6), &hint(-3));
        assert_eq!(inherited.priority, Some((NodeId(6), -3)));
    }
}
