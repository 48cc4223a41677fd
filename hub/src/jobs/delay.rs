//! Backoff: how long a job waits before it runs again. Pure: the jitter is a hash of the job and its attempt, so the same history
//! gives the same times.

use bue_model::JobId;

/// First wait after `pending` without a delay.
const PENDING_FIRST_MS: u64 = 1_000;
/// Longest wait after `pending` without a delay.
const PENDING_LAST_MS: u64 = 30_000;
/// First wait after a failed attempt.
const RETRY_FIRST_MS: u64 = 1_000;
/// Longest wait after a failed attempt.
const RETRY_LAST_MS: u64 = 300_000;
/// Longest wait that a failure may ask for (`Retry-After`); a server that asks for more is not worth waiting for.
const RETRY_AFTER_LAST_MS: u64 = 24 * 3_600_000;

/// Returns the milliseconds until a step that answered `pending` or `reset` for the `earlier + 1`th time runs again: the delay
/// it asked for, else `!every` growing from its first value to its second, else one second growing by half to thirty.
pub(crate) fn pending_ms(delay_ms: Option<u64>, every: Option<(u64, u64)>, earlier: u32) -> u64 {
    let (first, last) = every.unwrap_or((PENDING_FIRST_MS, PENDING_LAST_MS));
    delay_ms.unwrap_or_else(|| grow_by_half(first, earlier, last))
}

/// Returns the milliseconds until a job runs again after its `attempt`th failed attempt: the delay of its step, else one second
/// doubling to five minutes, plus up to a quarter of that as jitter, or what the failure asked for.
pub(crate) fn retry_ms(job: JobId, attempt: u32, retry_after_ms: Option<u64>, delay: Option<(u64, u64)>) -> u64 {
    if let Some(retry_after_ms) = retry_after_ms {
        return retry_after_ms.min(RETRY_AFTER_LAST_MS);
    }
    let (first, last) = delay.unwrap_or((RETRY_FIRST_MS, RETRY_LAST_MS));
    let doublings = attempt.saturating_sub(1).min(63);
    let wait = first.saturating_mul(1 << doublings).min(last.max(first));
    wait.saturating_add(jitter(job, attempt) % (wait / 4 + 1))
}

fn grow_by_half(first: u64, times: u32, last: u64) -> u64 {
    let mut wait = first;
    for _ in 0..times {
        if wait >= last {
            break;
        }
        wait = wait.saturating_add((wait / 2).max(1));
    }
    wait.min(last.max(first))
}

/// Spreads jobs that failed together. The finaliser of a hash: a change of one bit of the input changes half of the bits of the
/// output.
fn jitter(job: JobId, attempt: u32) -> u64 {
    let mut mixed = job.0 ^ (u64::from(attempt) << 40) ^ 0x9e37_79b9_7f4a_7c15;
    for multiplier in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 29)).wrapping_mul(multiplier);
    }
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_grows_by_half_to_thirty_seconds() {
        let waits: Vec<_> = (0..11).map(|earlier| pending_ms(None, None, earlier)).collect();
        assert_eq!(waits[..4], [1000, 1500, 2250, 3375]);
        assert_eq!(waits[9..], [30_000, 30_000]);
    }

    #[test]
    fn every_grows_within_its_range_and_the_delay_of_a_step_overrides_it() {
        assert_eq!(pending_ms(None, Some((10_000, 20_000)), 0), 10_000);
        assert_eq!(pending_ms(None, Some((10_000, 20_000)), 1), 15_000);
        assert_eq!(pending_ms(None, Some((10_000, 20_000)), u32::MAX), 20_000);
        assert_eq!(pending_ms(None, Some((10_000, 10_000)), 7), 10_000);
        assert_eq!(pending_ms(Some(5), Some((10_000, 20_000)), 7), 5);
    }

    #[test]
    fn retries_wait_as_long_as_the_step_says() {
        for (attempt, floor) in [(1, 2_000), (2, 4_000), (3, 8_000), (9, 300_000), (1_000, 300_000)] {
            let wait = retry_ms(JobId(7), attempt, None, Some((2_000, 300_000)));
            assert!((floor..=floor + floor / 4).contains(&wait), "{attempt} {wait}");
        }
        assert_eq!(retry_ms(JobId(7), u32::MAX, None, Some((u64::MAX, u64::MAX))), u64::MAX);
        assert!((5..=6).contains(&retry_ms(JobId(7), 9, None, Some((5, 5)))));
    }

    #[test]
    fn retries_double_to_five_minutes_and_spread_by_a_quarter() {
        for attempt in 1..40 {
            let floor = (1000 << (attempt - 1).min(20)).min(300_000);
            for job in 0..100 {
                let wait = retry_ms(JobId(job), attempt, None, None);
                assert!((floor..=floor + floor / 4).contains(&wait), "{attempt} {job} {wait}");
            }
        }
        let spread: std::collections::BTreeSet<_> = (0..100).map(|job| retry_ms(JobId(job), 1, None, None)).collect();
        assert!(spread.len() > 50);
        assert_eq!(retry_ms(JobId(1), 1, Some(7), Some((1, 2))), 7);
        assert_eq!(retry_ms(JobId(1), 1, Some(u64::MAX), None), RETRY_AFTER_LAST_MS);
    }
}
