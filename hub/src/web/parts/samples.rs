//! The figures of a sample of the history, and how they change.

use bue_model::history::HistorySample;
use maud::{Markup, html};

use crate::web::parts::texts::grouped;

/// Whether it is good if a figure grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Growth {
    Good,
    Bad,
    Neither,
}

/// A figure of a sample.
pub(in crate::web) struct SampleFigure {
    pub(in crate::web) name: &'static str,
    pub(in crate::web) value: fn(&HistorySample) -> u64,
    pub(in crate::web) meaning: Growth,
}

const fn figure(name: &'static str, value: fn(&HistorySample) -> u64, meaning: Growth) -> SampleFigure {
    SampleFigure { name, value, meaning }
}

/// The figures of a sample, in the order of the overview.
pub(in crate::web) const SAMPLE_FIGURES: [SampleFigure; 10] = [
    figure("open runs", |sample| sample.runs, Growth::Neither),
    figure("blocked", |sample| sample.blocked, Growth::Neither),
    figure("available", |sample| sample.available, Growth::Neither),
    figure("running", |sample| sample.running, Growth::Neither),
    figure("completed", |sample| sample.completed, Growth::Neither),
    figure("failed", |sample| sample.failed, Growth::Bad),
    figure("cancelled", |sample| sample.cancelled, Growth::Neither),
    figure("delayed", |sample| sample.delayed, Growth::Neither),
    figure("handed back", |sample| sample.handed_back, Growth::Neither),
    figure("workers", |sample| sample.workers, Growth::Good),
];

/// A change from one value to another: `+3`, coloured by what is good.
pub(in crate::web) fn change(from: u64, to: u64, meaning: Growth) -> Markup {
    let class = match (to > from, meaning) {
        _ if to == from => "hint",
        (true, Growth::Bad) | (false, Growth::Good) => "bad",
        (true, Growth::Good) | (false, Growth::Bad) => "good",
        (_, Growth::Neither) => "",
    };
    let sign = if to < from { "−" } else { "+" };
    html! { span class=(class) { @if to == from { "0" } @else { (sign) (grouped(to.abs_diff(from))) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_a_sign_and_the_colour_of_what_is_good() {
        let text = |from, to, meaning| change(from, to, meaning).into_string();
        assert_eq!(text(1, 4, Growth::Bad), "<span class=\"bad\">+3</span>");
        assert_eq!(text(4, 1, Growth::Good), "<span class=\"bad\">−3</span>");
        assert_eq!(text(4, 1, Growth::Bad), "<span class=\"good\">−3</span>");
        assert_eq!(text(4, 4, Growth::Good), "<span class=\"hint\">0</span>");
        assert_eq!(text(0, u64::MAX, Growth::Neither).matches("class=\"\"").count(), 1);
    }
}
