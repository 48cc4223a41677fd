//! Durations, as people write them: `90s`, `7d`, `1h 30m`.

use std::time::Duration;

use crate::process::command_error::CommandError;

/// Parses a duration that is not zero. `flag` is where it was written, for the error message.
pub(crate) fn parse_duration(text: &str, flag: &str) -> Result<Duration, CommandError> {
    let duration = humantime::parse_duration(text.trim()).ok().filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| {
        CommandError::Usage(format!("`{text}` is not a duration; set {flag} to one such as 90s, 12h or 7d"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [("90s", 90), ("1h 30m", 5400), ("7d", 7 * 86_400), (" 2 weeks ", 14 * 86_400)] {
            assert_eq!(parse_duration(text, "--keep").ok(), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "0s", "-1s", "soon", "99999999999999999999d"] {
            let error = parse_duration(text, "--keep");
            assert!(matches!(error, Err(CommandError::Usage(message)) if message.contains("--keep")), "{text}");
        }
    }
}
