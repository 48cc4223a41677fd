//! [`BulkRequest`]: the body of an operation on many runs. Pure.

use std::collections::BTreeMap;

use bue_model::wire::JobView;
use bue_model::{RunState, Timestamp};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::api::filters::{FilterReader, RunFields};
use crate::http::reply::ErrorReply;
use crate::jobs::headline::headline;
use crate::jobs::views::run_list::{FailedFilter, RunQuery};

/// What is done to the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BulkOperation {
    Cancel,
    Reset,
    Delete,
}

/// A request that was read.
#[derive(Debug)]
pub(super) struct BulkRequest {
    pub(super) operation: BulkOperation,
    pub(super) query: RunQuery,
    /// Of failed jobs, only those with this text in their failures.
    pub(super) error: Option<String>,
    /// Of failed jobs, only those of the group with this message, as the list of errors shows it.
    group: Option<String>,
    pub(super) dry_run: bool,
    /// The filter as it was sent.
    pub(super) filter: Value,
}

impl BulkOperation {
    /// Returns the states of runs that it can change.
    const fn states(self) -> &'static [RunState] {
        match self {
            Self::Cancel => &[RunState::Running],
            Self::Reset => &[RunState::Running, RunState::Failed, RunState::Cancelled],
            Self::Delete => &[RunState::Completed, RunState::Failed, RunState::Cancelled],
        }
    }

    /// Returns the states if the filter names none: what a person cancelled is not brought back unless they say so.
    const fn default_states(self) -> &'static [RunState] {
        match self {
            Self::Reset => &[RunState::Running, RunState::Failed],
            Self::Cancel | Self::Delete => self.states(),
        }
    }

    /// Returns the participle of a message.
    const fn done(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Reset => "reset",
            Self::Delete => "deleted",
        }
    }
}

impl BulkRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// It is no such JSON, or fields of it are wrong.
    pub(super) fn from_json(operation: BulkOperation, text: &str, now: Timestamp) -> Result<Self, ErrorReply> {
        let mut reader = FilterReader::new(now, "");
        let mut body = match serde_json::from_str(text) {
            Ok(Value::Object(body)) => body,
            Ok(_) => return Err(refused(reader, "body", "it is not a JSON object")),
            Err(error) => return Err(refused(reader, "body", &error.to_string())),
        };
        let all = take_flag(&mut body, "all", &mut reader);
        let dry_run = take_flag(&mut body, "dry_run", &mut reader);
        let after = take_text(&mut body, "after", &mut reader);
        let after = reader.position("after", after.as_deref());
        let filter = match body.remove("filter") {
            None => Map::new(),
            Some(Value::Object(filter)) => filter,
            Some(_) => return Err(refused(reader, "filter", "it is not a JSON object")),
        };
        refuse_others(&body, "`filter`, `all`, `dry_run` and `after`", &mut reader);
        if filter.is_empty() && !all {
            let message = format!(
                "it is empty, so every run would be {}; send \"all\": true if you want that, or name runs",
                operation.done()
            );
            reader.refuse("filter", message);
        }
        reader.finish(StatusCode::UNPROCESSABLE_ENTITY)?;
        let sent = Value::Object(filter.clone());
        let FailedJobFilter { query, error, group } = read_filter(operation, filter, now)?;
        Ok(Self { operation, query: RunQuery { after, ..query }, error, group, dry_run, filter: sent })
    }

    /// Returns whether a failed job is one of those that the request is about.
    pub(super) fn is_wanted(&self, job: &JobView) -> bool {
        let Some(failure) = &job.failure else { return !self.names_failures() };
        let contains = |part: &String| self.error.as_ref().is_none_or(|text| part.contains(text));
        let is_in_group = || self.group.as_ref().is_none_or(|group| headline(&failure.message) == *group);
        (contains(&failure.message) || failure.trace.as_ref().is_some_and(contains)) && is_in_group()
    }

    /// Returns whether the request is only about jobs with certain failures.
    pub(super) const fn names_failures(&self) -> bool {
        self.error.is_some() || self.group.is_some()
    }
}

