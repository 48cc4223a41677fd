//! States of jobs and runs: badges, and bars of how many jobs are in which state.

use bue_model::wire::{JobCounts, StepView};
use bue_model::{JobState, RunState};
use maud::{Markup, html};

use crate::web::parts::texts::grouped;

/// A state as a coloured dot and its name, which is there for those who see no colours.
pub(in crate::web) fn badge(name: &str) -> Markup {
    html! { span class={ "state " (name) } { (name) } }
}

pub(in crate::web) fn run_badge(state: RunState) -> Markup {
    badge(state.name())
}

pub(in crate::web) fn job_badge(state: JobState) -> Markup {
    badge(state.name())
}

/// What a state of jobs means.
pub(in crate::web) const fn meaning(state: JobState) -> &'static str {
    match state {
        JobState::Blocked => "wait for jobs whose results they need",
        JobState::Available => "ready for a worker, now or at a later time",
        JobState::Running => "on a worker",
        JobState::Completed => "have a result",
        JobState::Failed => "failed for good, after all their retries",
        JobState::Cancelled => "were cancelled",
    }
}

/// The number of jobs in each state.
pub(in crate::web) type StateCounts = [(JobState, u64); 6];

pub(in crate::web) fn counts_of(counts: &JobCounts) -> StateCounts {
    let JobCounts { blocked, available, running, completed, failed, cancelled } = *counts;
    StepView { blocked, available, running, completed, failed, cancelled, ..StepView::default() }.by_state()
}

/// A bar with a part for each state, as wide as its share. Those that have ended come first.
pub(in crate::web) fn state_bar(counts: &StateCounts) -> Markup {
    const ORDER: [JobState; 6] = [
        JobState::Completed,
        JobState::Failed,
        JobState::Cancelled,
        JobState::Running,
        JobState::Available,
        JobState::Blocked,
    ];
    let count_of = |state| counts.iter().find(|(one, _)| *one == state).map_or(0, |(_, count)| *count);
    let parts = shares(ORDER.map(count_of));
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(summary(counts)) {
            title { (summary(counts)) }
            @for ((start, width), state) in parts.into_iter().zip(ORDER) {
                @if width > 0 { rect class=(state.name()) x=(start) width=(width) height="10" {} }
            }
        }
    }
}

/// `3 completed, 1 failed`.
pub(in crate::web) fn summary(counts: &StateCounts) -> String {
    let parts = counts.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<_> = parts.map(|(state, count)| format!("{} {}", grouped(*count), state.name())).collect();
    if parts.is_empty() { "no jobs".to_owned() } else { parts.join(", ") }
}

/// Splits a thousand among parts: the start and the width of each. A part that is there is at least five wide, so that one failure among
/// a million jobs is seen.
pub(in crate::web) fn shares<const N: usize>(counts: [u64; N]) -> [(u64, u64); N] {
    const SMALLEST: u64 = 5;
    let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
    let present = counts.iter().filter(|count| **count > 0).count() as u64;
    let room = u128::from(1_000_u64.saturating_sub(present * SMALLEST));
    let mut start = 0;
    counts.map(|count| {
        let share = (u128::from(count) * room).checked_div(total).unwrap_or(0);
        let width = if count == 0 { 0 } else { u64::try_from(share).unwrap_or(0) + SMALLEST };
        let part = (start, width);
        start += width;
        part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_the_smallest_part_and_is_never_too_wide() {
        assert_eq!(shares([0, 0]), [(0, 0), (0, 0)]);
        assert_eq!(shares([1, 1]), [(0, 500), (500, 500)]);
        for counts in [[1, 1_000_000, 0], [u64::MAX, u64::MAX, 1], [1, 0, 0]] {
            let parts = shares(counts);
            assert!(parts.iter().zip(counts).all(|((_, width), count)| (*width > 0) == (count > 0)), "{parts:?}");
            assert!(parts.iter().map(|(_, width)| width).sum::<u64>() <= 1_000, "{parts:?}");
        }
        let counts = counts_of(&JobCounts { failed: 1, completed: 2, ..JobCounts::default() });
        assert_eq!(summary(&counts), "2 completed, 1 failed");
    }
}
