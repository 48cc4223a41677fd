//! Filters of runs and failed jobs, from the query of a list or the body of a bulk operation. Every field that is wrong is named, with
//! what to send instead. Pure.

use std::collections::BTreeMap;

use bue_model::wire::FieldError;
use bue_model::{RunState, Timestamp};
use http::StatusCode;
use jiff::tz::TimeZone;

use crate::http::reply::ErrorReply;
use crate::jobs::views::position::Position;
use crate::jobs::views::run_list::{FailedFilter, NamePattern, RunQuery};
use crate::schedules::duration_text::read_duration;
use crate::schedules::time_text::read_time;

/// The largest number of entries on a page, and the number if the request names none.
pub(super) const MAX_PAGE: u32 = 100;
/// Parameters by which runs are found at a time. Each is a lookup for every run that the others leave.
const MAX_PARAMS: usize = 10;
/// Characters of a wrong value in a message.
const MAX_SHOWN: usize = 100;

const RUN_STATES: [RunState; 4] = [RunState::Running, RunState::Completed, RunState::Failed, RunState::Cancelled];

/// Reads the fields of a filter, and collects what is wrong with them.
pub(super) struct FilterReader {
    now: Timestamp,
    /// What the names of fields begin with, such as `filter.`.
    prefix: &'static str,
    problems: Vec<FieldError>,
}

/// The fields of a filter of runs, as they were sent.
#[derive(Debug, Default)]
pub(super) struct RunFields {
    pub(super) states: Vec<String>,
    pub(super) pipeline: Option<String>,
    pub(super) name: Option<String>,
    pub(super) params: BTreeMap<String, String>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) step: Option<String>,
}

impl FilterReader {
    /// Begins a filter whose times are relative to `now`.
    pub(super) const fn new(now: Timestamp, prefix: &'static str) -> Self {
        Self { now, prefix, problems: Vec::new() }
    }

    /// Records what is wrong with a field.
    pub(super) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(FieldError { field: format!("{}{field}", self.prefix), message: message.into() });
    }

    /// Ends the filter.
    ///
    /// # Errors
    /// A reply with this status that names every field that is wrong.
    pub(super) fn finish(self, status: StatusCode) -> Result<(), ErrorReply> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let all: Vec<_> = self.problems.iter().map(|one| format!("`{}`: {}", one.field, one.message)).collect();
        let message = format!("the filter is invalid: {}", all.join("; "));
        let hint = "docs/http-api.md describes the filters";
        Err(ErrorReply::new(status, "invalid_filter", message, hint).with_fields(self.problems))
    }

    /// Reads which runs are wanted.
    pub(super) fn runs(&mut self, fields: RunFields) -> RunQuery {
        let RunFields { states, pipeline, name, params, since, until, step } = fields;
        if params.len() > MAX_PARAMS {
            self.refuse("params", format!("there are {}; send at most {MAX_PARAMS}", params.len()));
        }
        RunQuery {
            states: self.states(&states),
            pipeline: self.text("pipeline", pipeline),
            name: self.text("name", name).map(|name| match name.strip_suffix('*') {
                Some(prefix) => NamePattern::Prefix(prefix.to_owned()),
                None => NamePattern::Exact(name),
            }),
            params: self.params(params),
            since: self.time("since", since.as_deref()),
            until: self.time("until", until.as_deref()),
            failed: self.text("step", step).map(|step| FailedFilter { step: Some(step) }),
            after: None,
            limit: MAX_PAGE,
        }
    }

    /// Reads a text. PostgreSQL stores none with a NUL, so none can match.
    pub(super) fn text(&mut self, field: &str, text: Option<String>) -> Option<String> {
        let text = text?;
        match text.is_empty() || text.contains('\0') {
            true => {
                self.refuse(field, "it is empty, or has a NUL character; leave it out, or send another text");
                None
            }
            false => Some(text),
        }
    }

    /// Reads a time: milliseconds since 1970, a date and time, or a duration before now.
    pub(super) fn time(&mut self, field: &str, text: Option<&str>) -> Option<Timestamp> {
        let text = text?.trim();
        let read = match text.parse::<i64>() {
            Ok(ms) => Some(Timestamp(ms)),
            Err(_) => read_duration(text)
                .ok()
                .map(|age| Timestamp(self.now.0.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX))))
                .or_else(|| read_time(text, &TimeZone::UTC).ok().map(Timestamp)),
        };
        if read.is_none() {
            let message = "send milliseconds since 1970, a time such as 2026-11-01T06:00:00Z or 2026-11-01 (UTC), or an age such as 2h";
            self.refuse(field, format!("`{}` is not a time; {message}", shown(text)));
        }
        read
    }

    /// Reads where an earlier page ended.
    pub(super) fn position(&mut self, field: &str, text: Option<&str>) -> Option<Position> {
        let text = text?;
        let position = text.parse().ok();
        if position.is_none() {
            let message = "is not the `next` of an earlier answer; leave it out to begin with the newest";
            self.refuse(field, format!("`{}` {message}", shown(text)));
        }
        position
    }

    /// Reads the size of a page.
    pub(super) fn limit(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return MAX_PAGE };
        match text.parse::<u32>() {
            Ok(limit) if limit > 0 => limit.min(MAX_PAGE),
            _ => {
                self.refuse("limit", format!("`{}` is not a number from 1 to {MAX_PAGE}", shown(text)));
                MAX_PAGE
            }
        }
    }

    fn states(&mut self, texts: &[String]) -> Vec<RunState> {
        let mut states = Vec::new();
        for name in texts.iter().flat_map(|text| text.split(',')).map(str::trim) {
            match RUN_STATES.into_iter().find(|state| state.name() == name) {
                Some(state) if !states.contains(&state) => states.push(state),
                Some(_) => {}
                None => {
                    let names = RUN_STATES.map(RunState::name).join(", ");
                    self.refuse("state", format!("`{}` is not a state of runs; those are {names}", shown(name)));
                }
            }
        }
        states
    }

    fn params(&mut self, params: BTreeMap<String, String>) -> BTreeMap<String, String> {
        if params.iter().any(|(name, _)| name.is_empty() || name.contains('\0')) {
            self.refuse("params", "the name of a parameter is empty, or has a NUL character");
        }
        params.into_iter().filter(|(name, _)| !name.contains('\0')).take(MAX_PARAMS).collect()
    }
}