/// The filter of a request: which runs, and which of their failed jobs.
struct FailedJobFilter {
    query: RunQuery,
    error: Option<String>,
    group: Option<String>,
}

/// Reads the filter.
fn read_filter(
    operation: BulkOperation,
    mut filter: Map<String, Value>,
    now: Timestamp,
) -> Result<FailedJobFilter, ErrorReply> {
    let mut reader = FilterReader::new(now, "filter.");
    let fields = RunFields {
        states: take_states(&mut filter, &mut reader),
        pipeline: take_text(&mut filter, "pipeline", &mut reader),
        name: take_text(&mut filter, "name", &mut reader),
        params: take_params(&mut filter, &mut reader),
        since: take_time(&mut filter, "since", &mut reader),
        until: take_time(&mut filter, "until", &mut reader),
        step: take_text(&mut filter, "step", &mut reader),
    };
    let error = take_text(&mut filter, "error", &mut reader);
    let error = reader.text("error", error);
    // of a failure without a message, the group's is empty
    let group = take_text(&mut filter, "group", &mut reader);
    refuse_others(
        &filter,
        "`state`, `pipeline`, `name`, `params`, `since`, `until`, `step`, `error` and `group`",
        &mut reader,
    );
    let mut query = reader.runs(fields);
    let unfit = query.states.iter().find(|state| !operation.states().contains(state));
    if let Some(unfit) = unfit {
        let fit: Vec<_> = operation.states().iter().map(|state| state.name()).collect();
        let message = format!("a {} run cannot be {}; name only {}", unfit.name(), operation.done(), fit.join(", "));
        reader.refuse("state", message);
    }
    reader.finish(StatusCode::UNPROCESSABLE_ENTITY)?;
    if query.states.is_empty() {
        query.states = operation.default_states().to_vec();
    }
    let needs_failed = error.is_some()
        || group.is_some()
        || (operation == BulkOperation::Reset && !query.states.contains(&RunState::Cancelled));
    if needs_failed {
        query.failed.get_or_insert(FailedFilter::default());
    }
    Ok(FailedJobFilter { query, error, group })
}

fn refused(mut reader: FilterReader, field: &str, message: &str) -> ErrorReply {
    reader.refuse(field, message);
    match reader.finish(StatusCode::UNPROCESSABLE_ENTITY) {
        Err(refused) => refused,
        Ok(()) => ErrorReply::bad_request(message, ""),
    }
}

fn refuse_others(fields: &Map<String, Value>, known: &str, reader: &mut FilterReader) {
    for name in fields.keys() {
        reader.refuse(name, format!("there is no such field; there are {known}"));
    }
}

fn take_flag(fields: &mut Map<String, Value>, name: &str, reader: &mut FilterReader) -> bool {
    match fields.remove(name) {
        None => false,
        Some(Value::Bool(flag)) => flag,
        Some(_) => {
            reader.refuse(name, "send true or false");
            false
        }
    }
}

/// A null is refused: a filter that has nothing else would choose every run.
fn take_text(fields: &mut Map<String, Value>, name: &str, reader: &mut FilterReader) -> Option<String> {
    match fields.remove(name) {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            reader.refuse(name, "send a text, or leave it out");
            None
        }
    }
}

/// A time may be a number, as the hub's answers have it.
fn take_time(fields: &mut Map<String, Value>, name: &str, reader: &mut FilterReader) -> Option<String> {
    match fields.remove(name) {
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(other) => take_text(&mut Map::from_iter([(name.to_owned(), other)]), name, reader),
        None => None,
    }
}

