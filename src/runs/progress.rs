//! The progress of a run, step by step: bars on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use bue_model::text::shortened;
use bue_model::wire::{RunView, StepView};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::process::control_characters::without_control_characters;
use crate::process::output::{eprint_line, stderr_is_terminal, use_colour};
use crate::process::terminal::stderr_width;
use crate::runs::times::duration_text;
use crate::runs::unserved::UnservedWarnings;

/// Shortest time between two lines. A reader of a log file wants to know that the run progresses, not each detail.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// The columns of a terminal from which on there is room for bars.
const MIN_BAR_WIDTH: usize = 72;

/// The most columns of a step's name, if there is no room for bars.
const NARROW_NAME: usize = 14;

/// The columns of a row with a bar that are not for the name: bar, numbers, blanks, and at least 16 for the message.
const BAR_ROW_REST: usize = MIN_BAR_WIDTH - NARROW_NAME;

/// The columns assumed for a terminal that does not report its width.
const DEFAULT_WIDTH: usize = 80;

/// Shows the progress of one run on stderr.
pub(crate) struct Progress {
    display: Display,
    /// `None`: scopes without a worker are not reported, because a worker of this process starts.
    warnings: Option<UnservedWarnings>,
}

enum Display {
    /// On a terminal: one bar per step.
    Bars(Bars),
    /// Elsewhere.
    Lines(Lines),
}

impl Progress {
    /// Shows bars if stderr is a terminal, lines otherwise.
    pub(crate) fn new() -> Self {
        let display = match stderr_is_terminal() {
            true => Display::Bars(Bars::new()),
            false => Display::Lines(Lines::new()),
        };
        Self { display, warnings: None }
    }

    /// The same, and warns of scopes that no worker serves.
    pub(crate) fn with_warnings() -> Self {
        Self { warnings: Some(UnservedWarnings::default()), ..Self::new() }
    }

    /// Shows the state of the run.
    pub(crate) fn show(&mut self, view: &RunView) {
        let warnings = self.warnings.as_mut().map(|warnings| warnings.new_ones(view)).unwrap_or_default();
        warnings.iter().for_each(|text| self.print(text));
        match &mut self.display {
            Display::Bars(bars) => bars.show(view),
            Display::Lines(lines) => lines.show(view),
        }
    }

    /// Moves the clock, and prints a line that is due. Call this about once per second.
    pub(crate) fn tick(&mut self) {
        match &mut self.display {
            Display::Bars(bars) => bars.tick(),
            Display::Lines(lines) => lines.tick(),
        }
    }

    /// Returns what prints lines above the bars.
    pub(crate) fn line_printer(&self) -> LinePrinter {
        match &self.display {
            Display::Bars(bars) => LinePrinter(Some(bars.all.clone())),
            Display::Lines(_) => LinePrinter(None),
        }
    }

    /// Leaves the last state on the terminal; messages follow below it.
    pub(crate) fn finish(self) {
        if let Display::Bars(bars) = self.display {
            bars.finish();
        }
    }

    fn print(&self, text: &str) {
        match &self.display {
            Display::Bars(bars) => bars.all.suspend(|| eprint_line(text)),
            Display::Lines(_) => eprint_line(text),
        }
    }
}

/// Prints lines to stderr while a run's progress is shown there.
pub(crate) struct LinePrinter(Option<MultiProgress>);

impl LinePrinter {
    /// Prints a line. A failed write is ignored, as in [`eprint_line`].
    pub(crate) fn print(&self, line: &str) {
        match &self.0 {
            Some(bars) => drop(bars.println(without_control_characters(line))),
            None => eprint_line(line),
        }
    }
}

/// One bar per step, and a line with the times.
struct Bars {
    all: MultiProgress,
    steps: Vec<ProgressBar>,
    times: ProgressBar,
    started_at: Instant,
    remaining: Option<String>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let times = all.add(ProgressBar::new(0).with_style(template("  {wide_msg}")));
        Self { all, steps: Vec::new(), times, started_at: Instant::now(), remaining: None }
    }

    fn show(&mut self, view: &RunView) {
        let width = view.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        while self.steps.len() < view.steps.len() {
            self.steps.push(self.all.insert_before(&self.times, ProgressBar::new(0)));
        }
        let columns = stderr_width().unwrap_or(DEFAULT_WIDTH);
        for (bar, step) in self.steps.iter().zip(&view.steps) {
            bar.set_style(style(columns, width, step.failed > 0, use_colour()));
            bar.set_length(total(step));
            bar.set_position(step.finished());
            bar.set_prefix(prefix(&step.name, columns));
            bar.set_message(counts_text(step));
        }
        self.remaining = remaining_text(view);
        self.tick();
    }

    fn tick(&self) {
        let elapsed = self.started_at.elapsed().as_secs().saturating_mul(1_000);
        let remaining = self.remaining.as_ref().map_or_else(String::new, |text| format!(", {text}"));
        self.times.set_message(format!("{}{remaining}", duration_text(elapsed)));
    }

    fn finish(self) {
        self.steps.iter().for_each(ProgressBar::abandon);
        self.times.finish_and_clear();
    }
}

