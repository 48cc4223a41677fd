//! [`Recurrence`]: when a schedule is due.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cron::CronExpression;
use super::time_text::instant_of;

/// Local times that a search passes over because they are not later: a clock that goes back repeats at most a day of minutes.
const MAX_REPEATED: usize = 24 * 60 + 1;

/// What the due times repeat.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// The times that a clock on the wall shows.
    Cron(Box<CronExpression>),
    /// Every so many milliseconds.
    Every {
        /// At least 1,000.
        period_ms: i64,
        /// One of the due times, which may be before the first.
        anchor_ms: i64,
    },
}

/// The due times of a schedule, in milliseconds since 1970.
///
/// The clocks of a time zone go forward and back. A local time that a clock skips is due at the first instant after the gap; if
/// several are, that instant is one due time. A local time that a clock shows twice is due the first time.
#[derive(Clone, Debug)]
pub(crate) struct Recurrence {
    /// What they repeat.
    pub(crate) rule: Rule,
    /// The zone of the wall clock.
    pub(crate) zone: TimeZone,
    /// No due time is earlier.
    pub(crate) from: Option<i64>,
    /// Every due time is earlier.
    pub(crate) until: Option<i64>,
}

impl Recurrence {
    /// Returns the first due time after `after`. `None` if there is none.
    pub(crate) fn next_after(&self, after: i64) -> Option<i64> {
        let after = self.from.map_or(after, |from| after.max(from.saturating_sub(1)));
        self.next_unbounded(after).filter(|due| self.until.is_none_or(|until| *due < until))
    }

    /// Returns the first due time after `after`, whatever the bounds.
    pub(crate) fn next_unbounded(&self, after: i64) -> Option<i64> {
        match &self.rule {
            Rule::Every { period_ms, anchor_ms } => {
                let periods = after.checked_sub(*anchor_ms)?.div_euclid(*period_ms).checked_add(1)?;
                let next = anchor_ms.checked_add(periods.checked_mul(*period_ms)?)?;
                Timestamp::from_millisecond(next).is_ok().then_some(next)
            }
            Rule::Cron(cron) => self.next_of_cron(cron, after),
        }
    }

