//! [`RunSummary`]: what a list says of a run's jobs. Pure.

use std::collections::BTreeMap;

use bue_model::StepIndex;
use bue_model::plan::Step;
use bue_model::wire::{JobCounts, RunView, UnservedScope};

use crate::jobs::columns::{signed, unsigned};
use crate::jobs::counts::moved_jobs::MovedJobs;
use crate::jobs::counts::step_counts::StepCounts;
use crate::jobs::state::State;

/// Steps of a scope without running jobs that are named.
const MAX_NAMED_STEPS: usize = 3;
/// Bytes of names of such scopes and steps. Scopes beyond that are left out.
const MAX_NAMES: usize = 16 * 1024;

/// The sums over all steps of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunSummary {
    counts: JobCounts,
    step_count: u64,
    /// The scopes in which jobs wait and none runs. Whether a worker serves them the store does not know.
    idle_scopes: Vec<UnservedScope>,
}

/// What a scope has of a run.
#[derive(Default)]
struct ScopeSummary<'s> {
    available: u64,
    running: u64,
    names: Vec<&'s str>,
    steps: u64,
    /// The step that was added last.
    last: Option<StepIndex>,
}

impl RunSummary {
    /// Sums up the counts of all steps, whose jobs are in the scopes of the script except those that are moved.
    pub(crate) fn new<'s>(steps: impl Iterator<Item = (StepCounts, &'s Step)>, moved: &'s [MovedJobs]) -> Self {
        let (mut summary, mut scopes) = (Self::default(), BTreeMap::<&str, ScopeSummary<'_>>::new());
        for ((mut counts, step), index) in steps.zip((0..).map(StepIndex)) {
            summary.step_count += 1;
            summary.count(&counts);
            for moved in moved.iter().filter(|moved| moved.step == index) {
                let away = moved_counts(moved);
                counts.available -= away.available;
                counts.running -= away.running;
                scopes.entry(&moved.scope).or_default().add(&away, index, &step.name);
            }
            if counts.available > 0 || counts.running > 0 {
                scopes.entry(&step.settings.scope).or_default().add(&counts, index, &step.name);
            }
        }
        summary.idle_scopes = idle_scopes(scopes);
        summary
    }

    /// Sums up the counts of a run that has ended, in which no job waits.
    pub(crate) fn of_ended(step_count: i64, sums: &StepCounts) -> Self {
        let mut summary = Self { step_count: unsigned(step_count), ..Self::default() };
        summary.count(sums);
        summary
    }

    fn count(&mut self, counts: &StepCounts) {
        self.counts.blocked += unsigned(counts.blocked);
        self.counts.available += unsigned(counts.available);
        self.counts.running += unsigned(counts.running);
        self.counts.completed += unsigned(counts.completed);
        self.counts.failed += unsigned(counts.failed);
        self.counts.cancelled += unsigned(counts.cancelled);
    }

    /// Returns a view with these sums.
    pub(crate) fn add_to(&self, view: RunView) -> RunView {
        let Self { counts, step_count, idle_scopes } = self.clone();
        RunView { counts, step_count, unserved: idle_scopes, ..view }
    }
}

fn moved_counts(moved: &MovedJobs) -> StepCounts {
    let jobs = signed(moved.jobs);
    match moved.state {
        State::Running => StepCounts { running: jobs, ..StepCounts::default() },
        _ => StepCounts { available: jobs, ..StepCounts::default() },
    }
}

impl<'s> ScopeSummary<'s> {
    /// Adds jobs of a step, the moved ones of each state separately.
    fn add(&mut self, counts: &StepCounts, step: StepIndex, name: &'s str) {
        self.available += unsigned(counts.available);
        self.running += unsigned(counts.running);
        if self.last.replace(step) == Some(step) {
            return;
        }
        self.steps += 1;
        if self.names.len() < MAX_NAMED_STEPS {
            self.names.push(name);
        }
    }
}

fn idle_scopes(scopes: BTreeMap<&str, ScopeSummary<'_>>) -> Vec<UnservedScope> {
    let mut left = MAX_NAMES;
    let idle = scopes.into_iter().filter(|(_, summary)| summary.running == 0);
    let named = idle.take_while(|(scope, summary)| {
        let bytes = scope.len() + summary.names.iter().map(|name| name.len()).sum::<usize>();
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    });
    let view = |(scope, summary): (&str, ScopeSummary<'_>)| UnservedScope {
        scope: scope.to_owned(),
        more_steps: summary.steps.saturating_sub(summary.names.len() as u64),
        steps: summary.names.into_iter().map(str::to_owned).collect(),
        jobs: summary.available,
    };
    named.map(view).collect()
}

#[cfg(test)]
mod tests {
    use bue_model::Language;
    use bue_model::plan::{Settings, Source};

    use super::*;

    fn step(name: &str, scope: &str) -> Step {
        Step {
            name: name.to_owned(),
            language: Language::Python,
            function: String::new(),
            source: Source::File(String::new()),
            line: 1,
            settings: Settings { scope: scope.to_owned(), ..Settings::default() },
        }
    }

    fn counts(available: i64, running: i64) -> StepCounts {
        StepCounts { available, running, ..StepCounts::default() }
    }

    #[test]
    fn a_scope_is_idle_if_jobs_wait_and_none_runs() {
        let steps = [
            (counts(3, 0), step("a", "heavy")),
            (counts(4, 0), step("b", "heavy")),
            (counts(6, 1), step("c", "busy")),
            (counts(0, 0), step("d", "none")),
        ];
        let summary = RunSummary::new(steps.iter().map(|(counts, step)| (*counts, step)), &[]);
        let heavy = UnservedScope {
            scope: "heavy".to_owned(),
            steps: vec!["a".to_owned(), "b".to_owned()],
            more_steps: 0,
            jobs: 7,
        };
        assert_eq!((summary.idle_scopes, summary.step_count), (vec![heavy], 4));
        assert_eq!((summary.counts.available, summary.counts.running), (13, 1));
    }

    #[test]
    fn a_moved_job_is_idle_where_it_is() {
        let steps = [(counts(2, 1), step("a", "default")), (counts(1, 0), step("b", "default"))];
        let moved = |state, jobs| MovedJobs { step: StepIndex(0), scope: "gpu".to_owned(), state, jobs };
        let idle = |moved: &[MovedJobs]| {
            let summary = RunSummary::new(steps.iter().map(|(counts, step)| (*counts, step)), moved);
            summary
                .idle_scopes
                .into_iter()
                .map(|idle| (idle.scope, idle.steps.join(" "), idle.jobs))
                .collect::<Vec<_>>()
        };
        assert_eq!(idle(&[]), []);
        assert_eq!(idle(&[moved(State::Ready, 1), moved(State::Parked, 1)]), [("gpu".into(), "a".into(), 2)]);
        assert_eq!(idle(&[moved(State::Running, 1)]), [("default".into(), "a b".into(), 3)]);
    }

    #[test]
    fn names_in_a_summary_are_bounded() {
        let long = "x".repeat(1_000);
        let steps: Vec<Step> = (0..10_000).map(|number| step(&long, &format!("{:04}", number / 10))).collect();
        let summary = RunSummary::new(steps.iter().map(|step| (counts(1, 0), step)), &[]);
        assert_eq!(summary.idle_scopes.len(), 5);
        assert!(summary.idle_scopes.iter().all(|scope| scope.steps.len() == 3 && scope.more_steps == 7));
        assert_eq!((summary.counts.available, summary.step_count), (10_000, 10_000));
    }
}
