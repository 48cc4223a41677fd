//! `bue schedule add NAME --pipeline P --cron "0 6 * * 1-5"`.

use anyhow::Context;
use bue_client::HubClient;
use bue_model::Value;
use bue_model::pipeline::is_pipeline_name;
use bue_model::schedule::AppliedSchedule;
use clap::Args;

use super::due_text::due_text;
use super::json_fields::{field, object, text_field};
use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::params::typed_params;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_json, print_line};

/// Creates a schedule, or changes one: it starts a run of a published pipeline whenever it is due.
///
/// A change takes effect at the next due time.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The name of the schedule: letters, digits, `-`, `_` and `.`
    name: String,
    /// The published pipeline to run
    #[arg(long, value_name = "NAME")]
    pipeline: String,
    /// When it is due: minute, hour, day of the month, month, day of the week, such as "0 6 * * 1-5"; or @hourly, @daily,
    /// @weekly, @monthly, @yearly
    #[arg(long, value_name = "EXPRESSION", required_unless_present = "every", conflicts_with = "every")]
    cron: Option<String>,
    /// The time between two due times, such as 15m; counted from --from, else from 1970 on
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// The time zone of the cron expression and of the dates of runs, such as Europe/Berlin [default: UTC]
    #[arg(long = "tz", value_name = "ZONE")]
    timezone: Option<String>,
    /// Give a parameter of the pipeline a value: texts and dates as they are, everything else as JSON. Can be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Add this to the priority of every step
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// What to do if the previous run has not ended: leave the due time out, wait, cancel that run, or run both [default: skip]
    #[arg(long, value_name = "skip|queue|cancel|allow")]
    overlap: Option<String>,
    /// Which due times to run later that passed while no hub was running [default: last]
    #[arg(long, value_name = "none|last|all:10")]
    catch_up: Option<String>,
    /// Delay each run by a random time up to this one, such as 30s
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,
    /// Start no run before this time: 2026-11-01, 2026-11-01T06:00, or with an offset
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Start no run at or after this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print JSON: {"name": NAME, "change": CHANGE, "next": TIME}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Add {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        if !is_pipeline_name(&self.name) {
            let name = &self.name;
            let problem = format!("`{name}` cannot be the name of a schedule; use letters, digits, `-`, `_` and `.`");
            return Err(CommandError::Usage(problem));
        }
        let hub = self.hub.client(&Settings::load()?)?;
        let applied = block_on(interruptible(self.put(&hub)))?;
        if self.json {
            return print_json(&applied);
        }
        print_line(&format!("{} {}", applied.name, applied.change.name()))?;
        match applied.next {
            Some(next) => eprint_line(&format!("bue: next due {}", due_text(next, self.zone()))),
            None => eprint_line("bue: it starts no run: it is paused, or no time is left before --until"),
        }
        Ok(())
    }

    fn zone(&self) -> &str {
        self.timezone.as_deref().unwrap_or("UTC")
    }

    async fn put(&self, hub: &HubClient) -> Result<AppliedSchedule, CommandError> {
        let mut fields = vec![text_field("pipeline", &self.pipeline)];
        if !self.params.is_empty() {
            // texts and JSON look alike on a command line: the pipeline says which of them each parameter is
            let view = hub.pipeline(&self.pipeline).await.context("failed to read the pipeline")?;
            fields.push(field("params", typed_params(&self.params, &view)?));
        }
        let texts = [
            ("cron", &self.cron),
            ("every", &self.every),
            ("timezone", &self.timezone),
            ("overlap", &self.overlap),
            ("catch_up", &self.catch_up),
            ("jitter", &self.jitter),
            ("from", &self.from),
            ("until", &self.until),
        ];
        fields.extend(texts.iter().filter_map(|(name, text)| text.as_ref().map(|text| text_field(name, text))));
        fields.extend(self.priority.map(|priority| field("priority", Value::Int(priority))));
        Ok(hub.put_schedule(&self.name, object(fields)).await.context("failed to set the schedule")?)
    }
}
