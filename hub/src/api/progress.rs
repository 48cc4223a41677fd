//! [`RunProgress`]: how many jobs of each run had finished at some recent times, to estimate when the run will end. Kept in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bue_model::wire::{RunView, StepView};
use bue_model::{RunId, RunState, Timestamp};

/// The time that samples are kept, in milliseconds: the recent past.
const MAX_AGE_MS: u64 = 120_000;
/// Runs whose samples are kept.
const MAX_RUNS: usize = 1_000;
/// Jobs that must have finished since the oldest sample for an estimate.
const MIN_FINISHED: u64 = 10;
/// The milliseconds since the oldest sample that an estimate needs.
const MIN_SPAN_MS: u64 = 2_000;

/// Samples by run. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunProgress(Arc<Mutex<HashMap<RunId, Progress>>>);

#[derive(Debug, Default)]
struct Progress {
    samples: VecDeque<Sample>,
    /// When a loop was last given rounds by a source that still runs.
    grew_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    at: Timestamp,
    finished: u64,
}

impl RunProgress {
    /// Records how many jobs of a run have finished.
    pub(super) fn record(&self, now: Timestamp, view: &RunView) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if view.state != RunState::Running {
            runs.remove(&view.id);
            return;
        }
        if runs.len() >= MAX_RUNS && !runs.contains_key(&view.id) {
            runs.retain(|_, run| run.samples.back().is_some_and(|last| now.since_ms(last.at) < MAX_AGE_MS));
        }
        if runs.len() < MAX_RUNS || runs.contains_key(&view.id) {
            let samples = &mut runs.entry(view.id).or_default().samples;
            samples.retain(|sample| now.since_ms(sample.at) <= MAX_AGE_MS);
            samples.push_back(Sample { at: now, finished: view.counts.finished() });
        }
    }

    /// Records that a source of a run has given its loop rounds and may give it more. Runs that nobody looks at are not estimated.
    pub(super) fn record_growth(&self, now: Timestamp, run: RunId) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = runs.get_mut(&run) {
            run.grew_at = Some(now);
        }
    }

    /// Returns when a run will have ended if it goes on as in the recent past. `None` if loops have been given rounds since then by
    /// sources that may give them more: how many there will be is not known.
    pub(super) fn eta(&self, now: Timestamp, view: &RunView) -> Option<Timestamp> {
        let submitted = Sample { at: view.created_at, finished: 0 };
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let run = runs.get(&view.id);
        if run.and_then(|run| run.grew_at).is_some_and(|at| now.since_ms(at) <= MAX_AGE_MS) {
            return None;
        }
        let sampled = run.into_iter().flat_map(|run| &run.samples).copied();
        let oldest = std::iter::once(submitted).chain(sampled).find(|sample| now.since_ms(sample.at) <= MAX_AGE_MS)?;
        estimate(now, oldest, view)
    }
}

/// Returns when a run will have ended; `None` if it has ended, if too little has happened since the sample, or if there are steps
/// whose number of jobs is not known, because the loop around them has not started or the view does not show them.
fn estimate(now: Timestamp, since: Sample, view: &RunView) -> Option<Timestamp> {
    let are_all_shown = view.steps.len() as u64 == view.step_count;
    let is_known = view.state == RunState::Running && are_all_shown && view.steps.iter().all(has_jobs);
    let (span, done) = (now.since_ms(since.at), view.counts.finished().saturating_sub(since.finished));
    if !is_known || span < MIN_SPAN_MS || done < MIN_FINISHED {
        return None;
    }
    Some(now.plus_ms(view.counts.open().saturating_mul(span) / done))
}

const fn has_jobs(step: &StepView) -> bool {
    step.finished() + step.open() > 0
}

#[cfg(test)]
mod tests {
    use bue_model::wire::JobCounts;
    use uuid::Uuid;

    use super::*;

    fn view(completed: u64, available: u64) -> RunView {
        let step = StepView { completed, available, ..StepView::default() };
        RunView {
            id: RunId(Uuid::nil()),
            name: String::new(),
            state: RunState::Running,
            created_at: Timestamp(1_000),
            finished_at: None,
            version: 1,
            counts: JobCounts { completed, available, ..JobCounts::default() },
            step_count: 1,
            steps: vec![step],
            now: Timestamp(0),
            eta: None,
            unserved: Vec::new(),
            rerun_of: None,
            pipeline: None,
        }
    }

    #[test]
    fn the_estimate_follows_the_rate_of_the_recent_past() {
        let progress = RunProgress::default();
        // 100 jobs in 10 s since it was submitted, 300 are left
        assert_eq!(progress.eta(Timestamp(11_000), &view(100, 300)), Some(Timestamp(41_000)));
        // an hour later only the last two minutes count: 20 jobs in 100 s
        progress.record(Timestamp(3_600_000), &view(1_000, 60));
        progress.record(Timestamp(3_690_000), &view(1_010, 50));
        assert_eq!(progress.eta(Timestamp(3_700_000), &view(1_020, 40)), Some(Timestamp(3_900_000)));
    }

    #[test]
    fn there_is_no_estimate_where_it_would_mean_nothing() {
        let progress = RunProgress::default();
        let eta = |now, view: &RunView| progress.eta(Timestamp(now), view);
        assert_eq!(eta(11_000, &view(9, 300)), None, "too few jobs");
        assert_eq!(eta(2_999, &view(100, 300)), None, "too little time");
        assert_eq!(eta(200_000, &view(100, 300)), None, "no sample of the recent past");
        progress.record(Timestamp(8_000), &view(50, 350));
        progress.record_growth(Timestamp(9_000), view(0, 0).id);
        assert_eq!(eta(11_000, &view(100, 300)), None, "a source yields");
        assert!(eta(128_000, &view(500, 300)).is_none(), "it did within the last two minutes");
        progress.record(Timestamp(129_000), &view(500, 400));
        assert!(eta(139_000, &view(600, 300)).is_some(), "it did not");
        let progress = RunProgress::default();
        let eta = |now, view: &RunView| progress.eta(Timestamp(now), view);
        let mut unknown = view(100, 300);
        unknown.steps.push(StepView::default());
        unknown.step_count = 2;
        assert_eq!(eta(11_000, &unknown), None, "a loop has not started");
        let ended = RunView { state: RunState::Failed, ..view(100, 300) };
        assert_eq!(eta(11_000, &ended), None, "it has ended");
        progress.record(Timestamp(11_000), &view(100, 300));
        progress.record(Timestamp(11_000), &ended);
        assert!(progress.0.lock().expect("samples").is_empty(), "the samples of a run that has ended are dropped");
    }
}
