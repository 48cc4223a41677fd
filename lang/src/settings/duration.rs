//! `90s`, `5m`, `5min`, `2h`, `1d`, `1h30m`, `1.5h`.

/// Units and their milliseconds.
const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
];

/// Longest duration, in milliseconds: a hundred years.
pub(crate) const MAX_MS: u64 = 100 * 366 * 86_400_000;

/// Milliseconds of a duration; `None` if the text is not a duration, is zero, or is longer than [`MAX_MS`].
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    let mut previous_unit = u64::MAX;
    while !rest.is_empty() {
        let (part, unit, after) = first_part(rest)?;
        if unit >= previous_unit {
            return None;
        }
        previous_unit = unit;
        total = total.checked_add(part)?;
        rest = after.trim_start();
    }
    (1..=MAX_MS).contains(&total).then_some(total)
}

/// The first number with its unit: its milliseconds, those of the unit, and the rest of the text.
fn first_part(text: &str) -> Option<(u64, u64, &str)> {
    let (number, after) = split(text, |char| char.is_ascii_digit() || char == '.');
    let (unit, rest) = split(after.trim_start(), char::is_alphabetic);
    let unit = unit_ms(unit)?;
    Some((scaled(number, unit)?, unit, rest))
}

fn split(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|char| !fits(char)).unwrap_or(text.len()))
}

/// Milliseconds of a unit.
pub(crate) fn unit_ms(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms)
}

/// `5m` for `5 minutes`: the duration with its unit abbreviated.
pub(crate) fn abbreviated(text: &str) -> Option<String> {
    const LONG: &[(&str, &str)] = &[
        ("millisecond", "ms"),
        ("second", "s"),
        ("minute", "m"),
        ("hour", "h"),
        ("hr", "h"),
        ("day", "d"),
        ("week", "w"),
    ];
    let (number, unit) = split(text.trim(), |char| char.is_ascii_digit() || char == '.');
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('s').unwrap_or(&unit);
    let short = LONG.iter().find(|(long, _)| *long == unit).map(|(_, short)| *short);
    let short = short.or_else(|| UNITS.iter().find(|(name, _)| *name == unit).map(|(name, _)| *name))?;
    let short = format!("{number}{short}");
    milliseconds(&short).map(|_| short)
}

/// A decimal number times whole milliseconds; fractions of a millisecond are dropped.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let digits = fraction.get(..fraction.len().min(9))?;
    let scale = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let part = u128::from(digits.parse::<u64>().ok()?) * u128::from(unit) / u128::from(scale);
    whole.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, expected) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("5min", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("0.25 s", 250),
        ] {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 parsecs",
            "0s",
            "1.2.3s",
            "-5s",
            "99999999999999999999s",
            "9999999999d",
            "5s 3",
            "5s 6s",
            "5m1h",
            ".s",
            "5.s",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
