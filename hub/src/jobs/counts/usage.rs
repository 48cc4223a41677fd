//! [`UsageCounts`]: what the attempts of a step used, by how long they took. Pure.
//!
//! Durations are counted in buckets whose lower bounds are 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, … milliseconds: each is at most half as
//! long again as the one before, so a percentile that is taken from them is right within a third. A step has rows of few of them.

use bue_model::attempt::{AttemptUsage, StepUsage};

use crate::jobs::columns::{signed, unsigned};

/// What is counted of one attempt at most, so that no worker can make a sum overflow: a year of computing, and a pebibyte.
const MAX_CPU_MS: u64 = 365 * 24 * 3_600_000;
const MAX_MEMORY: u64 = 1 << 50;

/// The attempts of a step whose durations are in one bucket: a row of `step_usage`, or the changes to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageCounts {
    pub(crate) attempts: i64,
    /// In total.
    pub(crate) cpu_ms: i64,
    /// The largest number of bytes of one attempt, 0 if it is not known of any.
    pub(crate) peak_memory: i64,
}

impl UsageCounts {
    /// Counts one attempt.
    pub(crate) fn of(usage: &AttemptUsage) -> Self {
        Self {
            attempts: 1,
            cpu_ms: signed(usage.cpu_ms.unwrap_or(0).min(MAX_CPU_MS)),
            peak_memory: signed(usage.peak_memory.unwrap_or(0).min(MAX_MEMORY)),
        }
    }

    /// Adds those of other attempts.
    pub(crate) fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.cpu_ms += other.cpu_ms;
        self.peak_memory = self.peak_memory.max(other.peak_memory);
    }
}

/// Returns the number of the bucket of a duration in milliseconds. Two buckets are an octave: its lower and its upper half.
pub(crate) fn bucket_of(run_ms: u64) -> i64 {
    let Some(octave) = run_ms.checked_ilog2() else { return 0 };
    let is_upper_half = octave > 0 && run_ms >> (octave - 1) & 1 == 1;
    1 + 2 * i64::from(octave) + i64::from(is_upper_half)
}

/// Returns the smallest duration of a bucket, and the number of durations in it.
fn durations(bucket: i64) -> (u64, u64) {
    let Ok(position @ 0..128) = u32::try_from(bucket - 1) else { return (0, 1) };
    let octave = 1_u64 << (position / 2);
    let width = (octave / 2).max(1);
    (octave + width * u64::from(position % 2), width)
}

/// Sums up the rows of a step, which come in the order of their buckets.
pub(crate) fn step_usage(rows: &[(i64, UsageCounts)]) -> StepUsage {
    let mut sum = UsageCounts::default();
    rows.iter().for_each(|(_, counts)| sum.add(*counts));
    StepUsage {
        attempts: unsigned(sum.attempts),
        p50_ms: percentile(rows, sum.attempts, 50),
        p95_ms: percentile(rows, sum.attempts, 95),
        cpu_ms: unsigned(sum.cpu_ms),
        peak_memory: (sum.peak_memory > 0).then(|| unsigned(sum.peak_memory)),
    }
}

/// Returns the duration within which so many of 100 attempts ended: in a bucket, in proportion to the attempts in it.
fn percentile(rows: &[(i64, UsageCounts)], attempts: i64, percent: i64) -> Option<u64> {
    let position = (i128::from(attempts) * i128::from(percent) + 99) / 100;
    let mut before = 0;
    for (bucket, counts) in rows {
        let in_bucket = i128::from(counts.attempts);
        if position <= before + in_bucket && in_bucket > 0 {
            let (first, width) = durations(*bucket);
            let share = i128::from(width - 1) * (position - before) / in_bucket;
            return Some(first.saturating_add(u64::try_from(share).unwrap_or(0)));
        }
        before += in_bucket;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(durations: impl IntoIterator<Item = u64>) -> StepUsage {
        let mut rows = std::collections::BTreeMap::<i64, UsageCounts>::new();
        for run_ms in durations {
            let usage = AttemptUsage { run_ms, cpu_ms: Some(2), peak_memory: Some(run_ms) };
            rows.entry(bucket_of(run_ms)).or_default().add(UsageCounts::of(&usage));
        }
        step_usage(&rows.into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn every_duration_is_in_its_bucket() {
        let near_powers = (0..64).flat_map(|octave| {
            let power = 1_u64 << octave;
            [power - 1, power, power + 1, power + power / 2 - 1, power + power / 2]
        });
        for run_ms in near_powers.chain([u64::MAX]) {
            let (first, width) = durations(bucket_of(run_ms));
            assert!(first <= run_ms && run_ms - first < width, "{run_ms} is in {first} + {width}");
            assert!(width <= first.div_ceil(2).max(1), "{run_ms}");
        }
    }

    #[test]
    fn percentiles_are_right_within_a_third() {
        assert_eq!(usage([]), StepUsage::default());
        assert_eq!((usage([0]).p50_ms, usage([1]).p50_ms, usage([2]).p95_ms), (Some(0), Some(1), Some(2)));
        let usage = usage(1..=1_000);
        let (p50, p95) = (usage.p50_ms.expect("half"), usage.p95_ms.expect("most"));
        assert!((475..=525).contains(&p50) && (900..=1_000).contains(&p95), "{p50} and {p95}");
        assert_eq!((usage.attempts, usage.cpu_ms, usage.peak_memory), (1_000, 2_000, Some(1_000)));
    }

    #[test]
    fn no_worker_makes_a_sum_overflow() {
        let hostile = AttemptUsage { run_ms: u64::MAX, cpu_ms: Some(u64::MAX), peak_memory: Some(u64::MAX) };
        let mut counts = UsageCounts::default();
        (0..1_000).for_each(|_| counts.add(UsageCounts::of(&hostile)));
        let usage = step_usage(&[(bucket_of(u64::MAX), counts)]);
        assert_eq!((usage.attempts, usage.peak_memory), (1_000, Some(MAX_MEMORY)));
        assert!(usage.p95_ms.is_some());
    }
}
