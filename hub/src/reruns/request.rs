//! `{"from": ["load"], "params": {…}, …}`: what a caller asks for, and the rerun that it becomes.

use std::collections::BTreeMap;

use bue_model::param::read_json;
use bue_model::wire::FieldError;
use bue_model::{BlobRef, Language, RunId, Value};
use uuid::Uuid;

use super::{Replacement, Rerun};

/// The namespace of the ids of reruns that callers chose a key for.
const KEYS: Uuid = Uuid::from_u128(0x6275_6520_7265_7275_6e73_206f_6620_6b65);

/// Most characters of a key.
const MAX_KEY: usize = 255;
/// Most names of steps in a list, and most steps with other code.
const MAX_STEPS: usize = 1_000;

/// What a caller asks for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct RerunRequest {
    run: Option<RunId>,
    key: Option<String>,
    from: Vec<String>,
    only: Vec<String>,
    params: BTreeMap<String, Value>,
    replace: Vec<Replacement>,
}

impl RerunRequest {
    /// Reads the text of a JSON object; nothing is an object without fields.
    pub(crate) fn from_json(text: &str) -> Result<Self, FieldError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let body = read_json(text).map_err(|error| problem("body", format!("the body is not JSON: {error}")))?;
        let mut request = Self::default();
        for (name, value) in entries("body", body)? {
            request.set(&name, value)?;
        }
        if !request.from.is_empty() && !request.only.is_empty() {
            return Err(problem("only", "`from` and `only` exclude each other; send one of them"));
        }
        Ok(request)
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), FieldError> {
        match name {
            "run" => self.run = Some(run_id(&text(name, value)?)?),
            "key" => self.set_key(text(name, value)?)?,
            "from" => self.from = texts(name, value)?,
            "only" => self.only = texts(name, value)?,
            "params" => self.params = entries(name, value)?.into_iter().collect(),
            "replace" => {
                let steps = list(name, value)?;
                self.replace = steps.into_iter().map(replacement).collect::<Result<_, _>>()?;
            }
            name => {
                let message =
                    "there is no such field; the fields are `run`, `key`, `from`, `only`, `params` and `replace`";
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

    /// Returns whether it gives steps other code.
    pub(crate) fn replaces_code(&self) -> bool {
        !self.replace.is_empty()
    }

    /// Returns the rerun that the request asks for.
    pub(crate) fn rerun(self, original: RunId) -> Result<Rerun, FieldError> {
        let Self { run, key, from, only, params, replace } = self;
        let run = match (run, key) {
            (Some(_), Some(_)) => return Err(problem("run", "`run` and a key exclude each other; send one of them")),
            (Some(run), None) => run,
            (None, Some(key)) => RunId(Uuid::new_v5(&KEYS, format!("{original}\0{key}").as_bytes())),
            (None, None) => RunId(random_id()),
        };
        Ok(Rerun { run, original, from, only, params, replace })
    }
}

/// An id that no other run has.
#[expect(
    clippy::disallowed_methods,
    reason = "a caller that chooses neither id nor key wants a new run for every request"
)]
fn random_id() -> Uuid {
    Uuid::new_v4()
}

/// Reads the id of a new run. Version 5 is for ids that the hub makes of keys.
fn run_id(text: &str) -> Result<RunId, FieldError> {
    let id: Option<RunId> = text.parse().ok();
    id.filter(|id| id.0.get_version_num() != 5)
        .ok_or_else(|| problem("run", format!("`{text}` is not a random UUID (version 4)")))
}