    fn next_of_cron(&self, cron: &CronExpression, after: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after).ok()?;
        let mut local = self.zone.to_datetime(after);
        for _ in 0..MAX_REPEATED {
            local = cron.next_after(local)?;
            // instants grow with local times, but those of a repeated hour are before its second half
            let due = instant_of(local, &self.zone)?;
            if due > after {
                return Some(due.as_millisecond());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedules::zone::zone_named;

    fn cron(expression: &str, zone: &str) -> Recurrence {
        let rule = Rule::Cron(Box::new(CronExpression::parse(expression).expect("an expression")));
        Recurrence { rule, zone: zone_named(zone).expect("a zone").1, from: None, until: None }
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_millisecond()
    }

    fn due(recurrence: &Recurrence, after: &str, count: usize) -> Vec<String> {
        let mut at = ms(after);
        let times = (0..count).map_while(|_| {
            at = recurrence.next_after(at)?;
            Some(Timestamp::from_millisecond(at).expect("a time").strftime("%F %R").to_string())
        });
        times.collect()
    }

    #[test]
    fn both_changes_of_the_clock_fire_once() {
        for (expression, zone, after, expected) in [
            // a day with 23 hours and one with 25
            (
                "0 6 * * *",
                "Europe/Berlin",
                "2026-03-28T00:00:00Z",
                ["2026-03-28 05:00", "2026-03-29 04:00", "2026-03-30 04:00"],
            ),
            (
                "0 6 * * *",
                "Europe/Berlin",
                "2026-10-24T00:00:00Z",
                ["2026-10-24 04:00", "2026-10-25 05:00", "2026-10-26 05:00"],
            ),
            // 02:30 is skipped: once, at 03:00
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T00:00:00Z",
                ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"],
            ),
            // 02:30 comes twice: once, the first time
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T00:00:00Z",
                ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"],
            ),
            // four skipped times and 03:00 are one due time
            (
                "*/15 * * * *",
                "Europe/Berlin",
                "2026-03-29T00:45:00Z",
                ["2026-03-29 01:00", "2026-03-29 01:15", "2026-03-29 01:30"],
            ),
            // the second 02:00 to 02:45 are not due again
            (
                "*/15 * * * *",
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                ["2026-10-25 00:45", "2026-10-25 02:00", "2026-10-25 02:15"],
            ),
            // asked in the middle of the second half
            (
                "* * * * *",
                "Europe/Berlin",
                "2026-10-25T01:10:00Z",
                ["2026-10-25 02:00", "2026-10-25 02:01", "2026-10-25 02:02"],
            ),
            (
                "30 1 * * *",
                "America/New_York",
                "2026-10-31T06:00:00Z",
                ["2026-11-01 05:30", "2026-11-02 06:30", "2026-11-03 06:30"],
            ),
            // half an hour of daylight saving time
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-02T20:00:00Z",
                ["2026-10-03 15:30", "2026-10-04 15:15", "2026-10-05 15:15"],
            ),
            // a day that Samoa left out, and the next one at the same instant
            (
                "0 0 * * *",
                "Pacific/Apia",
                "2011-12-29T00:00:00Z",
                ["2011-12-29 10:00", "2011-12-30 10:00", "2011-12-31 10:00"],
            ),
            ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ] {
            assert_eq!(due(&cron(expression, zone), after, 3), expected, "{expression} {zone} {after}");
        }
    }

    #[test]
    fn bounds_leave_due_times_out() {
        let bounded = Recurrence {
            from: Some(ms("2026-11-02T06:00:00Z")),
            until: Some(ms("2026-11-04T06:00:00Z")),
            ..cron("0 6 * * *", "UTC")
        };
        assert_eq!(due(&bounded, "2020-01-01T00:00:00Z", 9), ["2026-11-02 06:00", "2026-11-03 06:00"]);
        assert_eq!(due(&bounded, "2026-11-02T06:00:00Z", 9), ["2026-11-03 06:00"]);
        assert_eq!(due(&bounded, "2027-01-01T00:00:00Z", 9), [""; 0]);
    }

    #[test]
    fn periods_are_counted_from_their_anchor() {
        let every =
            |period_ms, anchor_ms| Recurrence { rule: Rule::Every { period_ms, anchor_ms }, ..cron("@daily", "UTC") };
        assert_eq!(due(&every(900_000, 0), "2026-11-01T05:59:59Z", 2), ["2026-11-01 06:00", "2026-11-01 06:15"]);
        let anchor = ms("2026-11-01T06:07:00Z");
        assert_eq!(due(&every(3_600_000, anchor), "2026-11-01T06:07:00Z", 2), ["2026-11-01 07:07", "2026-11-01 08:07"]);
        assert_eq!(due(&every(3_600_000, anchor), "2026-10-31T23:59:00Z", 2), ["2026-11-01 00:07", "2026-11-01 01:07"]);
        assert_eq!(every(1_000, i64::MIN).next_after(i64::MAX), None);
        assert_eq!(every(1_000, 0).next_after(i64::MAX), None);
    }

    proptest! {
        /// Whatever the rule, the zone and the time: due times grow, and asking from any time between two of them gives the second.
        #[test]
        fn due_times_grow_and_depend_on_nothing_else(
            expression in prop::sample::select(vec![
                "* * * * *", "*/7 1-3 * * *", "30 2 * * *", "0 0 * * *", "59 23 * * 0", "0 3 31 * *", "15,45 */2 * 3,10 *",
            ]),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu",
                "America/St_Johns", "Pacific/Apia",
            ]),
            start in 1_000_000_000_000_i64..2_200_000_000_000,
        ) {
            let recurrence = cron(expression, zone);
            let mut last = start;
            for _ in 0..20 {
                let next = recurrence.next_after(last).expect("a due time");
                prop_assert!(next > last, "{next} after {last}");
                let between = last + (next - last) / 2;
                prop_assert_eq!(recurrence.next_after(between), Some(next));
                prop_assert_eq!(recurrence.next_after(next - 1), Some(next));
                last = next;
            }
        }
    }
}
