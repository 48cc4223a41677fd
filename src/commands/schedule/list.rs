//! `bue schedule list`.

use anyhow::Context;
use bue_client::HubClient;
use bue_model::schedule::ScheduleView;
use clap::Args;

use super::due_text::{due_text, rule_text};
use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_json, print_line};
use crate::process::table::{Column, TextTable};
use crate::process::terminal::stdout_width;

/// Lists the schedules, with their next due times and last runs.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print JSON: an array with what `bue schedule show --json` prints of each, and one next due time
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl List {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let schedules = block_on(interruptible(read_all(&hub)))?;
        if self.json {
            return print_json(&schedules);
        }
        if schedules.is_empty() {
            eprint_line("bue: there are no schedules; `bue schedule add` creates one");
            return Ok(());
        }
        print_line(&table(&schedules).format(stdout_width()))
    }
}

/// Reads all pages. A hub has at most 100,000 schedules.
async fn read_all(hub: &HubClient) -> Result<Vec<ScheduleView>, CommandError> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = hub.schedules(&after).await.context("failed to list the schedules")?;
        all.extend(page.schedules);
        match page.next {
            // a page that does not advance would be an endless loop
            Some(next) if next > after => after = next,
            _ => return Ok(all),
        }
    }
}

fn table(schedules: &[ScheduleView]) -> TextTable<7> {
    let mut table = TextTable::new([
        Column::text("schedule", 0),
        Column::text("pipeline", 3),
        Column::text("due", 2),
        Column::text("state", 0),
        Column::text("next", 0),
        Column::text("last run", 1),
        Column::number("started", 4),
    ]);
    for schedule in schedules {
        let next = schedule.next.first().map(|next| due_text(*next, &schedule.timezone));
        let last = schedule.last_run.map(|last| last.state.name().to_owned());
        table.add_row([
            schedule.name.clone(),
            schedule.pipeline.clone(),
            rule_text(schedule),
            schedule.state.name().to_owned(),
            next.unwrap_or_default(),
            last.unwrap_or_default(),
            schedule.started.to_string(),
        ]);
    }
    table
}
