//! Due times, as a clock in the schedule's time zone shows them.

use bue_model::Timestamp;
use bue_model::schedule::ScheduleView;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::runs::times::duration_text;

/// Formats a time with the offset of a zone: `2026-11-30 06:00 +01:00`.
pub(super) fn due_text(due: Timestamp, zone: &str) -> String {
    // a hub of a later release may know zones that this program does not
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or(TimeZone::UTC);
    let due = jiff::Timestamp::from_millisecond(due.0).unwrap_or_default();
    let due = due.to_zoned_datetime(zone);
    let format = if due.second() == 0 { "%F %R %:z" } else { "%F %T %:z" };
    due.strftime(format).to_string()
}

/// Formats a time that is to come, with how long it is until then: `2026-11-30 06:00 +01:00 (in 5 h 2 m)`.
pub(super) fn coming_text(due: Timestamp, zone: &str, now: Timestamp) -> String {
    let wait = due.since_ms(now);
    let wait = if wait == 0 { "now".to_owned() } else { format!("in {}", duration_text(wait)) };
    format!("{} ({wait})", due_text(due, zone))
}

/// Formats when a schedule is due: `0 6 * * 1-5 Europe/Berlin`, or `every 15m`.
pub(super) fn rule_text(schedule: &ScheduleView) -> String {
    match (&schedule.cron, &schedule.every) {
        (Some(cron), _) => format!("{cron} {}", schedule.timezone),
        (None, Some(every)) => format!("every {every}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_that_of_the_zone() {
        let noon = Timestamp(1_793_534_400_000);
        assert_eq!(due_text(noon, "Europe/Berlin"), "2026-11-01 13:00 +01:00");
        assert_eq!(due_text(noon, "UTC"), "2026-11-01 12:00 +00:00");
        assert_eq!(due_text(noon, "America/St_Johns"), "2026-11-01 08:30 -03:30");
        assert_eq!(due_text(Timestamp(noon.0 + 5_000), "Mars/Olympus"), "2026-11-01 12:00:05 +00:00");
        assert_eq!(coming_text(noon, "UTC", Timestamp(noon.0 - 3_600_000)), "2026-11-01 12:00 +00:00 (in 1 h)");
        assert_eq!(coming_text(noon, "UTC", Timestamp(noon.0 + 1)), "2026-11-01 12:00 +00:00 (now)");
    }
}
