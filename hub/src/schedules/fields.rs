//! [`Fields`]: the fields of a JSON object, taken one by one. What is wrong with them is collected, so that a caller sees all of
//! it at once.

use std::collections::BTreeMap;

use bue_model::Value;
use bue_model::wire::FieldError;

/// The fields of an object that were not read yet, and what was wrong with the others.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Before the name of each field in a message.
    prefix: String,
    entries: BTreeMap<String, Value>,
    problems: Vec<FieldError>,
}

impl Fields {
    /// Takes an object apart. `prefix` says in messages where it is.
    pub(crate) fn of(value: Value, prefix: &str) -> Result<Self, FieldError> {
        let Value::Map(entries) = value else {
            let field = if prefix.is_empty() { "body" } else { prefix.trim_end_matches('.') };
            return Err(problem(field, format!("it is {}, not an object", value.kind())));
        };
        let named = |(name, value)| if let Value::Text(name) = name { Some((name, value)) } else { None };
        let entries = entries.into_iter().filter_map(named).collect();
        Ok(Self { prefix: prefix.to_owned(), entries, problems: Vec::new() })
    }

    /// Takes a value; null is as good as none.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.entries.remove(name).filter(|value| *value != Value::Null)
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::Text(text) => Some(text),
            other => self.wrong_kind(name, &other, "a text"),
        }
    }

    /// Takes a text that has to have a meaning.
    pub(crate) fn parsed<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        read(&text).map_err(|message| self.add_problem(name, message)).ok()
    }

    /// Takes an integer.
    pub(crate) fn integer(&mut self, name: &str) -> Option<i64> {
        match self.take(name)? {
            Value::Int(number) => Some(number),
            other => self.wrong_kind(name, &other, "an integer"),
        }
    }

    /// Takes a bool, which is false if it is not there. Null is neither: a client that means `true` may have lost it.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.entries.remove(name) {
            Some(Value::Bool(flag)) => flag,
            Some(other) => self.wrong_kind::<bool>(name, &other, "true or false").unwrap_or(false),
            None => false,
        }
    }

    /// Takes an object, which is empty if it is not there.
    pub(crate) fn object(&mut self, name: &str) -> BTreeMap<String, Value> {
        match self.take(name) {
            Some(Value::Map(entries)) => {
                let named = |(name, value)| if let Value::Text(name) = name { Some((name, value)) } else { None };
                entries.into_iter().filter_map(named).collect()
            }
            Some(other) => self.wrong_kind(name, &other, "an object").unwrap_or_default(),
            None => BTreeMap::new(),
        }
    }

    /// Takes a list.
    pub(crate) fn list(&mut self, name: &str) -> Option<Vec<Value>> {
        match self.take(name)? {
            Value::List(values) => Some(values),
            other => self.wrong_kind(name, &other, "a list"),
        }
    }

    /// Records that a field is wrong.
    pub(crate) fn add_problem(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(problem(&format!("{}{name}", self.prefix), message));
    }

    /// Records what is wrong with the fields of an object inside this one.
    pub(crate) fn add_problems(&mut self, problems: Vec<FieldError>) {
        self.problems.extend(problems);
    }

    /// Ends the reading: fails if something was wrong, or a field is left. `known` lists the fields, for the message.
    pub(crate) fn finish(mut self, known: &str) -> Result<(), Vec<FieldError>> {
        for name in std::mem::take(&mut self.entries).into_keys().take(20) {
            self.add_problem(&name, format!("there is no such field; the fields are {known}"));
        }
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }

    fn wrong_kind<T>(&mut self, name: &str, value: &Value, expected: &str) -> Option<T> {
        self.add_problem(name, format!("it is {}, not {expected}", value.kind()));
        None
    }
}

/// A problem of a field.
pub(crate) fn problem(field: &str, message: impl Into<String>) -> FieldError {
    FieldError { field: field.to_owned(), message: message.into() }
}