/// Returns the beginning of what a user sent.
fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn time(text: &str) -> Option<i64> {
        FilterReader::new(NOW, "").time("since", Some(text)).map(|time| time.0)
    }

    #[test]
    fn a_time_is_in_milliseconds_or_a_date_or_an_age() {
        for (text, expected) in [
            ("1790000000000", 1_790_000_000_000),
            ("-5", -5),
            ("2h", NOW.0 - 7_200_000),
            ("1d 12h", NOW.0 - 129_600_000),
            ("2026-11-01", 1_793_491_200_000),
            ("2026-11-01T06:00:00Z", 1_793_512_800_000),
            ("2026-11-01T06:00:00+01:00", 1_793_509_200_000),
            ("999999999w", NOW.0 - 999_999_999 * 604_800_000),
        ] {
            assert_eq!(time(text), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "2h ago", "2026-13-01", "9999999999999999999999"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let mut reader = FilterReader::new(NOW, "filter.");
        let fields = RunFields {
            states: vec!["failed,done".into(), "lost".into()],
            pipeline: Some(String::new()),
            name: Some("a\0*".into()),
            params: (0..11).map(|number| (number.to_string(), String::new())).collect(),
            since: Some("soon".into()),
            until: None,
            step: None,
        };
        let query = reader.runs(fields);
        assert_eq!((query.states, query.pipeline, query.name), (vec![RunState::Failed], None, None));
        reader.position("after", Some("7"));
        reader.limit(Some("0"));
        let named: Vec<_> = reader.problems.iter().map(|one| one.field.as_str()).collect();
        let expected = ["params", "state", "state", "pipeline", "name", "since", "after", "limit"];
        assert_eq!(named, expected.map(|name| format!("filter.{name}")));
    }

    #[test]
    fn a_star_at_the_end_of_a_name_is_for_all_that_begin_so() {
        let name = |text: &str| {
            let fields = RunFields { name: Some(text.into()), ..RunFields::default() };
            FilterReader::new(NOW, "").runs(fields).name
        };
        assert_eq!(name("etl*"), Some(NamePattern::Prefix("etl".into())));
        assert_eq!(name("*"), Some(NamePattern::Prefix(String::new())));
        assert_eq!(name("e*l"), Some(NamePattern::Exact("e*l".into())));
    }
}
