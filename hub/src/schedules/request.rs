//! What requests that set schedules contain.

use std::collections::HashSet;

use bue_model::Value;
use bue_model::param::read_json;
use bue_model::pipeline::is_pipeline_name;
use bue_model::schedule::{MAX_APPLIED, MAX_AT_MOST};
use bue_model::wire::FieldError;

use super::backfill::Backfill;
use super::fields::{Fields, problem};
use super::spec::ScheduleSpec;

/// Schedules to set, all of them or none.
#[derive(Clone, Debug)]
pub struct ScheduleUpdate {
    /// Their names, each once, and what they are.
    pub schedules: Vec<(String, ScheduleSpec)>,
    /// Which of the other schedules are removed.
    pub others: Others,
    /// Whether it is done, or only what would be done is returned.
    pub mode: UpdateMode,
}

/// What happens to schedules that an update does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They are left as they are.
    Keep,
    /// They are removed.
    Remove,
}

/// Whether an update is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// It is.
    Apply,
    /// It is checked only.
    DryRun,
}

/// What happens to one schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleAction {
    /// It starts no runs until it is resumed.
    Pause,
    /// It starts runs again, from its next due time on.
    Resume,
    /// It is removed. Its runs go on.
    Remove,
}

impl ScheduleUpdate {
    /// An update that sets one schedule.
    #[must_use]
    pub fn one(name: String, spec: ScheduleSpec) -> Self {
        Self { schedules: vec![(name, spec)], others: Others::Keep, mode: UpdateMode::Apply }
    }

    /// Reads the text of `{"schedules": [{"name": "nightly", …}, …], "prune": true, "dry_run": true}`.
    ///
    /// # Errors
    /// One entry for each field that is wrong; `nightly.cron` is one of the schedule `nightly`.
    pub(crate) fn from_json(text: &str) -> Result<Self, Vec<FieldError>> {
        let body = read_json(text).map_err(|error| vec![problem("body", format!("the body is not JSON: {error}"))])?;
        let mut fields = Fields::of(body, "").map_err(|problem| vec![problem])?;
        let others = if fields.flag("prune") { Others::Remove } else { Others::Keep };
        let mode = if fields.flag("dry_run") { UpdateMode::DryRun } else { UpdateMode::Apply };
        let schedules = fields.list("schedules");
        if schedules.as_ref().is_none_or(|schedules| schedules.len() > MAX_APPLIED) {
            fields.add_problem("schedules", format!("send a list of at most {MAX_APPLIED} schedules"));
        }
        let (mut read, mut names) = (Vec::new(), HashSet::new());
        for (position, schedule) in schedules.into_iter().flatten().take(MAX_APPLIED).enumerate() {
            match named_schedule(schedule, position, &mut names) {
                Ok(schedule) => read.push(schedule),
                Err(problems) => fields.add_problems(problems),
            }
        }
        fields.finish("`schedules`, `prune` and `dry_run`").map(|()| Self { schedules: read, others, mode })
    }
}

/// Reads one schedule of a list.
fn named_schedule(
    schedule: Value,
    position: usize,
    names: &mut HashSet<String>,
) -> Result<(String, ScheduleSpec), Vec<FieldError>> {
    let name = match &schedule {
        Value::Map(entries) => entries.iter().find_map(|entry| match entry {
            (Value::Text(key), Value::Text(name)) if key == "name" => Some(name.clone()),
            _ => None,
        }),
        _ => None,
    };
    let Some(name) = name.filter(|name| is_schedule_name(name)) else {
        return Err(vec![problem(&format!("schedules[{position}].name"), NAME_RULE)]);
    };
    if !names.insert(name.clone()) {
        return Err(vec![problem(&format!("{name}.name"), "two schedules have this name; rename one of them")]);
    }
    let mut fields = Fields::of(schedule, &format!("{name}.")).map_err(|problem| vec![problem])?;
    fields.take("name");
    Ok((name, ScheduleSpec::from_fields(fields)?))
}

/// What a name of a schedule may be, for messages.
pub(crate) const NAME_RULE: &str =
    "a schedule has a name of up to 100 letters, digits, `-`, `_` and `.`, beginning with a letter or digit";

/// Returns whether a schedule can have this name.
pub(crate) fn is_schedule_name(name: &str) -> bool {
    is_pipeline_name(name)
}

impl Backfill {
    /// Reads the text of `{"from": "2026-11-01", "to": "2026-12-01", "at_most": 4}`.
    ///
    /// # Errors
    /// One entry for each field that is wrong.
    pub(crate) fn from_json(text: &str) -> Result<Self, Vec<FieldError>> {
        let body = read_json(text).map_err(|error| vec![problem("body", format!("the body is not JSON: {error}"))])?;
        let mut fields = Fields::of(body, "").map_err(|problem| vec![problem])?;
        let (from, to) = (fields.text("from"), fields.text("to"));
        for (name, bound) in [("from", &from), ("to", &to)] {
            if bound.is_none() {
                fields.add_problem(name, "send a time, such as 2026-11-01");
            }
        }
        let at_most = fields.integer("at_most").unwrap_or(4);
        let fitting = u32::try_from(at_most).ok().filter(|at_most| (1..=MAX_AT_MOST).contains(at_most));
        if fitting.is_none() {
            fields.add_problem("at_most", format!("it is not between 1 and {MAX_AT_MOST}"));
        }
        fields.finish("`from`, `to` and `at_most`")?;
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        Ok(Self { from, to, at_most: fitting.unwrap_or(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_names_the_schedule_and_the_field_of_each_mistake() {
        let text = r#"{"schedules": [
            {"name": "a", "pipeline": "p", "cron": "0 25 * * *"},
            {"name": "b", "pipeline": "p", "every": "1h", "tz": "UTC"},
            {"name": "b", "pipeline": "p", "every": "1h"},
            {"name": "not good", "pipeline": "p", "every": "1h"},
            7
        ], "purge": true}"#;
        let problems = ScheduleUpdate::from_json(text).expect_err("problems");
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["a.cron", "b.tz", "b.name", "schedules[3].name", "schedules[4].name", "purge"]);
        let good = r#"{"schedules": [{"name": "a", "pipeline": "p", "every": "1h"}], "prune": true}"#;
        let update = ScheduleUpdate::from_json(good).expect("an update");
        assert_eq!((update.schedules.len(), update.others, update.mode), (1, Others::Remove, UpdateMode::Apply));
        assert!(
            ScheduleUpdate::from_json(r#"{"prune": true}"#).is_err(),
            "without a list, everything would be removed"
        );
    }

    #[test]
    fn a_backfill_names_the_field_of_each_mistake() {
        for (text, expected) in [
            ("{}", vec!["from", "to"]),
            (r#"{"from": "2026-11-01", "to": "2026-11-02", "at_most": 0}"#, vec!["at_most"]),
            (
                r#"{"from": "2026-11-01", "to": "2026-11-02", "at_most": 101, "parallel": 1}"#,
                vec!["at_most", "parallel"],
            ),
        ] {
            let problems = Backfill::from_json(text).expect_err(text);
            assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), expected, "{text}");
        }
        let backfill = Backfill::from_json(r#"{"from": "2026-11-01", "to": "2026-11-02"}"#).expect("a backfill");
        assert_eq!(backfill.at_most, 4);
    }
}
