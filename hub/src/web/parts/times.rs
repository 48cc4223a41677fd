//! Times: relative ones with the exact ones as tooltips, and durations.

use bue_model::Timestamp;
use maud::{Markup, html};

/// The exact time in UTC, as people write it.
pub(in crate::web) fn exact(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{} ms", at.0),
    }
}

fn iso(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|time| time.to_string()).unwrap_or_default()
}

/// How long ago a time was, or in how long it will be. The module keeps the text up to date.
pub(in crate::web) fn when(now: Timestamp, at: Timestamp) -> Markup {
    html! { time datetime=(iso(at)) title=(exact(at)) { (relative(now, at)) } }
}

/// `3 min ago`, `in 2 h`, `just now`.
pub(in crate::web) fn relative(now: Timestamp, at: Timestamp) -> String {
    let distance = now.0.abs_diff(at.0);
    match (distance < 5_000, at > now) {
        (true, _) => "just now".to_owned(),
        (false, true) => format!("in {}", rounded(distance)),
        (false, false) => format!("{} ago", rounded(distance)),
    }
}

/// One unit, as the module writes it, too.
fn rounded(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    // two units of something are easier to read than ninety of the next smaller one
    let fitting = UNITS.into_iter().find(|(size, _)| ms >= 2 * size).unwrap_or((1_000, "s"));
    format!("{} {}", ms / fitting.0, fitting.1)
}

/// A duration with two units at most: `1 h 30 min`, `2.5 s`, `40 ms`.
pub(in crate::web) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        3_600_000..86_400_000 => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
        _ => format!("{} d {} h", ms / 86_400_000, ms % 86_400_000 / 3_600_000),
    }
}

/// The time between two times; nothing if the clock went backwards.
pub(in crate::web) fn between(from: Timestamp, to: Timestamp) -> String {
    duration(to.since_ms(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_and_exact() {
        let now = Timestamp(1_800_000_000_000);
        for (before, expected) in [
            (0, "just now"),
            (-4_000, "just now"),
            (7_000, "7 s ago"),
            (119_000, "119 s ago"),
            (120_000, "2 min ago"),
            (7_200_000, "2 h ago"),
            (200_000_000, "2 d ago"),
            (-3_600_000, "in 60 min"),
        ] {
            assert_eq!(relative(now, Timestamp(now.0 - before)), expected);
        }
        let markup = when(now, now).into_string();
        assert!(markup.contains("datetime=\"2027-01-15T08:00:00Z\"") && markup.contains("2027-01-15 08:00:00 UTC"));
        assert_eq!(relative(Timestamp(i64::MIN), Timestamp(i64::MAX)).split(' ').next(), Some("in"));
        when(Timestamp(0), Timestamp(i64::MAX)).into_string();
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [40, 2_560, 61_000, 5_400_000, 90_000_000].map(duration);
        assert_eq!(shown, ["40 ms", "2.5 s", "1 min 1 s", "1 h 30 min", "1 d 1 h"]);
    }
}