/// A text, in which commas separate states, or a list of them.
fn take_states(fields: &mut Map<String, Value>, reader: &mut FilterReader) -> Vec<String> {
    let texts = match fields.remove("state") {
        None => return Vec::new(),
        Some(Value::Array(texts)) => texts,
        Some(other) => vec![other],
    };
    let states: Option<Vec<String>> = texts.into_iter().map(|text| text.as_str().map(str::to_owned)).collect();
    states.filter(|states| !states.is_empty()).unwrap_or_else(|| {
        reader.refuse("state", "send a state, such as \"failed\", or a list of them");
        Vec::new()
    })
}

/// Values are found as those in a query are: by their text, or as JSON.
fn take_params(fields: &mut Map<String, Value>, reader: &mut FilterReader) -> BTreeMap<String, String> {
    let params = match fields.remove("params") {
        None => return BTreeMap::new(),
        Some(Value::Object(params)) if !params.is_empty() => params,
        Some(_) => {
            reader.refuse("params", "send an object with the values of parameters, or leave it out");
            return BTreeMap::new();
        }
    };
    let text = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
    params.into_iter().map(|(name, value)| (name, text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: BulkOperation, text: &str) -> Result<BulkRequest, ErrorReply> {
        BulkRequest::from_json(operation, text, Timestamp(1_000_000))
    }

    #[test]
    fn an_empty_filter_needs_all() {
        let refused = request(BulkOperation::Delete, r#"{"filter": {}}"#).expect_err("refused");
        assert!(refused.message().contains("every run would be deleted"), "{}", refused.message());
        let request = request(BulkOperation::Delete, r#"{"all": true, "dry_run": true}"#).expect("a request");
        assert_eq!(request.query.states, BulkOperation::Delete.states());
        assert!(request.dry_run && request.query.failed.is_none());
    }

    #[test]
    fn a_field_that_chooses_nothing_is_refused() {
        let names = ["state", "pipeline", "name", "params", "since", "until", "step", "error", "group"];
        let nulls = names.map(|name| format!(r#"{{"filter": {{"{name}": null}}}}"#));
        let empty =
            [r#"{"filter": {"state": []}}"#, r#"{"filter": {"params": {}}}"#, r#"{"all": true, "after": null}"#];
        for text in nulls.iter().map(String::as_str).chain(empty) {
            assert!(request(BulkOperation::Delete, text).is_err(), "{text}");
        }
    }

    #[test]
    fn states_are_those_that_the_operation_fits() {
        let states = |operation, text: &str| request(operation, text).map(|request| request.query.states);
        let failed = r#"{"filter": {"state": ["failed"]}}"#;
        assert_eq!(states(BulkOperation::Reset, failed).expect("states"), [RunState::Failed]);
        let refused = states(BulkOperation::Cancel, failed).expect_err("refused");
        assert!(
            refused.message().contains("a failed run cannot be cancelled; name only running"),
            "{}",
            refused.message()
        );
        let some = request(BulkOperation::Reset, r#"{"filter": {"since": 900000}}"#).expect("a request").query;
        assert_eq!(some.states, [RunState::Running, RunState::Failed]);
        assert_eq!((some.failed, some.since), (Some(FailedFilter::default()), Some(Timestamp(900_000))));
        let cancelled =
            request(BulkOperation::Reset, r#"{"filter": {"state": "cancelled"}}"#).expect("a request").query;
        assert_eq!(cancelled.failed, None);
    }

    #[test]
    fn every_wrong_field_is_named() {
        for (text, fields) in [
            ("[]", &["body"][..]),
            ("{", &["body"]),
            (r#"{"filter": 1}"#, &["filter"]),
            (r#"{"filters": {}, "all": 1, "after": "x"}"#, &["all", "after", "filters", "filter"]),
            (
                r#"{"filter": {"stat": "failed", "step": 1, "params": [], "until": "x"}}"#,
                &["filter.params", "filter.step", "filter.stat", "filter.until"],
            ),
        ] {
            let response = request(BulkOperation::Cancel, text).expect_err(text);
            let named: Vec<_> = response.fields().iter().map(|one| one.field.as_str()).collect();
            assert_eq!((response.status().as_u16(), &*named), (422, fields), "{text}");
        }
    }
}
