//! How a job begins its life, by how its parents stand. Pure.

use bue_model::NodeId;
/// What a completed job leaves to those that depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) priority: Option<i64>,
    pub(crate) env: Option<Vec<u8>>,
}

/// How a parent stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may still complete by itself.
    Open,
    Completed(Hint),
    /// It will not complete unless somebody resets this failed job.
    Dead(i64),
    Cancelled,
}

/// What was left to a job, and by which node. Of several, the one that stands last in the script wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inherited {
    pub(crate) priority: Option<(NodeId, i64)>,
    pub(crate) env: Option<(NodeId, Vec<u8>)>,
}

impl Inherited {
    /// Takes what a parent leaves, unless one that stands later already did.
    pub(crate) fn take(&mut self, from: NodeId, hint: &Hint) {
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
pub(crate) enum Fate {
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
pub(crate) fn fate<'a>(parents: impl IntoIterator<Item = &'a Standing>) -> Fate {
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

/// How a job that is made with this fate stands towards those made after it.
pub(crate) fn standing_at_birth(fate: &Fate) -> Standing {
    match fate {
        Fate::Free | Fate::Blocked(_) => Standing::Open,
        Fate::Stuck(_, by) => Standing::Dead(*by),
        Fate::Cancelled => Standing::Cancelled,
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
