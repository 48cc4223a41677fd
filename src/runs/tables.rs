//! Tables of runs, steps and jobs, which fit into a terminal.

use bue_model::Timestamp;
use bue_model::text::shortened;
use bue_model::wire::{JobCounts, JobPage, JobView, RunView};

use crate::process::output::counted;
use crate::process::table::{Column, TextTable};
use crate::runs::job_name::round_number;
use crate::runs::progress::remaining_text;
use crate::runs::times::{ago_text, duration_text};

/// The fewest digits of a run's id in a list.
const SHORT_ID: usize = 8;

/// The digits of a run's id, hyphens included.
const WHOLE_ID: usize = 36;

/// Formats runs, newest first.
pub(crate) fn run_table(views: &[RunView], now: Timestamp, width: Option<usize>) -> String {
    let mut table = TextTable::new([
        Column::text("run", 0),
        Column::text("state", 0),
        Column::number("open", 2),
        Column::number("completed", 3),
        Column::number("failed", 0),
        Column::text("started", 4),
        Column::text("took", 5),
        Column::text("script", 0),
    ]);
    let digits = if width.is_none() { WHOLE_ID } else { unique_digits(views) };
    for view in views {
        table.add_row([
            view.id.to_string().chars().take(digits).collect(),
            view.state.name().to_owned(),
            view.counts.open().to_string(),
            view.counts.completed.to_string(),
            view.counts.failed.to_string(),
            ago_text(view.created_at, now),
            duration_text(running_ms(view)),
            view.name.clone(),
        ]);
    }
    table.format(width)
}

/// Returns how many digits tell these runs apart.
fn unique_digits(views: &[RunView]) -> usize {
    let mut ids: Vec<String> = views.iter().map(|view| view.id.to_string()).collect();
    ids.sort();
    let common =
        |(left, right): (&String, &String)| left.chars().zip(right.chars()).take_while(|(l, r)| l == r).count();
    let longest = ids.iter().zip(ids.iter().skip(1)).map(common).max().unwrap_or(0);
    (longest + 1).clamp(SHORT_ID, WHOLE_ID)
}

/// Formats one run: its name and state, its times, and its steps.
pub(crate) fn run_text(view: &RunView, now: Timestamp, width: Option<usize>) -> String {
    let head = format!("run {} ({}) {}", view.id, view.name, view.state.name());
    let head = match width {
        Some(width) if head.chars().count() > width => {
            let lines = [format!("run {}", view.id), format!("{}: {}", view.state.name(), view.name)];
            lines.map(|line| shortened(&line, width)).join("\n")
        }
        _ => head,
    };
    let repeated = repeated_text(view).unwrap_or_default();
    format!("{head}\n{}{repeated}\n{}", times_text(view, now), step_table(view, width))
}

/// Two lines about a rerun, each after a line break: which run it repeats, and how many jobs it did not have to run.
fn repeated_text(view: &RunView) -> Option<String> {
    let original = view.rerun_of?;
    let reused: u64 = view.steps.iter().map(|step| step.reused).sum();
    let jobs = counted(usize::try_from(reused).unwrap_or(usize::MAX), "job");
    Some(format!("\nrepeats run {original}\nreused the results of {jobs}"))
}

/// `started 5 m ago, running for 5 m 3 s, about 12 m left`, or `started 2 h ago, took 3 m 5 s`
fn times_text(view: &RunView, now: Timestamp) -> String {
    let (started, took) = (ago_text(view.created_at, now), duration_text(running_ms(view)));
    let Some(_) = view.finished_at else {
        let remaining = remaining_text(view).map_or_else(String::new, |text| format!(", {text}"));
        return format!("started {started}{remaining}");
    };
    format!("started {started}, took {took}")
}

/// Returns the milliseconds since the run was submitted, or until it ended.
fn running_ms(view: &RunView) -> u64 {
    view.finished_at.unwrap_or(view.now).since_ms(view.created_at)
}

fn step_table(view: &RunView, width: Option<usize>) -> String {
    let mut table = TextTable::new([
        Column::text("step", 0),
        Column::number("blocked", 2),
        Column::number("available", 1),
        Column::number("running", 0),
        Column::number("completed", 0),
        Column::number("failed", 0),
        Column::number("cancelled", 3),
    ]);
    for step in &view.steps {
        let counts = step.by_state().map(|(_, count)| count.to_string());
        let [blocked, available, running, completed, failed, cancelled] = counts;
        table.add_row([step.name.clone(), blocked, available, running, completed, failed, cancelled]);
    }
    let text = table.format(width);
    match view.step_count.saturating_sub(view.steps.len() as u64) {
        0 => text,
        more => format!("{text}\n… and {more} more steps; all jobs: {}", counts_text(&view.counts)),
    }
}

/// `3 open, 8 completed, 1 failed, 0 cancelled`
fn counts_text(counts: &JobCounts) -> String {
    let JobCounts { completed, failed, cancelled, .. } = counts;
    format!("{} open, {completed} completed, {failed} failed, {cancelled} cancelled", counts.open())
}

/// Formats jobs, and how to list more.
pub(crate) fn job_table(page: &JobPage, width: Option<usize>) -> String {
    let mut table = TextTable::new([
        Column::number("job", 0),
        Column::text("step", 0),
        Column::text("round", 1),
        Column::text("state", 0),
        Column::number("attempts", 3),
        Column::text("took", 5),
        Column::text("worker", 4),
        Column::text("error", 2),
    ]);
    for job in &page.jobs {
        table.add_row([
            job.id.to_string(),
            job.step.clone(),
            rounds_text(job),
            job.state.name().to_owned(),
            job.attempts.to_string(),
            job.run_ms.map(duration_text).unwrap_or_default(),
            job.worker.clone().unwrap_or_default(),
            error_text(job),
        ]);
    }
    let text = table.format(width);
    match page.next {
        Some(next) => format!("{text}\n… the first {}; `--after {next}` lists more", counted(page.jobs.len(), "job")),
        None => text,
    }
}

/// `8/300`, with a loop around it `2.8`. Empty outside loops.
fn rounds_text(job: &JobView) -> String {
    match job.rounds.as_slice() {
        [round] => format!("{}/{}", round.round, round.rounds),
        rounds => round_number(rounds),
    }
}

fn error_text(job: &JobView) -> String {
    let failed = job.blocked_by.map(|failed| format!("job {failed} failed"));
    let message = job.failure.as_ref().and_then(|failure| failure.message.lines().next());
    message.map(str::to_owned).or(failed).unwrap_or_default()
}
