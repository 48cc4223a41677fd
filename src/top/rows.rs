//! [`StepRow`]: a step as the table and the lines of JSON show it.

use std::collections::HashMap;

use bue_model::wire::{RunView, StepView};
use bue_model::{RunId, RunState};
use serde::Serialize;

use crate::top::snapshot::Snapshot;

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct StepRow {
    /// Its run.
    pub(crate) run: RunId,
    /// The path of the run's script.
    pub(crate) script: String,
    /// What the hub says of it, with the fields of `GET /v1/runs/{id}`.
    #[serde(flatten)]
    pub(crate) step: StepView,
    /// The number of its jobs that have ended.
    pub(crate) done: u64,
    /// The jobs per second that ended since the snapshot before. `None` if the step was not in it.
    pub(crate) rate: Option<f64>,
}

impl StepRow {
    /// Returns the number of its jobs. It grows while loops start.
    pub(crate) const fn jobs(&self) -> u64 {
        self.done + self.step.open()
    }
}

/// Returns a row for each step, in the order of the runs and of their scripts.
pub(crate) fn step_rows(current: &Snapshot, previous: Option<&Snapshot>) -> Vec<StepRow> {
    let earlier: HashMap<RunId, &RunView> =
        previous.into_iter().flat_map(|snapshot| &snapshot.runs).map(|run| (run.id, run)).collect();
    current.runs.iter().flat_map(|run| run_rows(run, earlier.get(&run.id).copied())).collect()
}

fn run_rows(run: &RunView, earlier: Option<&RunView>) -> impl Iterator<Item = StepRow> {
    run.steps.iter().enumerate().map(move |(position, step)| StepRow {
        run: run.id,
        script: run.name.clone(),
        step: step.clone(),
        done: step.finished(),
        rate: earlier.and_then(|earlier| rate(run, step, earlier, earlier.steps.get(position)?)),
    })
}

/// Returns how many jobs per second a worker, or a cancellation, ended between two views of a run. The times are the hub's: a late
/// answer changes nothing. `None` if no time has passed between them.
fn rate(run: &RunView, step: &StepView, earlier: &RunView, earlier_step: &StepView) -> Option<f64> {
    let ended = |step: &StepView| step.finished().saturating_sub(step.reused);
    // a reset lowers the number
    let jobs = ended(step).saturating_sub(ended(earlier_step));
    match run.now.since_ms(earlier.now) {
        // the time of a run that has ended stands still
        0 if run.state != RunState::Running => Some(0.0),
        0 => None,
        ms => Some(jobs as f64 * 1000.0 / ms as f64),
    }
}

/// Returns whether a row has this text in the name of its step, the path of its script, or at the beginning of its run's id. Case does
/// not matter.
pub(crate) fn contains(row: &StepRow, filter: &str) -> bool {
    let filter = filter.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&filter);
    has(&row.step.name) || has(&row.script) || row.run.to_string().starts_with(&filter)
}

#[cfg(test)]
pub(crate) mod tests {
    use bue_model::Timestamp;
    use bue_model::wire::JobCounts;
    use uuid::Uuid;

    use super::*;

    /// A step with so many completed jobs, and as many others that wait.
    pub(crate) fn step(name: &str, completed: u64) -> StepView {
        StepView { name: name.to_owned(), completed, available: completed, ..StepView::default() }
    }

    /// A running run, at this time.
    pub(crate) fn run(id: u128, now: i64, steps: Vec<StepView>) -> RunView {
        RunView {
            id: RunId(Uuid::from_u128(id << 96)),
            name: format!("script{id}.bue"),
            state: RunState::Running,
            created_at: Timestamp(0),
            finished_at: None,
            version: 1,
            counts: JobCounts::default(),
            step_count: steps.len() as u64,
            steps,
            now: Timestamp(now),
            eta: None,
            unserved: Vec::new(),
            rerun_of: None,
            pipeline: None,
        }
    }

    pub(crate) fn snapshot(runs: Vec<RunView>) -> Snapshot {
        Snapshot { runs, has_more: false }
    }

    fn rates(current: &Snapshot, previous: &Snapshot) -> Vec<Option<f64>> {
        step_rows(current, Some(previous)).iter().map(|row| row.rate).collect()
    }

    #[test]
    fn a_rate_is_the_difference_between_two_snapshots_by_the_time_of_the_hub() {
        let before = snapshot(vec![run(1, 1_000, vec![step("a", 10), step("b", 5)])]);
        let after = snapshot(vec![run(1, 3_000, vec![step("a", 13), step("b", 5)]), run(2, 3_000, vec![step("a", 9)])]);
        assert_eq!(rates(&after, &before), [Some(1.5), Some(0.0), None], "the other run is new");
        assert!(step_rows(&before, None).iter().all(|row| row.rate.is_none()));
        let (row, jobs) = (&step_rows(&after, None)[0], 26);
        assert_eq!((row.done, row.jobs(), row.script.as_str()), (13, jobs, "script1.bue"));
    }

    #[test]
    fn a_reset_is_no_rate_and_neither_are_reused_jobs() {
        let before = snapshot(vec![run(1, 1_000, vec![step("a", 10)])]);
        assert_eq!(rates(&snapshot(vec![run(1, 2_000, vec![step("a", 3)])]), &before), [Some(0.0)]);
        let reused = StepView { reused: 4, ..step("a", 14) };
        assert_eq!(rates(&snapshot(vec![run(1, 2_000, vec![reused])]), &before), [Some(0.0)]);
    }

    #[test]
    fn no_time_between_snapshots_is_no_rate_unless_the_run_has_ended() {
        let before = snapshot(vec![run(1, 1_000, vec![step("a", 10)])]);
        let mut after = before.clone();
        assert_eq!(rates(&after, &before), [None]);
        after.runs[0].now = Timestamp(900);
        assert_eq!(rates(&after, &before), [None], "another hub's clock is behind");
        after.runs[0].state = RunState::Completed;
        assert_eq!(rates(&after, &before), [Some(0.0)]);
    }

    #[test]
    fn a_filter_finds_steps_scripts_and_runs() {
        let rows = step_rows(&snapshot(vec![run(0xABCD, 0, vec![step("Read|parse|chunk64", 1)])]), None);
        for (filter, expected) in [("", true), ("parse|ch", true), ("READ", true), (".bue", true), ("0000abcd", true)] {
            assert_eq!(contains(&rows[0], filter), expected, "{filter}");
        }
        assert!(!contains(&rows[0], "abcd-") && !contains(&rows[0], "write"));
    }
}
