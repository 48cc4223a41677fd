//! Times that users write: `2026-11-01`, `2026-11-01T06:00` in the schedule's zone, `2026-11-01T06:00:00+01:00`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Reads a time, in milliseconds since 1970. A date is its first moment in the zone. Of a local time that a clock shows twice,
/// it is the first; one that no clock shows is the next that exists.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(crate) fn read_time(text: &str, zone: &TimeZone) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    // a date and time with a zone in brackets is more than one can mean beside the schedule's zone
    let local = match text.len() {
        10 => text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)),
        _ => text.parse::<DateTime>(),
    };
    let instant = local.ok().filter(|_| !text.contains('[')).and_then(|local| instant_of(local, zone));
    instant.map(Timestamp::as_millisecond).ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        format!("`{shown}` is not a time; write 2026-11-01, 2026-11-01T06:00 (in the schedule's time zone), or 2026-11-01T06:00:00Z")
    })
}

/// Returns when a clock of the zone shows this time: the first time if it does so twice, the next instant after the gap if it
/// never does. `None` at the ends of the calendar.
pub(crate) fn instant_of(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    use jiff::tz::AmbiguousOffset;
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        // the offset before the clock goes back: the first of the two
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        // with the offset from before the gap, the time lies behind it; the gap ends where the zone's offset last changed
        AmbiguousOffset::Gap { before, .. } => {
            let inside = before.to_timestamp(local).ok()?;
            let after = inside.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
            zone.preceding(after).next().map(|transition| transition.timestamp())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedules::zone::zone_named;

    fn at(text: &str, zone: &str) -> Result<String, String> {
        let (_, zone) = zone_named(zone).expect("a zone");
        read_time(text, &zone).map(|ms| Timestamp::from_millisecond(ms).expect("a time").to_string())
    }

    #[test]
    fn local_times_are_of_the_zone() {
        for (text, zone, expected) in [
            ("2026-11-01", "Europe/Berlin", "2026-10-31T23:00:00Z"),
            ("2026-07-01T06:30", "Europe/Berlin", "2026-07-01T04:30:00Z"),
            ("2026-07-01 06:30:05", "UTC", "2026-07-01T06:30:05Z"),
            ("2026-07-01T06:30:00Z", "Europe/Berlin", "2026-07-01T06:30:00Z"),
            ("2026-07-01T06:30:00+05:00", "Europe/Berlin", "2026-07-01T01:30:00Z"),
            // 02:30 does not exist: 03:00 is the first time that does
            ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00:00Z"),
            ("2026-03-29T02:00", "Europe/Berlin", "2026-03-29T01:00:00Z"),
            ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00:00Z"),
            // 02:30 comes twice
            ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00Z"),
            // Samoa skipped a whole day
            ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00:00Z"),
            // midnight does not exist there on that day
            ("2026-04-24", "Africa/Cairo", "2026-04-23T22:00:00Z"),
        ] {
            assert_eq!(at(text, zone).as_deref(), Ok(expected), "{text} {zone}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_to_write() {
        for text in ["", "tomorrow", "2026-02-30", "2026-11-01T25:00", "06:00", "2026-11-01T06:00[UTC]", "99999-01-01"]
        {
            let message = at(text, "UTC").expect_err(text);
            assert!(message.contains("write 2026-11-01"), "{message}");
        }
    }
}
