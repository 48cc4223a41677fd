//! The text of `schedules.toml`.

use super::python::one_line;
use crate::pypeline::data::json_text;
use crate::pypeline::project::{Rule, Schedule};

/// Returns the file. PypeLine starts a task whenever it is due, and never one that was missed. `timezone` is that of cron
/// expressions.
pub(in crate::pypeline) fn schedules_text(schedules: &[Schedule], timezone: Option<&str>, source: &str) -> String {
    let tables = schedules.iter().map(|schedule| {
        let comment = schedule.comment.as_deref().map(|text| format!("# {}\n", one_line(text))).unwrap_or_default();
        let table: String = lines(schedule, timezone).iter().map(|line| format!("{line}\n")).collect();
        match schedule.is_enabled {
            true => format!("\n{comment}{table}"),
            false => format!(
                "\n{comment}# disabled:\n{}",
                table.lines().map(|line| format!("# {line}\n")).collect::<String>()
            ),
        }
    });
    let head = format!("# `bue import` made it of {}; `bue schedule apply` reads it.\n", one_line(source));
    core::iter::once(head).chain(tables).collect()
}

fn lines(schedule: &Schedule, timezone: Option<&str>) -> Vec<String> {
    let mut lines = vec![format!("[schedule.{}]", key(&schedule.name))];
    lines.extend(fields(schedule, timezone).into_iter().map(|(name, value)| format!("{name} = {}", json_text(value))));
    lines
}

/// Returns a schedule as the hub reads it.
pub(in crate::pypeline) fn schedule_json(schedule: &Schedule, timezone: Option<&str>) -> String {
    let fields: Vec<String> = fields(schedule, timezone)
        .into_iter()
        .map(|(name, value)| format!("{}: {}", json_text(name), json_text(value)))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

fn fields<'s>(schedule: &'s Schedule, timezone: Option<&'s str>) -> Vec<(&'static str, &'s str)> {
    let mut fields = vec![("pipeline", schedule.pipeline.as_str())];
    match &schedule.rule {
        Rule::Cron(expression) => {
            fields.push(("cron", expression));
            fields.extend(timezone.map(|zone| ("timezone", zone)));
        }
        Rule::Every(duration) => fields.push(("every", duration)),
    }
    fields.extend([("overlap", "allow"), ("catch_up", "none")]);
    fields
}

/// A key of TOML, in quotes if it is not a bare one.
fn key(name: &str) -> String {
    let is_bare = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-');
    if is_bare { name.to_owned() } else { json_text(name) }
}
