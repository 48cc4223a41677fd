//! Times: of `!timeout`, `!every`, `!for` and `!expires`.

use super::arithmetic;
use super::duration::{self, MAX_MS};
use super::error::SettingError;
use crate::diagnostics::codes;
use crate::source::Span;

/// Seconds of a timeout, and milliseconds of the soft one before it: `60s soft 50s`.
pub(super) fn timeouts(text: &str) -> Result<(f64, Option<u64>), SettingError> {
    const HINT: &str = "the soft timeout is the shorter one: `!timeout 60s soft 50s`";
    let parts = text.split_once(" soft").filter(|(_, soft)| soft.is_empty() || soft.starts_with(char::is_whitespace));
    let Some((hard, soft)) = parts else { return Ok((timeout(text)?, None)) };
    let (seconds, soft) = (timeout(hard.trim())?, soft.trim());
    let start = text.len() - soft.len();
    let moved = |error: SettingError| {
        let span = Span::new(start + error.span.start as usize, start + error.span.end as usize);
        SettingError { span, ..error }
    };
    let soft_seconds = timeout(soft).map_err(moved)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and at most a hundred years"
    )]
    let soft_ms = (soft_seconds * 1000.0).floor() as u64;
    match soft_seconds < seconds && soft_ms > 0 {
        true => Ok((seconds, Some(soft_ms))),
        false => {
            let message = "the soft timeout must be at least 1 ms, and end before the timeout";
            Err(moved(SettingError::new(codes::INVALID_SOFT_TIMEOUT, soft, message, HINT)))
        }
    }
}

/// Seconds of a timeout: a duration, or arithmetic.
fn timeout(text: &str) -> Result<f64, SettingError> {
    const HINT: &str = "seconds or a duration: `!timeout 20 * 60`, `!timeout 20m`";
    #[expect(clippy::cast_precision_loss, reason = "durations are shorter than 2^53 ms")]
    if let Some(ms) = duration::milliseconds(text) {
        return Ok(ms as f64 / 1000.0);
    }
    if text.starts_with(|char: char| char.is_ascii_digit()) && text.ends_with(char::is_alphabetic) {
        let short = duration::abbreviated(text).map(|short| format!("`!timeout {short}`"));
        return Err(SettingError::new(
            codes::INVALID_DURATION,
            text,
            not_a_duration(text),
            short.unwrap_or_else(|| HINT.to_owned()),
        ));
    }
    let seconds = number(text, HINT)?;
    positive(seconds, text, HINT)
}

/// The value of arithmetic.
pub(super) fn number(text: &str, hint: &str) -> Result<f64, SettingError> {
    if text.is_empty() {
        return Err(SettingError::new(codes::INVALID_ARITHMETIC, text, "the value is missing", hint));
    }
    arithmetic::evaluate(text).map_err(|error| {
        let code = if error.is_valid { codes::UNUSABLE_RESULT } else { codes::INVALID_ARITHMETIC };
        SettingError { code, span: error.span, message: error.message, hint: Some(hint.into()) }
    })
}

/// A value that can be a time in seconds, or starts per second.
pub(super) fn positive(value: f64, text: &str, hint: &str) -> Result<f64, SettingError> {
    #[expect(clippy::cast_precision_loss, reason = "an upper bound: rounding does not matter")]
    let most = (MAX_MS / 1000) as f64;
    match value {
        value if value <= 0.0 => Err(SettingError::new(
            codes::UNUSABLE_RESULT,
            text,
            format!("this is {value}, but must be more than 0"),
            hint,
        )),
        value if value > most => {
            Err(SettingError::new(codes::UNUSABLE_RESULT, text, "this is longer than a hundred years", hint))
        }
        value => Ok(value),
    }
}

/// Milliseconds, of the first and of the last interval.
pub(super) fn every(text: &str) -> Result<(u64, u64), SettingError> {
    range(text, "!every 5s` or `!every 5s..1m")
}

/// A duration, or two with `..` between them. `example` is a setting with one.
pub(super) fn range(text: &str, example: &str) -> Result<(u64, u64), SettingError> {
    let Some((first, last)) = text.split_once("..") else {
        return positive_duration(text, example).map(|ms| (ms, ms));
    };
    let (first, last) = (positive_duration(first, example), positive_duration(last, example));
    match (first, last) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        (Ok(_), Ok(_)) => Err(SettingError::new(
            codes::INVALID_DURATION,
            text,
            "the range ends before it begins",
            format!("`{example}`"),
        )),
        _ => Err(SettingError::new(
            codes::INVALID_DURATION,
            text,
            "this is not a range of durations",
            format!("`{example}`"),
        )),
    }
}

/// Milliseconds of a duration. `example` is a setting with one.
pub(super) fn positive_duration(text: &str, example: &str) -> Result<u64, SettingError> {
    duration::milliseconds(text).ok_or_else(|| {
        let hint = match (text.parse::<u32>(), duration::abbreviated(text)) {
            (Ok(number), _) => format!("a duration needs a unit: `{number}s`, `{number}m`"),
            (Err(_), Some(short)) => format!("abbreviate the unit: `{short}`"),
            (Err(_), None) => format!("write a number with ms, s, m, min, h, d or w: `{example}`"),
        };
        SettingError::new(codes::INVALID_DURATION, text, not_a_duration(text), hint)
    })
}

fn not_a_duration(text: &str) -> &'static str {
    let digits = text.chars().filter(char::is_ascii_digit).collect::<String>();
    match digits.trim_start_matches('0').is_empty() {
        _ if text.is_empty() => "the duration is missing",
        true if !digits.is_empty() => "this is 0, but must be more than 0",
        _ => "this is not a duration",
    }
}
