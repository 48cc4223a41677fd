//! `8`, `2 by account`: how many jobs of a step run at the same time.

use bue_model::plan::{AtMost, Rate};

use super::error::SettingError;
use super::rate;
use crate::diagnostics::codes;

const HINT: &str = "`!at_most 8` or `!at_most 2 by account`";

pub(super) fn parse(text: &str) -> Result<AtMost, SettingError> {
    at_most(text).ok_or_else(|| {
        let message = if text.is_empty() { "the number of jobs is missing" } else { "this is not a limit of jobs" };
        SettingError::new(codes::INVALID_AT_MOST, text, message, HINT)
    })
}

fn at_most(text: &str) -> Option<AtMost> {
    let (count, by) = rate::split_field(text)?;
    let count = count.trim().parse().ok().filter(|count| *count > 0)?;
    Some(AtMost { count, by })
}

/// Why a step cannot have both: a job is counted by one field. `None` if it can.
pub(crate) fn conflict(rate: &Rate, at_most: &AtMost) -> Option<String> {
    let counted = |by: &Option<String>| by.as_ref().map_or("all jobs together".to_owned(), |by| format!("by `{by}`"));
    (rate.by != at_most.by).then(|| {
        let (rate, at_most) = (counted(&rate.by), counted(&at_most.by));
        format!("`!rate` counts {rate} and `!at_most` {at_most}, but a step counts in one way")
    })
}
