//! The periods that the overview and the activity show, and the links that choose one.

use maud::{Markup, html};

use crate::web::links::with_query;

/// A time until now.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Period {
    /// The value of `period` in addresses, which is also what the API takes as the beginning of a period.
    pub(in crate::web) value: &'static str,
    pub(in crate::web) ms: u64,
    words: &'static str,
}

const HOUR: Period = Period { value: "1h", ms: 3_600_000, words: "last hour" };
const PERIODS: [Period; 3] = [
    HOUR,
    Period { value: "24h", ms: 86_400_000, words: "last day" },
    Period { value: "7d", ms: 604_800_000, words: "last week" },
];

/// Returns the period of an address; the last hour if it names none.
pub(in crate::web) fn period_named(value: &str) -> Period {
    PERIODS.into_iter().find(|period| period.value == value).unwrap_or(HOUR)
}

/// Links to the same page with each period.
pub(in crate::web) fn period_tabs(path: &str, current: &str) -> Markup {
    html! {
        nav.tabs aria-label="Period" {
            @for Period { value, words, .. } in PERIODS {
                a href=(with_query(path, [("period", value)])) aria-current=[(value == current).then_some("true")] { (words) }
            }
        }
    }
}
