//! The progress of a run, step by step: bars on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use bue_model::wire::{RunView, StepView};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::process::output::{eprint_line, stderr_is_terminal, use_colour};

/// Shortest time between two lines. A reader of a log file wants to know that the run progresses, not each detail.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// Shows the progress of one run on stderr.
pub(crate) enum Progress {
    /// On a terminal: one bar per step.
    Bars(Bars),
    /// Elsewhere.
    Lines(Lines),
}

impl Progress {
    /// Shows bars if stderr is a terminal, lines otherwise.
    pub(crate) fn new() -> Self {
        match stderr_is_terminal() {
            true => Self::Bars(Bars { all: MultiProgress::new(), steps: Vec::new() }),
            false => Self::Lines(Lines::new()),
        }
    }

    /// Shows the state of the run.
    pub(crate) fn show(&mut self, view: &RunView) {
        match self {
            Self::Bars(bars) => bars.show(view),
            Self::Lines(lines) => lines.show(view),
        }
    }

    /// Prints a line that is due. Call this about once per second.
    pub(crate) fn tick(&mut self) {
        if let Self::Lines(lines) = self {
            lines.tick();
        }
    }

    /// Returns what prints lines above the bars.
    pub(crate) fn line_printer(&self) -> LinePrinter {
        match self {
            Self::Bars(bars) => LinePrinter(Some(bars.all.clone())),
            Self::Lines(_) => LinePrinter(None),
        }
    }

    /// Leaves the last state on the terminal; messages follow below it.
    pub(crate) fn finish(self) {
        if let Self::Bars(bars) = self {
            bars.steps.iter().for_each(ProgressBar::abandon);
        }
    }
}

/// Prints lines to stderr while a run's progress is shown there.
pub(crate) struct LinePrinter(Option<MultiProgress>);

impl LinePrinter {
    /// Prints a line. A failed write is ignored, as in [`eprint_line`].
    pub(crate) fn print(&self, line: &str) {
        match &self.0 {
            Some(bars) => drop(bars.println(line)),
            None => eprint_line(line),
        }
    }
}

/// One bar per step.
pub(crate) struct Bars {
    all: MultiProgress,
    steps: Vec<ProgressBar>,
}

impl Bars {
    fn show(&mut self, view: &RunView) {
        let width = view.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        while self.steps.len() < view.steps.len() {
            self.steps.push(self.all.add(ProgressBar::new(0).with_style(style(width))));
        }
        for (bar, step) in self.steps.iter().zip(&view.steps) {
            bar.set_length(total(step));
            bar.set_position(finished(step));
            bar.set_prefix(step.name.clone());
            bar.set_message(counts_text(step));
        }
    }
}

fn style(width: usize) -> ProgressStyle {
    let bar = if use_colour() { "{bar:24.green/dim}" } else { "{bar:24}" };
    let template = format!("  {{prefix:{width}}} {bar} {{pos:>6}}/{{len:<6}} {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─")
}

/// One line for all steps, now and then.
pub(crate) struct Lines {
    started_at: Instant,
    printed_at: Instant,
    printed: String,
    current: String,
}

impl Lines {
    fn new() -> Self {
        let now = Instant::now();
        Self { started_at: now, printed_at: now, printed: String::new(), current: String::new() }
    }

    fn show(&mut self, view: &RunView) {
        self.current = line(view);
        self.tick();
    }

    fn tick(&mut self) {
        if self.printed_at.elapsed() < LINE_INTERVAL || self.current == self.printed {
            return;
        }
        eprint_line(&format!("{:>6.1} s  {}", self.started_at.elapsed().as_secs_f64(), self.current));
        self.printed_at = Instant::now();
        self.printed.clone_from(&self.current);
    }
}

fn line(view: &RunView) -> String {
    let steps = view.steps.iter().filter(|step| total(step) > 0);
    let parts: Vec<String> = steps.map(step_text).collect();
    parts.join(" · ")
}

fn step_text(step: &StepView) -> String {
    let counts = counts_text(step);
    let text = format!("{} {}/{}", step.name, finished(step), total(step));
    if counts.is_empty() { text } else { format!("{text} ({counts})") }
}

/// Lists the counts that are not zero: `1 running, 3 waiting`.
fn counts_text(step: &StepView) -> String {
    let counts = [
        (step.running, "running"),
        (step.available, "waiting"),
        (step.failed, "failed"),
        (step.cancelled, "cancelled"),
    ];
    let parts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    parts.join(", ")
}

fn finished(step: &StepView) -> u64 {
    step.completed + step.failed + step.cancelled
}

fn total(step: &StepView) -> u64 {
    finished(step) + step.blocked + step.available + step.running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_counts_that_are_not_zero() {
        let step = StepView { name: "status".into(), available: 3, running: 1, completed: 4, ..StepView::default() };
        assert_eq!(step_text(&step), "status 4/8 (1 running, 3 waiting)");
        let step = StepView { name: "upload".into(), completed: 4, ..StepView::default() };
        assert_eq!(step_text(&step), "upload 4/4");
    }
}
