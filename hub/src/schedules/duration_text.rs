//! Durations, as people write them: `90s`, `1h 30m`, `7d`. In milliseconds.

/// Units, the largest first.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(crate) fn read_duration(text: &str) -> Result<u64, String> {
    let shown: String = text.chars().take(100).collect();
    let wrong =
        || format!("`{shown}` is not a duration; write a number and a unit (s, m, h, d, w), such as 15m or 1h 30m");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len()));
        let end = behind.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let part = number.checked_mul(*unit_ms).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = next.trim_start();
    }
    Ok(total)
}

/// Writes a duration in the largest units that it consists of: `1h 30m`.
pub(crate) fn duration_text(ms: u64) -> String {
    let (mut rest, mut parts) = (ms, Vec::new());
    for (unit, unit_ms) in UNITS {
        if rest >= unit_ms {
            parts.push(format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_survive_a_round_trip() {
        for (text, ms, usual) in [
            ("15m", 900_000, "15m"),
            ("90s", 90_000, "1m 30s"),
            ("1h30m", 5_400_000, "1h 30m"),
            (" 1d  12h ", 129_600_000, "1d 12h"),
            ("0s", 0, "0s"),
            ("14d", 1_209_600_000, "2w"),
        ] {
            assert_eq!(read_duration(text), Ok(ms), "{text}");
            assert_eq!(duration_text(ms), usual);
            assert_eq!(read_duration(usual), Ok(ms));
        }
    }

    #[test]
    fn what_is_no_duration_says_what_to_write() {
        for text in
            ["", "15", "m", "15 minutes", "-5s", "1.5h", "5µs", "99999999999999999999s", "999999999999999w", "1h,"]
        {
            let message = read_duration(text).expect_err(text);
            assert!(message.contains("such as 15m"), "{message}");
        }
    }
}
