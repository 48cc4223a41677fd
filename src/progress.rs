//! How a run goes, step by step: bars on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use bue_model::wire::{RunView, StepView};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::talk::{colour, say, talks_to_terminal};

/// Time between two plain lines. A log file wants to know that something moves, not how.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shows views of one run.
pub(crate) enum Progress {
    /// A terminal: one bar a step.
    Bars(Bars),
    /// Anything else.
    Lines(Lines),
}

impl Progress {
    /// Bars if a person watches stderr.
    pub(crate) fn new() -> Self {
        match talks_to_terminal() {
            true => Self::Bars(Bars { all: MultiProgress::new(), steps: Vec::new() }),
            false => Self::Lines(Lines::new()),
        }
    }

    /// Shows where the run stands.
    pub(crate) fn show(&mut self, view: &RunView) {
        match self {
            Self::Bars(bars) => bars.show(view),
            Self::Lines(lines) => lines.show(view),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) {
        if let Self::Lines(lines) = self {
            lines.tick();
        }
    }

    /// Leaves the last state standing: what follows is talk again.
    pub(crate) fn finish(self) {
        if let Self::Bars(bars) = self {
            bars.steps.iter().for_each(ProgressBar::abandon);
        }
    }
}

/// One bar a step.
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
            bar.set_position(done(step));
            bar.set_prefix(step.name.clone());
            bar.set_message(rest(step));
        }
    }
}

fn style(width: usize) -> ProgressStyle {
    let bar = if colour() { "{bar:24.green/dim}" } else { "{bar:24}" };
    let template = format!("  {{prefix:{width}}} {bar} {{pos:>6}}/{{len:<6}} {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─")
}

/// One line for all steps, now and then.
pub(crate) struct Lines {
    begun: Instant,
    /// When a line was said last.
    said: Instant,
    last: String,
    now: String,
}

impl Lines {
    fn new() -> Self {
        Self { begun: Instant::now(), said: Instant::now(), last: String::new(), now: String::new() }
    }

    fn show(&mut self, view: &RunView) {
        self.now = line(view);
        self.tick();
    }

    fn tick(&mut self) {
        if self.said.elapsed() < LINE_EVERY || self.now == self.last {
            return;
        }
        say(&format!("{:>6.1} s  {}", self.begun.elapsed().as_secs_f64(), self.now));
        self.said = Instant::now();
        self.last.clone_from(&self.now);
    }
}

fn line(view: &RunView) -> String {
    let begun = view.steps.iter().filter(|step| total(step) > 0);
    let parts: Vec<String> = begun.map(step_text).collect();
    parts.join(" · ")
}

fn step_text(step: &StepView) -> String {
    let rest = rest(step);
    let counts = format!("{} {}/{}", step.name, done(step), total(step));
    if rest.is_empty() { counts } else { format!("{counts} ({rest})") }
}

fn rest(step: &StepView) -> String {
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

fn done(step: &StepView) -> u64 {
    step.completed + step.failed + step.cancelled
}

fn total(step: &StepView) -> u64 {
    done(step) + step.blocked + step.available + step.running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_moves() {
        let step = StepView { name: "status".into(), available: 3, running: 1, completed: 4, ..StepView::default() };
        assert_eq!(step_text(&step), "status 4/8 (1 running, 3 waiting)");
        let step = StepView { name: "upload".into(), completed: 4, ..StepView::default() };
        assert_eq!(step_text(&step), "upload 4/4");
    }
}
