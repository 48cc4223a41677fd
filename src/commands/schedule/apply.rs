//! `bue schedule apply FILE.toml`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_hub::read_regular_file;
use bue_model::Value;
use bue_model::schedule::{AppliedSchedule, MAX_APPLIED, ScheduleChange};
use clap::Args;

use super::json_fields::{field, object, text_field};
use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, plain_table, print_json, print_line};

/// Most bytes of the file: a request may have as many.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Sets the schedules that a file describes, all of them or none.
///
/// The file has a table for each: [schedule.NAME], with pipeline, cron or every, and timezone, params, priority, overlap,
/// catch_up, jitter, from and until as needed.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The file
    file: PathBuf,
    /// Remove all schedules of the hub that are not in the file
    #[arg(long)]
    prune: bool,
    /// Check the file and print what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: an array with name, change and next of each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Apply {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let schedules = read_schedules(&self.file)?;
        let body = object(vec![
            field("schedules", Value::List(schedules)),
            field("prune", Value::Bool(self.prune)),
            field("dry_run", Value::Bool(self.dry_run)),
        ]);
        let hub = self.hub.client(&Settings::load()?)?;
        let apply = async { Ok(hub.apply_schedules(body).await.context("failed to set the schedules")?) };
        let applied = block_on(interruptible(apply))?;
        if self.json {
            return print_json(&applied);
        }
        self.print(&applied)
    }

    fn print(&self, applied: &[AppliedSchedule]) -> Result<(), CommandError> {
        if !applied.is_empty() {
            let mut table = plain_table(["schedule", "change"]);
            for one in applied {
                table.add_row([one.name.clone(), one.change.name().to_owned()]);
            }
            print_line(&table.to_string())?;
        }
        let changes = applied.iter().filter(|one| one.change != ScheduleChange::Unchanged).count();
        let would = if self.dry_run { " would be" } else { "" };
        eprint_line(&format!("bue: {changes} of {} schedules{would} changed", applied.len()));
        Ok(())
    }
}

/// Returns the schedules of a file, each as an object with its name.
fn read_schedules(path: &Path) -> Result<Vec<Value>, CommandError> {
    let failed = |problem: String| CommandError::Usage(format!("failed to read {}: {problem}", path.display()));
    let bytes = read_regular_file(path, MAX_BYTES).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))?;
    parse(&text).map_err(failed)
}

/// Reads the text of a file.
fn parse(text: &str) -> Result<Vec<Value>, String> {
    let mut tables: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let schedules = tables.remove("schedule");
    if let Some(other) = tables.keys().next() {
        return Err(format!("`{other}` is not a table of schedules; begin each schedule with [schedule.NAME]"));
    }
    let Some(toml::Value::Table(schedules)) = schedules else {
        return Err("it has no schedule; begin each with [schedule.NAME]".to_owned());
    };
    if schedules.len() > MAX_APPLIED {
        return Err(format!("it has {} schedules; one file has at most {MAX_APPLIED}", schedules.len()));
    }
    schedules.into_iter().map(|(name, schedule)| named(&name, schedule)).collect()
}

fn named(name: &str, schedule: toml::Value) -> Result<Value, String> {
    let toml::Value::Table(fields) = schedule else {
        return Err(format!("`schedule.{name}` is not a table; begin it with [schedule.{name}]"));
    };
    if fields.contains_key("name") {
        return Err(format!("[schedule.{name}] has a `name`; its name is {name}, so leave that line out"));
    }
    let mut entries = vec![text_field("name", name)];
    for (key, value) in fields {
        entries
            .push(field(&key, value_of(value).map_err(|problem| format!("`{key}` of [schedule.{name}] {problem}"))?));
    }
    Ok(Value::Map(entries))
}

/// Converts a value. Dates and times become texts, as in JSON.
fn value_of(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::Text(text),
        toml::Value::Integer(number) => Value::Int(number),
        toml::Value::Float(number) if number.is_finite() => Value::Float(number),
        toml::Value::Float(number) => return Err(format!("has the number {number}, which JSON cannot represent")),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => Value::Text(time.to_string()),
        toml::Value::Array(values) => Value::List(values.into_iter().map(value_of).collect::<Result<_, _>>()?),
        toml::Value::Table(entries) => {
            let entry = |(key, value)| Ok((Value::Text(key), value_of(value)?));
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use bue_model::param::write_json;

    use super::*;

    #[test]
    fn a_file_becomes_a_list_of_schedules() {
        let text = r#"
            [schedule.nightly]
            pipeline = "report"
            cron = "0 6 * * 1-5"
            from = 2026-11-01
            params = { day = 2026-11-01T06:00:00Z, depth = 3, list = [1.5, true] }
        "#;
        let schedules = parse(text).expect("schedules");
        assert_eq!(schedules.len(), 1);
        let json = write_json(&schedules[0]);
        for part in [r#""name":"nightly""#, r#""from":"2026-11-01""#, r#""day":"2026-11-01T06:00:00Z""#, "[1.5,true]"] {
            assert!(json.contains(part), "{json}");
        }
    }

    #[test]
    fn a_wrong_file_says_what_to_write() {
        for (text, problem) in [
            ("", "[schedule.NAME]"),
            ("[nightly]\npipeline = 'p'", "`nightly` is not a table of schedules"),
            ("schedule = 5", "[schedule.NAME]"),
            ("[schedule]\nnightly = 5", "[schedule.nightly]"),
            ("[schedule.a]\nname = 'b'", "leave that line out"),
            ("[schedule.a]\nparams = { x = inf }", "`params` of [schedule.a] has the number inf"),
            ("[schedule.a", "line 1"),
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains(problem), "{text}: {message}");
        }
    }
}
