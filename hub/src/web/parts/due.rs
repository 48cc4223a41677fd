//! Due times of schedules, as clocks in the schedule's time zone show them.

use bue_model::Timestamp;
use bue_model::schedule::ScheduleView;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::schedules::duration_text::read_duration;
use crate::schedules::zone::zone_named;
use crate::web::parts::texts::text;

/// Milliseconds after which a due time without a run is late: the hub starts runs within seconds.
const LATE_MS: u64 = 60_000;

/// A time with the offset of the zone: `2026-11-30 06:00 +01:00`.
pub(in crate::web) fn in_zone(due: Timestamp, zone: &str) -> String {
    let zone = zone_named(zone).map_or(TimeZone::UTC, |(_, zone)| zone);
    let Ok(due) = jiff::Timestamp::from_millisecond(due.0) else { return format!("{} ms", due.0) };
    let due = due.to_zoned_datetime(zone);
    let format = if due.second() == 0 { "%F %R %:z" } else { "%F %T %:z" };
    due.strftime(format).to_string()
}

/// When a schedule is due: its cron expression with the zone, or the time between two due times.
pub(in crate::web) fn rule(schedule: &ScheduleView) -> Markup {
    html! {
        @match (&schedule.cron, &schedule.every) {
            (Some(cron), _) => { code { (cron) } " " span.hint { (text(&schedule.timezone)) } },
            (None, Some(every)) => { "every " (text(every)) },
            (None, None) => {},
        }
    }
}

/// Returns whether the next due time has passed and its run should have started, also if it was delayed by the schedule's jitter.
pub(in crate::web) fn is_late(schedule: &ScheduleView, now: Timestamp) -> bool {
    let jitter_ms = read_duration(&schedule.jitter).unwrap_or(0);
    schedule.next.first().is_some_and(|due| now.since_ms(*due) > LATE_MS.saturating_add(jitter_ms))
}

#[cfg(test)]
mod tests {
    use bue_model::schedule::ScheduleState;

    use super::*;

    fn schedule(jitter: &str, next: i64) -> ScheduleView {
        ScheduleView {
            name: "s".into(),
            pipeline: "p".into(),
            cron: Some("0 6 * * *".into()),
            every: None,
            timezone: "UTC".into(),
            params: "{}".into(),
            priority: 0,
            overlap: "skip".into(),
            catch_up: "last".into(),
            jitter: jitter.into(),
            from: None,
            until: None,
            state: ScheduleState::Active,
            problem: None,
            next: vec![Timestamp(next)],
            waiting: 0,
            last_run: None,
            started: 0,
            skipped: 0,
            missed: 0,
            recent: None,
        }
    }

    #[test]
    fn a_time_is_that_of_the_zone() {
        let noon = Timestamp(1_793_534_400_000);
        assert_eq!(in_zone(noon, "Europe/Berlin"), "2026-11-01 13:00 +01:00");
        assert_eq!(in_zone(Timestamp(noon.0 + 5_000), "Mars/Olympus"), "2026-11-01 12:00:05 +00:00");
        assert_eq!(in_zone(Timestamp(i64::MAX), "UTC"), format!("{} ms", i64::MAX));
    }

    #[test]
    fn a_schedule_is_late_after_its_jitter() {
        let now = Timestamp(10_000_000);
        assert!(is_late(&schedule("0s", now.0 - 61_000), now));
        assert!(!is_late(&schedule("0s", now.0 - 59_000), now) && !is_late(&schedule("0s", now.0 + 99_000), now));
        assert!(!is_late(&schedule("5m", now.0 - 61_000), now) && is_late(&schedule("5m", now.0 - 361_000), now));
    }
}
