//! Lengths of time as people write them: `90s`, `7d`, `1h 30m`.

use std::time::Duration;

use crate::stop::Stop;

/// A length of time above nothing. `what` is where it was written, for the complaint.
pub(crate) fn duration(text: &str, what: &str) -> Result<Duration, Stop> {
    let parsed = humantime::parse_duration(text.trim()).ok().filter(|duration| !duration.is_zero());
    parsed
        .ok_or_else(|| Stop::Usage(format!("`{text}` is no length of time; type {what} with one like 90s, 12h or 7d")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_said_as_people_say_it() {
        for (text, seconds) in [("90s", 90), ("1h 30m", 5400), ("7d", 7 * 86_400), (" 2 weeks ", 14 * 86_400)] {
            assert_eq!(duration(text, "--keep").ok(), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "0s", "-1s", "soon", "99999999999999999999d"] {
            assert!(matches!(duration(text, "--keep"), Err(Stop::Usage(said)) if said.contains("--keep")), "{text}");
        }
    }
}