fn replacement(value: Value) -> Result<Replacement, FieldError> {
    let mut fields: BTreeMap<String, Value> = entries("replace", value)?.into_iter().collect();
    let mut next = |name: &str| {
        let value = fields.remove(name).ok_or_else(|| problem("replace", format!("`{name}` is missing")))?;
        text(&format!("replace.{name}"), value)
    };
    let (step, function, file) = (next("step")?, next("function")?, next("file")?);
    let (language, hash) = (next("language")?, next("code")?);
    let bytes = fields.remove("bytes");
    if let Some(name) = fields.keys().next() {
        return Err(problem("replace", format!("there is no field `{name}`")));
    }
    let Some(Value::Int(bytes)) = bytes else {
        return Err(problem("replace.bytes", "send the length of the code in bytes"));
    };
    Ok(Replacement {
        step,
        language: Language::ALL
            .into_iter()
            .find(|one| one.name() == language)
            .ok_or_else(|| problem("replace.language", format!("there is no language `{language}`")))?,
        function,
        file,
        code: BlobRef {
            hash: hash.parse().map_err(|error| problem("replace.code", format!("{error}")))?,
            len: u64::try_from(bytes).map_err(|_| problem("replace.bytes", "it is negative"))?,
        },
    })
}

fn entries(field: &str, value: Value) -> Result<Vec<(String, Value)>, FieldError> {
    let Value::Map(entries) = value else {
        return Err(problem(field, format!("it is {}, not an object", value.kind())));
    };
    Ok(entries.into_iter().filter_map(|(name, value)| Some((into_text(name)?, value))).collect())
}

fn list(field: &str, value: Value) -> Result<Vec<Value>, FieldError> {
    match value {
        Value::List(list) if list.len() <= MAX_STEPS => Ok(list),
        Value::List(_) => Err(problem(field, format!("it has more than {MAX_STEPS} entries"))),
        value => Err(problem(field, format!("it is {}, not a list", value.kind()))),
    }
}

fn texts(field: &str, value: Value) -> Result<Vec<String>, FieldError> {
    list(field, value)?.into_iter().map(|value| text(field, value)).collect()
}

fn text(field: &str, value: Value) -> Result<String, FieldError> {
    let kind = value.kind();
    into_text(value).ok_or_else(|| problem(field, format!("it is {kind}, not a text")))
}

fn into_text(value: Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn problem(field: impl Into<String>, message: impl Into<String>) -> FieldError {
    FieldError { field: field.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_names_its_field() {
        for (body, field) in [
            ("[]", "body"),
            ("{", "body"),
            (r#"{"form": []}"#, "form"),
            (r#"{"from": "a"}"#, "from"),
            (r#"{"from": [1]}"#, "from"),
            (r#"{"from": ["a"], "only": ["b"]}"#, "only"),
            (r#"{"params": []}"#, "params"),
            (r#"{"run": "x"}"#, "run"),
            (r#"{"run": "74738ff5-5367-5958-9aee-98fffdcd1876"}"#, "run"),
            (r#"{"key": ""}"#, "key"),
            (r#"{"replace": [{"step": "a"}]}"#, "replace"),
            (
                r#"{"replace": [{"step": "a", "function": "f", "file": "f.py", "language": "perl", "code": "", "bytes": 1}]}"#,
                "replace.language",
            ),
            (
                r#"{"replace": [{"step": "a", "function": "f", "file": "f.py", "language": "python", "code": "", "bytes": 1}]}"#,
                "replace.code",
            ),
        ] {
            let found = RerunRequest::from_json(body).map_err(|problem| problem.field);
            assert_eq!(found, Err(field.to_owned()), "{body}");
        }
    }

    #[test]
    fn equal_keys_are_one_run_and_an_id_and_a_key_exclude_each_other() {
        let original = RunId(Uuid::from_u128(7));
        let rerun = |body: &str| RerunRequest::from_json(body).expect("a request").rerun(original);
        assert_eq!(rerun(r#"{"key": "k"}"#).map(|rerun| rerun.run), rerun(r#"{"key": "k"}"#).map(|rerun| rerun.run));
        assert_ne!(rerun("").map(|rerun| rerun.run), rerun("").map(|rerun| rerun.run));
        assert!(rerun(r#"{"key": "k", "run": "01900000-0000-4000-8000-000000000000"}"#).is_err());
    }
}
