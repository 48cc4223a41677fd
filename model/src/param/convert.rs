//! Which values a parameter takes.

use core::cmp::Ordering;
use core::fmt;

use bytes::Bytes;
use jiff::civil::{Date, DateTime};
use num_bigint::BigInt;

use super::declaration::{Allowed, Param, ParamDefault};
use super::exact_json::{read_json, write_json};
use super::kind::ParamKind;
use crate::cbor;
use crate::job::INLINE_LIMIT;
use crate::text::shortened;
use crate::value::Value;

/// Choices of a parameter at most.
const MAX_CHOICES: usize = 1_000;

/// Characters of the choices in a message.
const MAX_SHOWN: usize = 500;

impl Param {
    /// Returns the value, converted to the parameter's kind.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence: "is a text, not an int", "is not in 1..10".
    pub fn check(&self, value: Value) -> Result<Value, String> {
        let value = self.kind.convert(value)?;
        let encoded = cbor::encode(&value);
        if encoded.len() > INLINE_LIMIT {
            return Err(format!("takes more than {} KiB", INLINE_LIMIT / 1024));
        }
        match &self.allowed {
            Allowed::All => Ok(value),
            Allowed::Range(first, last) => {
                let (first, last) = (decoded(first.as_ref()), decoded(last.as_ref()));
                let fits = first.as_ref().is_none_or(|first| !less(&value, first))
                    && last.as_ref().is_none_or(|last| !less(last, &value));
                if fits { Ok(value) } else { Err(format!("is not in {}", self.allowed)) }
            }
            Allowed::OneOf(choices) => match choices.iter().any(|choice| *choice == encoded) {
                true => Ok(value),
                false => Err(format!("is none of {}", shortened(&self.allowed.to_string(), MAX_SHOWN))),
            },
        }
    }
}

impl Param {
    /// Checks the declaration itself. A script's has been checked with better messages; that of a plan from elsewhere has not.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn validate(&self) -> Result<(), String> {
        match &self.allowed {
            Allowed::All => {}
            Allowed::Range(..) if !self.kind.has_order() => {
                return Err(format!("a parameter that is {} has no range", self.kind.with_article()));
            }
            Allowed::Range(first, last) => {
                first.iter().chain(last).try_for_each(|bound| self.converted(bound).map(drop))?;
                if self.allowed.is_empty_range() {
                    return Err("its range is empty".into());
                }
            }
            Allowed::OneOf(choices) if choices.len() > MAX_CHOICES => {
                return Err(format!("it has more than {MAX_CHOICES} choices"));
            }
            Allowed::OneOf(choices) => choices.iter().try_for_each(|choice| self.converted(choice).map(drop))?,
        }
        match &self.default {
            Some(ParamDefault::Value(bytes)) if bytes.len() > INLINE_LIMIT => {
                Err(format!("its default takes more than {} KiB", INLINE_LIMIT / 1024))
            }
            Some(ParamDefault::Value(bytes)) => match self.check(self.converted(bytes)?) {
                Ok(_) => Ok(()),
                Err(problem) => Err(format!("its default {problem}")),
            },
            Some(ParamDefault::Time(time)) if time.kind() != self.kind => {
                Err(format!("`{}` is not {}", time.name(), self.kind.with_article()))
            }
            Some(ParamDefault::Time(_)) | None => Ok(()),
        }
    }

    /// Decodes a value of the declaration, which has to be of the parameter's kind already.
    fn converted(&self, bytes: &Bytes) -> Result<Value, String> {
        let value = cbor::decode(bytes).map_err(|error| format!("it has a value that is no CBOR: {error}"))?;
        let converted = self.kind.convert(value.clone())?;
        match converted == value {
            true => Ok(value),
            false => Err(format!("it has a value that is {}, not {}", value.kind(), self.kind.with_article())),
        }
    }
}

impl Param {
    /// Returns a value that it takes, as one types it on a command line.
    #[must_use]
    pub fn example(&self) -> String {
        let allowed = match &self.allowed {
            Allowed::All => None,
            Allowed::Range(first, last) => first.as_ref().or(last.as_ref()),
            Allowed::OneOf(choices) => choices.first(),
        };
        match allowed.and_then(|bytes| cbor::decode(bytes).ok()) {
            Some(Value::Text(text) | Value::Date(text) | Value::DateTime(text)) if self.kind.is_text() => text,
            Some(value) => write_json(&value),
            None => self.kind.example().to_owned(),
        }
    }
}

