//! `10/1m`, `10/min`, `5/2s by account`.

use bue_model::plan::Rate;

use super::error::SettingError;
use super::value::SettingValue;
use super::{duration, time};
use crate::diagnostics::codes;
use crate::text::{is_word_start, unquoted};

/// Periods, in milliseconds, that are tried in turn to express starts per second as a whole number of starts.
const PERIODS: &[u64] = &[1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 60_000, 100_000, 3_600_000];

/// Longest name of a field, in bytes.
const MAX_FIELD: usize = 200;

pub(super) fn parse(text: &str) -> Result<Rate, SettingError> {
    rate(text).ok_or_else(|| {
        let message = if text.is_empty() { "the rate is missing" } else { "this is not a rate" };
        SettingError::new(codes::INVALID_RATE, text, message, "`!rate 10/1m` or `!rate 10/1m by account`")
    })
}

fn rate(text: &str) -> Option<Rate> {
    let (count, rest) = text.split_once('/')?;
    let (period, by) = split_field(rest)?;
    let count = count.trim().parse().ok().filter(|count| *count > 0)?;
    let per_ms = duration::milliseconds(period).or_else(|| duration::unit_ms(period.trim()))?;
    Some(Rate { count, per_ms, by })
}

/// Splits `LIMIT by FIELD`; `None` if the field is not valid.
pub(super) fn split_field(text: &str) -> Option<(&str, Option<String>)> {
    let Some((limit, field)) = text.split_once(" by ") else { return Some((text, None)) };
    let field = unquoted(field.trim());
    (!field.is_empty() && field.len() <= MAX_FIELD).then(|| (limit, Some(field.to_owned())))
}

/// `@ 5/2` is starts per second; `@ name` is the older tag.
pub(super) fn velocity(text: &str) -> Result<SettingValue, SettingError> {
    const HINT: &str = "`@ 5` is five starts per second, the same as `!rate 5/1s`";
    if is_word_start(unquoted(text).chars().next().unwrap_or('0')) {
        return Ok(SettingValue::Tag);
    }
    let value = time::positive(time::number(text, HINT)?, text, HINT)?;
    from_velocity(value)
        .map(SettingValue::Rate)
        .ok_or_else(|| SettingError::new(codes::INVALID_RATE, text, "this rate is out of range", HINT))
}

/// Starts per second as starts in a period: exact if a period of [`PERIODS`] allows it, else as close as one hour does.
fn from_velocity(per_second: f64) -> Option<Rate> {
    let exact = PERIODS.iter().find_map(|period| starts(per_second, *period).filter(|(_, error)| *error < 1e-9));
    let (rate, _) = exact.or_else(|| starts(per_second, 3_600_000))?;
    (rate.count > 0).then_some(rate)
}

/// Whole starts in a period, and the rounding error.
fn starts(per_second: f64, per_ms: u64) -> Option<(Rate, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "periods are small")]
    let starts = per_second * per_ms as f64 / 1000.0;
    let whole = starts.round();
    if whole > f64::from(u32::MAX) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within 0 and u32::MAX")]
    let count = whole as u32;
    let error = if count == 0 { f64::INFINITY } else { (starts - whole).abs() };
    Some((Rate { count, per_ms, by: None }, error))
}
