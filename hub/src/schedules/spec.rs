//! [`ScheduleSpec`]: what a user says about a schedule, checked.

use std::collections::BTreeMap;

use bue_model::Value;
use bue_model::param::{RunTime, read_json, write_json};
use bue_model::pipeline::is_pipeline_name;
use bue_model::wire::FieldError;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cron::CronExpression;
use super::duration_text::{duration_text, read_duration};
use super::fields::{Fields, problem};
use super::ids;
use super::policy::{CatchUp, Overlap};
use super::recurrence::{Recurrence, Rule};
use super::time_text::read_time;
use super::zone::zone_named;
use crate::error::HubError;
use crate::pipelines::Invocation;

/// Bytes of a schedule, most of which are values of parameters. Larger values belong in the bucket.
const MAX_BYTES: usize = 64 * 1024;
/// The shortest time between two due times. A run takes longer to start and to end.
const MIN_PERIOD_MS: u64 = 1_000;
/// The longest one: ten years.
const MAX_PERIOD_MS: u64 = 3_653 * 86_400_000;
/// The longest random delay: a day.
const MAX_JITTER_MS: u64 = 86_400_000;
/// Due times whose distances are compared with the random delay.
const COMPARED_DUE_TIMES: usize = 100;
/// Where that comparison begins: 2026-01-01.
const COMPARED_FROM_MS: i64 = 1_767_225_600_000;
/// The fields, for messages.
const FIELDS: &str =
    "`pipeline`, `cron`, `every`, `timezone`, `params`, `priority`, `overlap`, `catch_up`, `jitter`, `from`, `until`";

/// What a user says about a schedule: when it is due, and what it runs.
#[derive(Clone, Debug)]
pub struct ScheduleSpec {
    pub(crate) pipeline: String,
    pub(crate) recurrence: Recurrence,
    pub(crate) timezone: String,
    pub(crate) params: BTreeMap<String, Value>,
    pub(crate) priority: i64,
    pub(crate) overlap: Overlap,
    pub(crate) catch_up: CatchUp,
    pub(crate) jitter_ms: u64,
}

impl ScheduleSpec {
    /// Reads the text of a JSON object: `{"pipeline": "report", "cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}`.
    ///
    /// # Errors
    /// One entry for each field that is wrong, with what to write instead.
    pub fn from_json(text: &str) -> Result<Self, Vec<FieldError>> {
        let body = read_json(text).map_err(|error| vec![problem("body", format!("the body is not JSON: {error}"))])?;
        Self::from_fields(Fields::of(body, "").map_err(|problem| vec![problem])?)
    }

    /// Reads the fields of an object.
    pub(crate) fn from_fields(mut fields: Fields) -> Result<Self, Vec<FieldError>> {
        let spec = Self::read(&mut fields);
        if let Some(spec) = &spec {
            spec.check(&mut fields);
        }
        fields.finish(FIELDS)?;
        // without a rule there is a problem
        spec.ok_or_else(Vec::new)
    }

    /// Reads the text that a store keeps, which was checked before.
    ///
    /// # Errors
    /// [`HubError::Damaged`]
    pub(crate) fn from_stored(text: &str) -> Result<Self, HubError> {
        let damaged = |problem: FieldError| {
            HubError::damaged(format!("a schedule cannot be read: `{}`: {}", problem.field, problem.message))
        };
        let body = read_json(text).map_err(|error| damaged(problem("body", error.to_string())))?;
        let mut fields = Fields::of(body, "").map_err(damaged)?;
        let spec = Self::read(&mut fields);
        let problems = fields.finish(FIELDS).err().unwrap_or_default();
        match (spec, problems.into_iter().next()) {
            (Some(spec), None) => Ok(spec),
            (_, problem) => Err(damaged(problem.unwrap_or_else(|| super::fields::problem("cron", "missing")))),
        }
    }

    /// Reads the fields. `None` if it has no rule, which is a problem too.
    fn read(fields: &mut Fields) -> Option<Self> {
        let pipeline = fields.text("pipeline").unwrap_or_default();
        if !is_pipeline_name(&pipeline) {
            fields.add_problem("pipeline", "name a pipeline; `bue pipelines` lists them");
        }
        let zone = fields.parsed("timezone", zone_named);
        let (timezone, zone) = zone.unwrap_or_else(|| ("UTC".to_owned(), TimeZone::UTC));
        let from = fields.parsed("from", |text| read_time(text, &zone));
        let until = fields.parsed("until", |text| read_time(text, &zone));
        let rule = rule(fields, from);
        let overlap = fields.parsed("overlap", Overlap::read).unwrap_or(Overlap::Skip);
        let catch_up = fields.parsed("catch_up", CatchUp::read).unwrap_or(CatchUp::Last);
        let jitter_ms = fields.parsed("jitter", read_duration).unwrap_or(0);
        let params = fields.object("params");
        let priority = fields.integer("priority").unwrap_or(0);
        let recurrence = Recurrence { rule: rule?, zone, from, until };
        Some(Self { pipeline, recurrence, timezone, params, priority, overlap, catch_up, jitter_ms })
    }

