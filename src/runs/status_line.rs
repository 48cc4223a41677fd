//! `bue status --line`: what a hub does, on one line.

use std::time::Duration;

use bue_model::history::{CountsView, HistorySample};
use tokio::time::Instant;

use crate::runs::times::rounded_text;

/// How often a line stays on the terminal, as in Buelon.
const LASTING_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Formats the counts: `runs: 3 open, jobs: blocked 2 available 10 (delayed 4) …, handed back 7, oldest 2h, workers 4`.
pub(crate) fn line_text(view: &CountsView) -> String {
    let HistorySample { at, runs, blocked, available, running, completed, failed, cancelled, .. } = view.counts;
    let HistorySample { delayed, handed_back, workers, .. } = view.counts;
    let oldest =
        view.oldest_run_at.map(|created| format!(", oldest {}", rounded_text(at.since_ms(created)).replace(' ', "")));
    format!(
        "runs: {runs} open, jobs: blocked {blocked} available {available} (delayed {delayed}) running {running} completed \
         {completed} failed {failed} cancelled {cancelled}, handed back {handed_back}{}, workers {workers}",
        oldest.unwrap_or_default()
    )
}

/// Decides which lines stay on the terminal, or are printed where there is none.
#[derive(Debug)]
pub(crate) struct LineSchedule {
    /// Lines stay every quarter of an hour.
    lasting: bool,
    last: Option<(Instant, CountsView)>,
}

impl LineSchedule {
    pub(crate) const fn new(lasting: bool) -> Self {
        Self { lasting, last: None }
    }

    /// Whether to keep the line of these counts: the first one; then every quarter of an hour with `lasting`, else when something but
    /// the time has changed.
    pub(crate) fn keeps(&mut self, view: &CountsView, now: Instant) -> bool {
        let keeps = match &self.last {
            None => true,
            Some((kept_at, _)) if self.lasting => now.duration_since(*kept_at) >= LASTING_INTERVAL,
            Some((_, kept)) => !are_equal(kept, view),
        };
        if keeps {
            self.last = Some((now, *view));
        }
        keeps
    }
}

/// Whether two counts differ in nothing but their time.
fn are_equal(one: &CountsView, other: &CountsView) -> bool {
    let counts = HistorySample { at: other.counts.at, ..one.counts };
    CountsView { counts, ..*one } == *other
}

#[cfg(test)]
mod tests {
    use bue_model::Timestamp;

    use super::*;

    fn view(at: i64, running: u64) -> CountsView {
        let counts = HistorySample { at: Timestamp(at), runs: 3, running, workers: 4, ..HistorySample::default() };
        CountsView { counts, oldest_run_at: Some(Timestamp(0)) }
    }

    #[test]
    fn a_line_has_the_age_of_the_oldest_run_if_one_is_open() {
        let text = line_text(&view(7_800_000, 8));
        assert_eq!(
            text,
            "runs: 3 open, jobs: blocked 0 available 0 (delayed 0) running 8 completed 0 failed 0 cancelled 0, handed back 0, \
             oldest 2h, workers 4"
        );
        assert!(line_text(&CountsView::default()).ends_with("handed back 0, workers 0"));
    }

    #[test]
    fn a_line_is_kept_when_something_has_changed() {
        let (mut schedule, now) = (LineSchedule::new(false), Instant::now());
        let kept =
            [(0, 1), (1_000, 1), (2_000, 2), (3_000, 2)].map(|(at, count)| schedule.keeps(&view(at, count), now));
        assert_eq!(kept, [true, false, true, false]);
    }

    #[test]
    fn lasting_lines_are_a_quarter_of_an_hour_apart() {
        let (mut schedule, start) = (LineSchedule::new(true), Instant::now());
        let minutes = [0, 1, 14, 15, 16, 29, 30];
        let kept = minutes.map(|minute| schedule.keeps(&view(0, minute), start + Duration::from_secs(minute * 60)));
        assert_eq!(kept, [true, false, false, true, false, false, true]);
    }
}
