//! `bue schedule show NAME`.

use anyhow::Context;
use bue_model::Timestamp;
use bue_model::schedule::{RunCounts, ScheduleView};
use clap::Args;

use super::due_text::{coming_text, due_text, rule_text};
use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{print_json, print_line};

/// Shows a schedule: its next five due times, its last run, and how many runs it has started.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The name of the schedule
    name: String,
    /// Print JSON as the hub returns it; times are milliseconds since 1970
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Show {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let read = async { Ok(hub.schedule(&self.name).await.context("failed to read the schedule")?) };
        let schedule = block_on(interruptible(read))?;
        if self.json { print_json(&schedule) } else { print_line(&text(&schedule, now())) }
    }
}

fn text(schedule: &ScheduleView, now: Timestamp) -> String {
    let zone = &schedule.timezone;
    let bound = |bound: Option<Timestamp>| bound.map_or("-".to_owned(), |time| due_text(time, zone));
    let problem = schedule.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    let last_run = schedule
        .last_run
        .map_or("-".to_owned(), |last| format!("{} {}, due {}", last.run, last.state.name(), due_text(last.due, zone)));
    let next: Vec<String> = schedule.next.iter().map(|due| coming_text(*due, zone, now)).collect();
    let lines = [
        ("schedule", format!("{} runs {}", schedule.name, schedule.pipeline)),
        ("due", rule_text(schedule)),
        ("state", format!("{}{problem}", schedule.state.name())),
        ("parameters", schedule.params.clone()),
        ("overlap", format!("{}, {} waiting", schedule.overlap, schedule.waiting)),
        ("catch-up", schedule.catch_up.clone()),
        ("jitter", schedule.jitter.clone()),
        ("from, until", format!("{}, {}", bound(schedule.from), bound(schedule.until))),
        ("last run", last_run),
        ("runs", counts_text(schedule)),
        ("next", if next.is_empty() { "-".to_owned() } else { next.join(&format!("\n{:13}", "")) }),
    ];
    lines.map(|(name, value)| format!("{name:13}{value}")).join("\n")
}

fn counts_text(schedule: &ScheduleView) -> String {
    let ScheduleView { started, skipped, missed, .. } = schedule;
    let RunCounts { running, completed, failed, cancelled } = schedule.recent.unwrap_or_default();
    format!(
        "{started} started, {skipped} skipped, {missed} missed; of the latest 100: {completed} completed, {failed} failed, \
         {cancelled} cancelled, {running} running"
    )
}