    /// Checks how the fields fit together.
    fn check(&self, fields: &mut Fields) {
        let Recurrence { from, until, .. } = self.recurrence;
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            fields.add_problem("until", "it is not later than `from`; correct one of them");
        }
        if let Some(problem) = jitter_problem(&self.recurrence, self.jitter_ms) {
            fields.add_problem("jitter", problem);
        }
        if self.to_text().len() > MAX_BYTES {
            let problem = format!(
                "the schedule has more than {} KiB; put large values into the bucket and their names into parameters",
                MAX_BYTES / 1024
            );
            fields.add_problem("params", problem);
        }
    }

    /// Returns it as JSON. Equal texts are equal schedules.
    pub(crate) fn to_text(&self) -> String {
        let text = |name: &str, value: &str| (Value::Text(name.to_owned()), Value::Text(value.to_owned()));
        let (from, until) = (self.recurrence.from.map(time_text), self.recurrence.until.map(time_text));
        let (cron, every) = (self.cron(), self.every());
        let optional = [("cron", cron), ("every", every), ("from", from), ("until", until)];
        let mut entries = vec![
            text("pipeline", &self.pipeline),
            text("timezone", &self.timezone),
            text("overlap", self.overlap.name()),
            text("catch_up", &self.catch_up.text()),
            text("jitter", &duration_text(self.jitter_ms)),
            (Value::Text("params".to_owned()), self.params_value()),
            (Value::Text("priority".to_owned()), Value::Int(self.priority)),
        ];
        entries.extend(optional.iter().filter_map(|(name, value)| value.as_ref().map(|value| text(name, value))));
        write_json(&Value::Map(entries))
    }

    /// The cron expression, if it has one.
    pub(crate) fn cron(&self) -> Option<String> {
        match &self.recurrence.rule {
            Rule::Cron(cron) => Some(cron.text().to_owned()),
            Rule::Every { .. } => None,
        }
    }

    /// The time between two due times, if it has one.
    pub(crate) fn every(&self) -> Option<String> {
        match self.recurrence.rule {
            Rule::Cron(_) => None,
            Rule::Every { period_ms, .. } => Some(duration_text(u64::try_from(period_ms).unwrap_or(0))),
        }
    }

    /// The parameters as JSON.
    pub(crate) fn params_json(&self) -> String {
        write_json(&self.params_value())
    }

    fn params_value(&self) -> Value {
        Value::Map(self.params.iter().map(|(name, value)| (Value::Text(name.clone()), value.clone())).collect())
    }

    /// Returns whether this one is due at the same times as the other one.
    pub(crate) fn has_times_of(&self, other: &Self) -> bool {
        let times = |spec: &Self| {
            let Recurrence { from, until, .. } = spec.recurrence;
            (spec.cron(), spec.every(), spec.timezone.clone(), from, until)
        };
        times(self) == times(other)
    }

    /// Returns what starts the run of a due time.
    pub(crate) fn invocation(&self, schedule: &str, due: i64) -> Invocation {
        self.invocation_as(ids::run_of(schedule, due), due)
    }

    /// Returns what starts a run with this id, for this time.
    pub(crate) fn invocation_as(&self, run: bue_model::RunId, at: i64) -> Invocation {
        let at = Timestamp::from_millisecond(at).unwrap_or_default();
        let time = RunTime { at, zone: self.recurrence.zone.clone() };
        let Self { pipeline, params, priority, .. } = self;
        Invocation { run, pipeline: pipeline.clone(), params: params.clone(), priority: *priority, time }
    }
}

/// Reads `cron` or `every`, one of which has to be there.
fn rule(fields: &mut Fields, from: Option<i64>) -> Option<Rule> {
    let (cron, every) = (fields.text("cron"), fields.text("every"));
    match (cron, every) {
        (Some(_), Some(_)) => {
            fields.add_problem("every", "there is a `cron` too; leave one of them out");
            None
        }
        (Some(cron), None) => CronExpression::parse(&cron)
            .map(|cron| Rule::Cron(Box::new(cron)))
            .map_err(|message| fields.add_problem("cron", message))
            .ok(),
        (None, Some(every)) => {
            let period_ms = period(&every).map_err(|message| fields.add_problem("every", message)).ok()?;
            Some(Rule::Every { period_ms, anchor_ms: from.unwrap_or(0) })
        }
        (None, None) => {
            fields.add_problem(
                "cron",
                "say when the schedule is due: `cron`, such as `0 6 * * 1-5`, or `every`, such as `15m`",
            );
            None
        }
    }
}

