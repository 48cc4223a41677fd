//! Times and durations as messages show them.

use bue_model::Timestamp;

/// Formats a duration with its one or two largest units: `850 ms`, `12 s`, `3 m 5 s`, `2 h 10 m`, `3 d 4 h`.
pub(crate) fn duration_text(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let Some(position) = UNITS.iter().position(|(unit, _)| ms >= *unit) else { return format!("{ms} ms") };
    let mut remaining = ms;
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(position).take(2) {
        if remaining / unit > 0 {
            parts.push(format!("{} {name}", remaining / unit));
        }
        remaining %= unit;
    }
    parts.join(" ")
}

/// Formats how long ago a time was, with its largest unit: `5 m ago`.
pub(crate) fn ago_text(time: Timestamp, now: Timestamp) -> String {
    let ms = now.since_ms(time);
    if ms < 1_000 { "now".to_owned() } else { format!("{} ago", rounded_text(ms)) }
}

/// Formats a duration with its largest unit: `2 h`.
pub(crate) fn rounded_text(ms: u64) -> String {
    let text = duration_text(ms);
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Formats a time in UTC: `2026-11-01T06:00:00Z`.
pub(crate) fn utc_text(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.0).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_at_most_two_units() {
        let texts = [0, 850, 12_345, 60_000, 185_000, 7_800_000, 273_600_000].map(duration_text);
        assert_eq!(texts, ["0 ms", "850 ms", "12 s", "1 m", "3 m 5 s", "2 h 10 m", "3 d 4 h"]);
    }

    #[test]
    fn a_time_of_day_is_in_utc() {
        assert_eq!(utc_text(Timestamp(1_793_512_800_999)), "2026-11-01T06:00:00Z");
    }

    #[test]
    fn a_time_is_shown_with_its_largest_unit() {
        let ago = |ms| ago_text(Timestamp(0), Timestamp(ms));
        assert_eq!([ago(-5), ago(999), ago(59_999), ago(185_000)], ["now", "now", "59 s ago", "3 m ago"]);
    }
}
