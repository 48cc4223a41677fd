//! `10/1m`, `10/min`, `5/2s by account`.

use bue_model::plan::Rate;

use super::{Problem, unquoted};
use crate::code;
use crate::duration;

/// Periods, in milliseconds, tried in turn to say a number of starts a second in whole starts.
const PERIODS: &[u64] = &[1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 60_000, 100_000, 3_600_000];

pub(super) fn read(text: &str) -> Result<Rate, Problem> {
    rate(text).ok_or_else(|| {
        let message = if text.is_empty() { "the rate is missing" } else { "this is no rate" };
        Problem::new(code::BAD_RATE, text, message, "`!rate 10/1m` or `!rate 10/1m by account`")
    })
}

fn rate(text: &str) -> Option<Rate> {
    let (count, rest) = text.split_once('/')?;
    let (period, by) = match rest.split_once(" by ") {
        Some((period, field)) => (period, Some(unquoted(field.trim()).to_owned())),
        None => (rest, None),
    };
    let count = count.trim().parse().ok().filter(|count| *count > 0)?;
    let per_ms = duration::milliseconds(period).or_else(|| duration::unit_ms(period.trim()))?;
    let by_is_fine = by.as_ref().is_none_or(|field| !field.is_empty() && field.len() <= 200);
    by_is_fine.then_some(Rate { count, per_ms, by })
}

/// Starts a second as starts in a period, exactly where a period of [`PERIODS`] allows it, else as close as an hour does.
pub(super) fn from_velocity(per_second: f64) -> Option<Rate> {
    let exact = PERIODS.iter().find_map(|period| starts(per_second, *period).filter(|(_, rest)| *rest < 1e-9));
    let (rate, _) = exact.or_else(|| starts(per_second, 3_600_000))?;
    (rate.count > 0).then_some(rate)
}

/// Whole starts in a period, and how far that is from the truth.
fn starts(per_second: f64, per_ms: u64) -> Option<(Rate, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "periods are small")]
    let starts = per_second * per_ms as f64 / 1000.0;
    let whole = starts.round();
    if whole > f64::from(u32::MAX) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within 0 and u32::MAX")]
    let count = whole as u32;
    let rest = if count == 0 { f64::INFINITY } else { (starts - whole).abs() };
    Some((Rate { count, per_ms, by: None }, rest))
}