/// Returns the most columns of a step's name, so that a row fits into the terminal.
const fn max_name_width(columns: usize) -> usize {
    if columns < MIN_BAR_WIDTH { NARROW_NAME } else { columns - BAR_ROW_REST }
}

fn prefix(name: &str, columns: usize) -> String {
    shortened(&without_control_characters(name), max_name_width(columns))
}

fn style(columns: usize, name_width: usize, has_failed: bool, is_coloured: bool) -> ProgressStyle {
    template(&style_template(columns, name_width, has_failed, is_coloured)).progress_chars("━━─")
}

/// The message comes last and is cut at the edge of the terminal. A step with failures is red.
fn style_template(columns: usize, name_width: usize, has_failed: bool, is_coloured: bool) -> String {
    let colour = if has_failed { "red" } else { "green" };
    let name_width = name_width.min(max_name_width(columns));
    if columns < MIN_BAR_WIDTH {
        let position = if is_coloured { format!("{{pos:.{colour}}}") } else { "{pos}".to_owned() };
        return format!("  {{prefix:{name_width}}} {position}/{{len}} {{wide_msg}}");
    }
    let bar = if is_coloured { format!("{{bar:24.{colour}/dim}}") } else { "{bar:24}".to_owned() };
    format!("  {{prefix:{name_width}}} {bar} {{pos:>6}}/{{len:<6}} {{wide_msg}}")
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// One line for all steps, now and then.
struct Lines {
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
    let parts: Vec<String> = steps.map(step_text).chain(remaining_text(view)).collect();
    parts.join(" · ")
}

/// `about 3 m 20 s left`
pub(crate) fn remaining_text(view: &RunView) -> Option<String> {
    let seconds = view.eta?.since_ms(view.now).div_ceil(1_000);
    Some(format!("about {} left", duration_text(seconds.saturating_mul(1_000))))
}

fn step_text(step: &StepView) -> String {
    let counts = counts_text(step);
    let text = format!("{} {}/{}", step.name, step.finished(), total(step));
    if counts.is_empty() { text } else { format!("{text} ({counts})") }
}

/// Lists the counts that are not zero, failures first: `2 failed, 1 running, 3 waiting`.
fn counts_text(step: &StepView) -> String {
    let counts = [
        (step.failed, "failed"),
        (step.running, "running"),
        (step.available, "waiting"),
        (step.cancelled, "cancelled"),
    ];
    let parts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    parts.join(", ")
}

const fn total(step: &StepView) -> u64 {
    step.finished() + step.open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_counts_that_are_not_zero() {
        let step = StepView { name: "status".into(), available: 3, running: 1, completed: 4, ..StepView::default() };
        assert_eq!(step_text(&step), "status 4/8 (1 running, 3 waiting)");
        let step = StepView { name: "upload".into(), completed: 4, failed: 1, running: 2, ..StepView::default() };
        assert_eq!(step_text(&step), "upload 5/7 (1 failed, 2 running)");
    }

    #[test]
    fn only_a_step_without_failures_is_green() {
        for columns in [50, 80] {
            assert!(style_template(columns, 5, false, true).contains(".green"));
            let failed = style_template(columns, 5, true, true);
            assert!(failed.contains(".red") && !failed.contains("green"), "{failed}");
            for has_failed in [false, true] {
                let plain = style_template(columns, 5, has_failed, false);
                assert!(!plain.contains("red") && !plain.contains("green"), "{plain}");
            }
        }
    }

    #[test]
    fn what_is_not_cut_fits_into_the_terminal() {
        let template = style_template(50, 40, false, false);
        assert_eq!(template, "  {prefix:14} {pos}/{len} {wide_msg}");
        assert_eq!(prefix("a_step_with_a_long_name", 50), "a_step_with_a…");
        assert_eq!(prefix("a_step_with_a_long_name", 80), "a_step_with_a_long_na…");
        assert_eq!(prefix("a_step_with_a_long_name", 81), "a_step_with_a_long_name");
        assert!(style_template(80, 40, false, false).starts_with("  {prefix:22} {bar:24} "));
    }
}
