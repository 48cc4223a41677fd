//! The slots of the history: when samples are taken, and how long they are kept. Pure.
//!
//! Each tier has a sample for each of its slots. The first sample that is taken within a slot is the slot's, so several hubs take
//! one together, and tiers need not be computed from each other.

use std::ops::RangeInclusive;

use bue_model::history::{HistorySample, HistoryView};
use bue_model::{JobState, Timestamp};

use crate::jobs::counts::tally::Tally;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;

/// Samples of one distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tier {
    /// Milliseconds from one sample to the next.
    pub(crate) interval_ms: i64,
    /// Milliseconds that a sample is kept.
    pub(crate) keep_ms: i64,
}

/// The tiers, finest first: 360, 1,440 and 1,008 samples.
pub(crate) const TIERS: [Tier; 3] = [
    Tier { interval_ms: 10 * SECOND, keep_ms: HOUR },
    Tier { interval_ms: 60 * SECOND, keep_ms: 24 * HOUR },
    Tier { interval_ms: 600 * SECOND, keep_ms: 7 * 24 * HOUR },
];

/// Samples that are further in the future than this are of a clock that was wrong. Clocks of hubs agree to a second or so.
const MAX_AHEAD_MS: i64 = HOUR;

impl Tier {
    /// Returns the finest tier, whose slots decide when samples are taken.
    pub(crate) const fn finest() -> Self {
        let [finest, ..] = TIERS;
        finest
    }

    /// Returns the finest tier that still has samples of this time.
    pub(crate) fn of_age(at: Timestamp, now: Timestamp) -> Self {
        let [.., coarsest] = TIERS;
        TIERS.into_iter().find(|tier| now.0.saturating_sub(at.0) <= tier.keep_ms).unwrap_or(coarsest)
    }

    /// Returns the beginning of the slot that contains a time.
    pub(crate) const fn slot(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_sub(at.0.rem_euclid(self.interval_ms)))
    }

    /// Returns the times of the samples that are kept.
    pub(crate) const fn kept(self, now: Timestamp) -> RangeInclusive<Timestamp> {
        Timestamp(now.0.saturating_sub(self.keep_ms))..=Timestamp(now.0.saturating_add(MAX_AHEAD_MS))
    }
}

/// Returns the sample of these counts.
pub(crate) fn sample_of(at: Timestamp, tally: &Tally, workers: u64) -> HistorySample {
    let jobs = |state| tally.scopes.values().filter_map(|counts| counts.get(&state)).sum();
    HistorySample {
        at,
        runs: tally.open_runs,
        blocked: jobs(JobState::Blocked),
        available: jobs(JobState::Available),
        running: jobs(JobState::Running),
        completed: jobs(JobState::Completed),
        failed: jobs(JobState::Failed),
        cancelled: jobs(JobState::Cancelled),
        delayed: tally.delayed,
        handed_back: tally.handed_back,
        workers,
    }
}

/// Returns the view of a period.
pub(crate) fn view_of(tier: Tier, period: &RangeInclusive<Timestamp>, samples: Vec<HistorySample>) -> HistoryView {
    HistoryView { from: *period.start(), to: *period.end(), interval_ms: tier.interval_ms.unsigned_abs(), samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_begins_at_a_multiple_of_its_interval() {
        let slot = |ms| Tier::finest().slot(Timestamp(ms)).0;
        assert_eq!([slot(0), slot(9_999), slot(10_000), slot(-1)], [0, 0, 10_000, -10_000]);
        assert_eq!(slot(i64::MIN), i64::MIN);
    }

    #[test]
    fn the_age_of_a_period_decides_how_fine_its_samples_are() {
        let now = Timestamp(1_000 * HOUR);
        let interval = |age| Tier::of_age(Timestamp(now.0 - age), now).interval_ms / SECOND;
        assert_eq!([interval(-HOUR), interval(0), interval(HOUR)], [10, 10, 10]);
        assert_eq!([interval(HOUR + 1), interval(24 * HOUR), interval(24 * HOUR + 1)], [60, 60, 600]);
        assert_eq!(interval(900 * HOUR), 600);
        assert_eq!(Tier::of_age(Timestamp(i64::MIN), now), TIERS[2]);
    }

    #[test]
    fn tiers_together_keep_less_than_three_thousand_samples() {
        let slots: Vec<i64> = TIERS.iter().map(|tier| tier.keep_ms / tier.interval_ms).collect();
        assert_eq!(slots, [360, 1_440, 1_008]);
    }
}
