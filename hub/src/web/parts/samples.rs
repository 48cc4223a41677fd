//! The figures of a sample of the history, and how they change.

use bue_model::JobState;
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
    pub(in crate::web) explanation: &'static str,
    /// Where its number leads; empty for nowhere.
    pub(in crate::web) link: &'static str,
    /// The class of its colour.
    pub(in crate::web) class: &'static str,
}

/// The number of jobs in a state.
const fn jobs(
    state: JobState,
    value: fn(&HistorySample) -> u64,
    meaning: Growth,
    explanation: &'static str,
) -> SampleFigure {
    SampleFigure { name: state.name(), value, meaning, explanation, link: "", class: state.name() }
}

/// The figures of a sample, in the order of the overview.
pub(in crate::web) const SAMPLE_FIGURES: [SampleFigure; 10] = [
    SampleFigure {
        name: "open runs",
        value: |sample| sample.runs,
        meaning: Growth::Neither,
        explanation: "Runs that have not ended.",
        link: "/runs?state=running",
        class: "runs",
    },
    jobs(
        JobState::Blocked,
        |sample| sample.blocked,
        Growth::Neither,
        "Jobs that wait for jobs whose results they need.",
    ),
    jobs(
        JobState::Available,
        |sample| sample.available,
        Growth::Neither,
        "Jobs that are ready for a worker, now or at a later time.",
    ),
    jobs(JobState::Running, |sample| sample.running, Growth::Neither, "Jobs that a worker has."),
    jobs(JobState::Completed, |sample| sample.completed, Growth::Neither, "Jobs of open runs that have a result."),
    jobs(
        JobState::Failed,
        |sample| sample.failed,
        Growth::Bad,
        "Jobs of open runs that failed for good, after all their retries.",
    ),
    jobs(JobState::Cancelled, |sample| sample.cancelled, Growth::Neither, "Jobs of open runs that were cancelled."),
    SampleFigure {
        name: "delayed",
        value: |sample| sample.delayed,
        meaning: Growth::Neither,
        explanation: "Of the available jobs, those that wait for the end of a delay or for their `!rate`.",
        link: "",
        class: "available",
    },
    SampleFigure {
        name: "handed back",
        value: |sample| sample.handed_back,
        meaning: Growth::Neither,
        explanation: "Answers `pending` of jobs of open runs so far: the step gave its job back to run again later.",
        link: "",
        class: "available",
    },
    SampleFigure {
        name: "workers",
        value: |sample| sample.workers,
        meaning: Growth::Good,
        explanation: "Workers that the hub has heard of in the last minute.",
        link: "/workers",
        class: "workers",
    },
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
