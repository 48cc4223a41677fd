//! [`StepCounts`]: the jobs of one step, counted. A transaction collects its changes and writes them once per step.

use std::collections::BTreeMap;

use bue_model::StepIndex;
use bue_model::attempt::{AttemptUsage, StepUsage};
use bue_model::plan::Step;
use bue_model::wire::StepView;

use crate::jobs::columns::unsigned;
use crate::jobs::counts::usage::{UsageCounts, bucket_of};
use crate::jobs::state::State;

/// Makes [`StepCounts`] and everything that treats its counters alike from one list of the columns of `step_count`.
macro_rules! step_counts {
    ($($counter:ident),+) => {
        /// A row of `step_count`, or the changes to one.
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct StepCounts {
            $(pub(crate) $counter: i64,)+
        }

        impl StepCounts {
            /// The columns, in the order of [`Self::values`].
            pub(crate) const COLUMNS: &[&str] = &[$(stringify!($counter)),+];

            /// Reads the counters from columns in the order of [`Self::COLUMNS`].
            pub(crate) fn read<E>(mut column: impl FnMut(usize) -> Result<i64, E>) -> Result<Self, E> {
                let mut columns = 0..;
                let mut next = || column(columns.next().unwrap_or_default());
                Ok(Self { $($counter: next()?),+ })
            }

            /// Returns the counters in the order of [`Self::COLUMNS`].
            pub(crate) fn values(&self) -> [i64; Self::COLUMNS.len()] {
                [$(self.$counter),+]
            }

            /// Returns the counters as users see them.
            pub(crate) fn into_view(self, step: &Step, usage: StepUsage) -> StepView {
                let (name, scope) = (step.name.clone(), step.settings.scope.clone());
                StepView { name, scope, usage, $($counter: unsigned(self.$counter)),+ }
            }

            fn add(&mut self, other: Self) {
                $(self.$counter += other.$counter;)+
            }
        }
    };
}

step_counts!(
    blocked, available, running, completed, failed, cancelled, attempts, retries, pendings, resets, run_ms, reused
);

impl StepCounts {
    fn in_state(&mut self, state: State) -> &mut i64 {
        match state {
            State::Blocked | State::Stuck => &mut self.blocked,
            State::Parked | State::Ready => &mut self.available,
            State::Running | State::Expanding => &mut self.running,
            State::Completed => &mut self.completed,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
        }
    }
}

/// The changes of one transaction.
#[derive(Debug, Default)]
pub(crate) struct CountChanges {
    /// By run and step.
    pub(crate) steps: BTreeMap<(i64, u32), StepCounts>,
    /// By run, step and bucket of durations.
    pub(crate) usage: BTreeMap<(i64, u32, i64), UsageCounts>,
}

impl CountChanges {
    /// Returns the changes of one step.
    pub(crate) fn step(&mut self, run: i64, step: StepIndex) -> &mut StepCounts {
        self.steps.entry((run, step.0)).or_default()
    }

    /// Counts `count` more jobs in a state.
    pub(crate) fn add(&mut self, run: i64, step: StepIndex, state: State, count: i64) {
        *self.step(run, step).in_state(state) += count;
    }

    /// Counts what an attempt used.
    pub(crate) fn add_usage(&mut self, run: i64, step: StepIndex, usage: &AttemptUsage) {
        let bucket = bucket_of(usage.run_ms);
        self.usage.entry((run, step.0, bucket)).or_default().add(UsageCounts::of(usage));
    }

    /// Adds changes that were collected elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, counts) in other.steps {
            self.steps.entry(key).or_default().add(counts);
        }
        for (key, counts) in other.usage {
            self.usage.entry(key).or_default().add(counts);
        }
    }

    /// Counts the transition of one job.
    pub(crate) fn transition(&mut self, run: i64, step: StepIndex, from: State, to: State) {
        self.add(run, step, from, -1);
        self.add(run, step, to, 1);
    }
}