fn period(text: &str) -> Result<i64, String> {
    let ms = read_duration(text)?;
    match (MIN_PERIOD_MS..=MAX_PERIOD_MS).contains(&ms) {
        true => Ok(i64::try_from(ms).unwrap_or(i64::MAX)),
        false => Err(format!("`{text}` is not between 1s and ten years")),
    }
}

/// A delay that is longer than the time to the next due time would make that one late as well.
fn jitter_problem(recurrence: &Recurrence, jitter_ms: u64) -> Option<String> {
    if jitter_ms == 0 {
        return None;
    }
    if jitter_ms > MAX_JITTER_MS {
        return Some("it is longer than a day".to_owned());
    }
    let due_times =
        std::iter::successors(recurrence.next_unbounded(COMPARED_FROM_MS), |due| recurrence.next_unbounded(*due));
    let due_times: Vec<i64> = due_times.take(COMPARED_DUE_TIMES).collect();
    let distances = due_times.windows(2).filter_map(|pair| pair.last()?.checked_sub(*pair.first()?));
    let shortest = distances.min().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(u64::MAX);
    let text = duration_text(shortest);
    (jitter_ms > shortest).then(|| format!("it is longer than the time between two due times, {text}"))
}

/// Returns a time as RFC 3339.
fn time_text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let problems = ScheduleSpec::from_json(text).expect_err(text);
        problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn a_schedule_survives_a_round_trip() {
        for text in [
            r#"{"pipeline": "p", "every": "90s"}"#,
            r#"{"pipeline": "p", "cron": "0  6 * * MON-FRI", "timezone": "europe/berlin", "overlap": "queue",
                "catch_up": "all:10", "jitter": "30s", "from": "2026-11-01", "until": "2027-01-01T06:00:00Z", "priority": -3,
                "params": {"n": 123456789012345678901, "list": [1.5, null, "x"]}}"#,
        ] {
            let spec = ScheduleSpec::from_json(text).expect("a schedule");
            let stored = spec.to_text();
            let again = ScheduleSpec::from_stored(&stored).expect("a schedule");
            assert_eq!(again.to_text(), stored);
            assert_eq!(again.params, spec.params);
            assert!(again.has_times_of(&spec));
        }
    }

    #[test]
    fn each_mistake_names_its_field_and_what_to_write() {
        for (text, expected) in [
            ("[]", vec!["body: it is a list, not an object"]),
            ("{", vec!["body: the body is not JSON"]),
            ("{}", vec!["pipeline: name a pipeline", "cron: say when"]),
            (r#"{"pipeline": "p q", "every": "15m"}"#, vec!["pipeline: name a pipeline"]),
            (r#"{"pipeline": "p", "every": "15m", "cron": "@daily"}"#, vec!["every: there is a `cron` too"]),
            (r#"{"pipeline": "p", "every": "10ms"}"#, vec!["every: `10ms` is not between"]),
            (r#"{"pipeline": "p", "every": "15"}"#, vec!["every: `15` is not a duration"]),
            (r#"{"pipeline": "p", "cron": "0 25 * * *"}"#, vec!["cron: the hour of"]),
            (r#"{"pipeline": "p", "cron": 5}"#, vec!["cron: it is an int, not a text", "cron: say when"]),
            (
                r#"{"pipeline": "p", "every": "1h", "timezone": "Europe/Berln", "overlap": "x", "catch_up": "all",
                    "jitter": "soon", "from": "2026-02-30", "until": 7, "priority": "high", "params": [], "tz": "UTC"}"#,
                vec![
                    "timezone: there is no time zone",
                    "from: `2026-02-30` is not a time",
                    "until: it is an int, not a text",
                    "overlap: `x` is not one of",
                    "catch_up: `all` is not one of",
                    "jitter: `soon` is not a duration",
                    "params: it is a list",
                    "priority: it is a text",
                    "tz: there is no such field",
                ],
            ),
            (
                r#"{"pipeline": "p", "every": "1h", "from": "2026-02-02", "until": "2026-02-02"}"#,
                vec!["until: it is not later"],
            ),
            (r#"{"pipeline": "p", "every": "1m", "jitter": "61s"}"#, vec!["jitter: it is longer than the time"]),
            (r#"{"pipeline": "p", "cron": "*/5 8 * * *", "jitter": "6m"}"#, vec!["jitter: it is longer than the time"]),
            (r#"{"pipeline": "p", "cron": "@monthly", "jitter": "25h"}"#, vec!["jitter: it is longer than a day"]),
        ] {
            let found = problems(text);
            let fits =
                found.len() == expected.len() && found.iter().zip(&expected).all(|(one, start)| one.starts_with(start));
            assert!(fits, "{text}: {found:#?}");
        }
        let large = format!(r#"{{"pipeline": "p", "every": "1h", "params": {{"a": "{}"}}}}"#, "x".repeat(70_000));
        assert_eq!(problems(&large).len(), 1);
    }
}
