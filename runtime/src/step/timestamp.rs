//! The machine's time of day, and its text form in logs.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::time::SystemTime;

/// Milliseconds since 1970 that a sandbox host shows instead of the machine's time; 0 where time is not simulated. One for the whole
/// process: simulated time advances only while all steps sleep, so it is the same for all that run.
static SIMULATED_MS: AtomicU64 = AtomicU64::new(0);

/// Returns the time since 1970-01-01T00:00:00Z.
#[expect(
    clippy::disallowed_methods,
    reason = "log lines and guests show the machine's time; no decision depends on it"
)]
pub(crate) fn now() -> Duration {
    let real = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    simulated_now().unwrap_or_else(real)
}

/// Returns the simulated time of this process; `None` if its time is real.
pub(crate) fn simulated_now() -> Option<Duration> {
    match SIMULATED_MS.load(Ordering::Relaxed) {
        0 => None,
        millis => Some(Duration::from_millis(millis)),
    }
}

/// Sets the simulated time of this process, unless it is later already.
pub(crate) fn set_simulated_now(millis: u64) {
    SIMULATED_MS.fetch_max(millis, Ordering::Relaxed);
}

/// Formats a time: `2026-09-30T12:00:00.123Z`.
pub(crate) fn timestamp(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since_1970.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns year, month and day of a day counted from 1970-01-01. Years are counted from March in eras of 400 years, so that
/// a leap day is the last day of a year.
const fn civil(day: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const ERA: u64 = 146_097;
    let day = day + DAYS_TO_1970;
    let in_era = day % ERA;
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = day / ERA * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, in_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_790_769_599, "2026-09-30T11:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(timestamp(Duration::new(seconds, 7_900_000)), text);
        }
    }
}
