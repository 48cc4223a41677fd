//! [`Progress`]: how far a schedule is. Stores keep it as JSON.

use bue_model::RunId;
use bue_model::schedule::{ScheduleChange, ScheduleState};
use serde::{Deserialize, Serialize};

use super::spec::ScheduleSpec;
use crate::error::HubError;

/// How far a schedule is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// Whether a user paused it, or the hub, because of a problem.
    pub(crate) is_paused: bool,
    /// Why the hub paused it.
    pub(crate) problem: Option<String>,
    /// The first due time that has not had its turn. Never goes back, so a clock that does repeats nothing.
    pub(crate) next_due: Option<i64>,
    /// Due times that had their turn, and wait.
    pub(crate) waiting: Vec<i64>,
    /// The latest run.
    pub(crate) last_run: Option<RunId>,
    /// When the latest run was due.
    pub(crate) last_due: Option<i64>,
    /// Runs that were started.
    pub(crate) started: u64,
    /// Due times that `overlap` left out.
    pub(crate) skipped: u64,
    /// Due times that `catch_up` left out.
    pub(crate) missed: u64,
}

impl Progress {
    /// The beginning of a schedule that is created now.
    pub(crate) fn new(spec: &ScheduleSpec, now: i64) -> Self {
        Self { next_due: spec.recurrence.next_after(now), ..Self::default() }
    }

    /// Reads what a store keeps.
    ///
    /// # Errors
    /// [`HubError::Damaged`]
    pub(crate) fn from_text(text: &str) -> Result<Self, HubError> {
        serde_json::from_str(text).map_err(|error| HubError::damaged(format!("the progress of a schedule: {error}")))
    }

    /// Returns it as stores keep it.
    ///
    /// # Errors
    /// [`HubError::Damaged`], which does not happen: it is plain data.
    pub(crate) fn to_text(&self) -> Result<String, HubError> {
        serde_json::to_string(self).map_err(|error| HubError::damaged(error.to_string()))
    }

    /// What a change of the schedule leaves of it. Due times that have passed and had no turn yet are kept if the times are the
    /// same. The hub tries again what it had paused.
    fn changed(self, old: &ScheduleSpec, new: &ScheduleSpec, now: i64) -> Self {
        let keeps_times = new.has_times_of(old) && self.problem.is_none();
        let next_due = if keeps_times { self.next_due } else { new.recurrence.next_after(now) };
        let is_paused = self.is_paused && self.problem.is_none();
        Self { next_due, is_paused, problem: None, ..self }
    }

    /// The progress of a schedule that is set to `spec`, and what that changes. `existing` is what it was.
    pub(crate) fn updated(
        existing: Option<(&ScheduleSpec, Self)>,
        spec: &ScheduleSpec,
        now: i64,
    ) -> (ScheduleChange, Self) {
        match existing {
            None => (ScheduleChange::Created, Self::new(spec, now)),
            Some((old, progress)) if old.to_text() == spec.to_text() => (ScheduleChange::Unchanged, progress),
            Some((old, progress)) => (ScheduleChange::Changed, progress.changed(old, spec, now)),
        }
    }

    /// Paused by a user.
    pub(crate) fn paused(self) -> Self {
        Self { is_paused: true, ..self }
    }

    /// Paused because of a problem.
    pub(crate) fn stopped(self, problem: String) -> Self {
        Self { is_paused: true, problem: Some(problem), ..self }
    }

    /// Active again. What was due in the meantime is not made up for.
    pub(crate) fn resumed(self, spec: &ScheduleSpec, now: i64) -> Self {
        if !self.is_paused {
            return self;
        }
        Self { is_paused: false, problem: None, next_due: spec.recurrence.next_after(now), ..self }
    }

    /// Lets due times wait that had no room in a transaction.
    pub(crate) fn put_back(&mut self, due: impl Iterator<Item = i64>) {
        self.waiting.splice(0..0, due);
    }

    /// Records that a run was started.
    pub(crate) fn record_start(&mut self, run: RunId, due: i64) {
        self.started = self.started.saturating_add(1);
        (self.last_run, self.last_due) = (Some(run), Some(due));
    }

    /// Whether the schedule starts runs.
    pub(crate) fn state(&self) -> ScheduleState {
        match self.next_due {
            _ if self.is_paused => ScheduleState::Paused,
            None if self.waiting.is_empty() => ScheduleState::Ended,
            _ => ScheduleState::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> ScheduleSpec {
        ScheduleSpec::from_json(&format!("{{\"pipeline\": \"p\", {text}}}")).expect("a schedule")
    }

    #[test]
    fn a_change_keeps_what_is_due_unless_the_times_change() {
        let (hourly, now) = (spec(r#""every": "1h""#), 10 * 3_600_000 + 5);
        // due five hours ago, because no hub was running
        let overdue = Progress { next_due: Some(5 * 3_600_000), started: 4, ..Progress::default() };
        for (new, change, next_due) in [
            (spec(r#""every": "1h""#), ScheduleChange::Unchanged, 5),
            (spec(r#""every": "1h", "params": {"a": 1}"#), ScheduleChange::Changed, 5),
            (spec(r#""every": "2h""#), ScheduleChange::Changed, 12),
            (spec(r#""every": "1h", "until": "2030-01-01""#), ScheduleChange::Changed, 11),
        ] {
            let (found, progress) = Progress::updated(Some((&hourly, overdue.clone())), &new, now);
            assert_eq!((found, progress.next_due), (change, Some(next_due * 3_600_000)), "{}", new.to_text());
            assert_eq!(progress.started, 4);
        }
        let (change, progress) = Progress::updated(None, &hourly, now);
        assert_eq!((change, progress.next_due), (ScheduleChange::Created, Some(11 * 3_600_000)));
    }

    #[test]
    fn a_change_ends_a_pause_of_the_hub_and_not_that_of_a_user() {
        let (hourly, changed) = (spec(r#""every": "1h""#), spec(r#""every": "1h", "priority": 1"#));
        let by_user = Progress::new(&hourly, 0).paused();
        let by_hub = Progress::new(&hourly, 0).stopped("no pipeline".into());
        assert_eq!((by_user.state(), by_hub.state()), (ScheduleState::Paused, ScheduleState::Paused));
        assert_eq!(Progress::updated(Some((&hourly, by_user)), &changed, 0).1.state(), ScheduleState::Paused);
        let resumed = Progress::updated(Some((&hourly, by_hub)), &changed, 5 * 3_600_000).1;
        assert_eq!(
            (resumed.state(), resumed.problem, resumed.next_due),
            (ScheduleState::Active, None, Some(6 * 3_600_000))
        );
    }

    #[test]
    fn progress_of_other_releases_is_read() {
        let text = r#"{"next_due": 5, "last_run": null, "something_new": true}"#;
        assert_eq!(Progress::from_text(text).expect("progress").next_due, Some(5));
        let progress = Progress { waiting: vec![1, 2], last_due: Some(3), ..Progress::default() };
        assert_eq!(Progress::from_text(&progress.to_text().expect("a text")).expect("progress"), progress);
    }
}