impl ParamKind {
    /// Returns the value that a text on a command line means: a text and a date as they are, everything else as JSON.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn read(self, text: &str) -> Result<Value, String> {
        if self.is_text() {
            return self.convert(Value::Text(text.to_owned()));
        }
        match read_json(text) {
            Ok(value) => self.convert(value),
            Err(_) if matches!(self, Self::Int | Self::Float | Self::Bool) => Err(self.misfit()),
            Err(error) => Err(format!("is not {}: {error}", self.with_article())),
        }
    }

    /// Returns whether a command line has its values as they are, without quotes.
    const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Date | Self::DateTime)
    }

    /// Returns the value as one of this kind.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn convert(self, value: Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Json, value)
            | (Self::Text, value @ Value::Text(_))
            | (Self::Int, value @ (Value::Int(_) | Value::BigInt(_)))
            | (Self::Float, value @ Value::Float(_))
            | (Self::Bool, value @ Value::Bool(_))
            | (Self::List, value @ Value::List(_))
            | (Self::Map, value @ Value::Map(_)) => Ok(value),
            (Self::Float, Value::Int(number)) => exact_float(number).map(Value::Float),
            (Self::Date, Value::Text(text) | Value::Date(text)) => date(text),
            (Self::DateTime, Value::Text(text) | Value::DateTime(text)) => datetime(text),
            (_, value) => Err(format!("is {}, not {}", value.kind(), self.with_article())),
        }
    }

    fn misfit(self) -> String {
        format!("is not {}, such as `{}`", self.with_article(), self.example())
    }

    /// Returns its name with an article, for messages: `an int`.
    #[must_use]
    pub fn with_article(self) -> String {
        match self {
            Self::Int => "an int".into(),
            Self::Json => "JSON".into(),
            kind => format!("a {}", kind.name()),
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "checked by converting back")]
fn exact_float(number: i64) -> Result<f64, String> {
    let float = number as f64;
    match BigInt::from(number) == BigInt::from(float as i128) {
        true => Ok(float),
        false => Err("is not a float exactly: it needs more than 53 bits".into()),
    }
}

/// A date in the one form that all languages write.
fn date(text: String) -> Result<Value, String> {
    match text.parse::<Date>() {
        Ok(date) if date.to_string() == text => Ok(Value::Date(text)),
        _ => Err(ParamKind::Date.misfit()),
    }
}

fn datetime(text: String) -> Result<Value, String> {
    let has_time = text.as_bytes().get(10) == Some(&b'T');
    let local = text.parse::<DateTime>().is_ok() && !text.contains('[');
    match has_time && (local || text.parse::<jiff::Timestamp>().is_ok()) {
        true => Ok(Value::DateTime(text)),
        false => Err(ParamKind::DateTime.misfit()),
    }
}

impl Allowed {
    /// Returns whether it is a range whose end comes before its start.
    #[must_use]
    pub fn is_empty_range(&self) -> bool {
        let Self::Range(first, last) = self else { return false };
        let ends = decoded(first.as_ref()).zip(decoded(last.as_ref()));
        ends.is_some_and(|(first, last)| less(&last, &first))
    }
}

fn decoded(bytes: Option<&Bytes>) -> Option<Value> {
    cbor::decode(bytes?).ok()
}

/// `1..10`, or `"fast", "full"`.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Range(first, last) => {
                let text = |bound: &Option<Bytes>| bound.as_ref().map(|bound| text(bound)).unwrap_or_default();
                write!(f, "{}..{}", text(first), text(last))
            }
            Self::OneOf(choices) => {
                let texts: Vec<_> = choices.iter().map(|choice| text(choice)).collect();
                f.write_str(&texts.join(", "))
            }
        }
    }
}

/// Returns whether a value is less than another of the same kind.
fn less(one: &Value, other: &Value) -> bool {
    order(one, other) == Some(Ordering::Less)
}

fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (Value::Date(one), Value::Date(other)) => Some(one.parse::<Date>().ok()?.cmp(&other.parse().ok()?)),
        _ => Some(integer(one)?.cmp(&integer(other)?)),
    }
}

fn integer(value: &Value) -> Option<BigInt> {
    match value {
        Value::Int(number) => Some((*number).into()),
        Value::BigInt(number) => Some(number.clone()),
        _ => None,
    }
}

/// Returns the JSON of an encoded value, for messages.
fn text(bytes: &[u8]) -> String {
    cbor::decode(bytes).map_or_else(|_| "?".into(), |value| write_json(&value))
}
