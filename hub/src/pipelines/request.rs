//! `{"params": {…}, "priority": 5, "key": "…"}`: what a caller asks for, and the run that it becomes.

use std::collections::BTreeMap;

use bue_model::param::{RunTime, read_json};
use bue_model::wire::FieldError;
use bue_model::{RunId, Value};
use uuid::Uuid;

use super::Invocation;

/// The namespace of the ids of runs that callers chose a key for.
const KEYS: Uuid = Uuid::from_u128(0x6275_6520_7069_7065_6c69_6e65_206b_6579);

/// Most characters of a key.
const MAX_KEY: usize = 255;

/// What a caller asks for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct InvocationRequest {
    /// The values of parameters.
    params: BTreeMap<String, Value>,
    /// Added to the priority of every step.
    priority: i64,
    /// Requests with the same key start one run.
    key: Option<String>,
}

impl InvocationRequest {
    /// Reads the text of a JSON object; nothing is an object without fields.
    pub(crate) fn from_json(text: &str) -> Result<Self, FieldError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let body = read_json(text).map_err(|error| problem("body", format!("the body is not JSON: {error}")))?;
        Self::from_value(body)
    }

    /// Reads the text of `{"runs": [{…}, …]}`.
    pub(crate) fn batch_from_json(text: &str, limit: usize) -> Result<Vec<Self>, FieldError> {
        let body = read_json(text).map_err(|error| problem("body", format!("the body is not JSON: {error}")))?;
        let runs = match body {
            Value::Map(mut entries) if entries.len() == 1 => entries.pop(),
            _ => None,
        };
        let Some((Value::Text(name), Value::List(runs))) = runs else {
            return Err(problem("runs", "send {\"runs\": [{\"params\": {…}}, …]}"));
        };
        if name != "runs" || runs.len() > limit {
            return Err(problem("runs", format!("send a list of at most {limit} runs as `runs`")));
        }
        runs.into_iter().map(Self::from_value).collect()
    }

    fn from_value(body: Value) -> Result<Self, FieldError> {
        let Value::Map(entries) = body else {
            return Err(problem("body", format!("the body is {}, not an object", body.kind())));
        };
        let mut request = Self::default();
        for (name, value) in entries {
            let Value::Text(name) = name else { continue };
            request.set(&name, value)?;
        }
        Ok(request)
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), FieldError> {
        match (name, value) {
            ("params", Value::Map(params)) => {
                let named = |(name, value)| if let Value::Text(name) = name { Some((name, value)) } else { None };
                self.params = params.into_iter().filter_map(named).collect();
            }
            ("params", value) => return Err(problem("params", format!("it is {}, not an object", value.kind()))),
            ("priority", Value::Int(priority)) => self.priority = priority,
            ("priority", value) => return Err(problem("priority", format!("it is {}, not an integer", value.kind()))),
            ("key", Value::Text(key)) => self.set_key(key)?,
            ("key", value) => return Err(problem("key", format!("it is {}, not a text", value.kind()))),
            (name, _) => {
                let message = "there is no such field; the fields are `params`, `priority` and `key`";
                return Err(problem(name, message));
            }
        }
        Ok(())
    }

    /// Sets the key. A key of the header and one of the body must be the same.
    pub(crate) fn set_key(&mut self, key: String) -> Result<(), FieldError> {
        if key.is_empty() || key.chars().count() > MAX_KEY {
            return Err(problem("key", format!("a key has 1 to {MAX_KEY} characters")));
        }
        match self.key.replace(key) {
            Some(other) if Some(&other) != self.key.as_ref() => {
                Err(problem("key", "the header `Idempotency-Key` and the field `key` differ; send one of them"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the run that the request asks for.
    pub(crate) fn invocation(self, pipeline: &str, time: RunTime) -> Invocation {
        let run = match &self.key {
            Some(key) => Uuid::new_v5(&KEYS, format!("{pipeline}\0{key}").as_bytes()),
            None => random_id(),
        };
        let Self { params, priority, .. } = self;
        Invocation { run: RunId(run), pipeline: pipeline.to_owned(), params, priority, time }
    }
}

/// An id that no other run has.
#[expect(clippy::disallowed_methods, reason = "a caller that chooses no key wants a new run for every request")]
fn random_id() -> Uuid {
    Uuid::new_v4()
}

fn problem(field: impl Into<String>, message: impl Into<String>) -> FieldError {
    FieldError { field: field.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_exactly() {
        let request =
            InvocationRequest::from_json(r#"{"params": {"n": 123456789012345678901}, "priority": -3, "key": "k"}"#);
        let request = request.expect("a request");
        assert_eq!(request.params["n"], Value::integer("123456789012345678901".parse().expect("digits")));
        assert_eq!((request.priority, request.key.as_deref()), (-3, Some("k")));
        assert_eq!(InvocationRequest::from_json("  "), Ok(InvocationRequest::default()));
    }

    #[test]
    fn each_mistake_names_its_field() {
        for (body, field) in [
            ("[]", "body"),
            ("{", "body"),
            (r#"{"params": [1]}"#, "params"),
            (r#"{"priority": "high"}"#, "priority"),
            (r#"{"priority": 1.5}"#, "priority"),
            (r#"{"parms": {}}"#, "parms"),
            (r#"{"key": ""}"#, "key"),
            (r#"{"params": {"a": 1, "a": 2}}"#, "body"),
        ] {
            assert_eq!(
                InvocationRequest::from_json(body).map_err(|problem| problem.field),
                Err(field.to_owned()),
                "{body}"
            );
        }
        for body in ["[]", "{}", r#"{"runs": {}}"#, r#"{"runs": [{}, {}, {}]}"#, r#"{"run": [{}]}"#] {
            assert_eq!(
                InvocationRequest::batch_from_json(body, 2).map_err(|problem| problem.field),
                Err("runs".into()),
                "{body}"
            );
        }
        assert_eq!(InvocationRequest::batch_from_json(r#"{"runs": [{}, {}]}"#, 2).map(|runs| runs.len()), Ok(2));
    }

    #[test]
    fn two_keys_have_to_agree() {
        let mut request = InvocationRequest::from_json(r#"{"key": "a"}"#).expect("a request");
        assert!(request.set_key("a".into()).is_ok());
        assert!(request.set_key("b".into()).is_err());
    }
}
