//! [`bind`]: a value for each parameter, and [`resolve`]: the values in the places of parameters.

use core::fmt;
use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::declaration::{Param, ParamDefault, TimeDefault};
use super::exact_json::write_json;
use crate::cbor;
use crate::plan::{Input, Node, Plan};
use crate::value::Value;

/// Bytes of the values of a plan's parameters at most, one copy for each use: as many as a plan may have.
const MAX_SUBSTITUTED: usize = 16 * 1024 * 1024;

/// The time of a run: when its schedule was due, otherwise when it was submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTime {
    /// The time.
    pub at: Timestamp,
    /// The zone that decides which date it is.
    pub zone: TimeZone,
}

impl RunTime {
    fn value(&self, default: TimeDefault) -> Value {
        let today = self.zone.to_datetime(self.at).date();
        match default {
            TimeDefault::Today => Value::Date(today.to_string()),
            TimeDefault::Yesterday => Value::Date(today.saturating_sub(1.day()).to_string()),
            TimeDefault::ScheduledAt => Value::DateTime(self.at.to_string()),
        }
    }
}

/// A value that a caller gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// The text on a command line: see [`ParamKind::read`](super::ParamKind::read).
    Text(String),
    /// A value, of JSON for example.
    Value(Value),
}

/// As a person typed it, or as JSON.
impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Value(value) => f.write_str(&write_json(value)),
        }
    }
}

impl Argument {
    fn value(self, param: &Param) -> Result<Value, String> {
        let value = match self {
            Self::Text(text) => param.kind.read(&text)?,
            Self::Value(value) => value,
        };
        param.check(value)
    }
}

/// A parameter without a usable value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError {
    /// The name of the parameter, or the name that is none.
    pub name: String,
    /// What is wrong.
    pub problem: ParamProblem,
}

/// What is wrong with the value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamProblem {
    /// No value was given, and there is no default.
    Missing,
    /// No parameter has this name.
    Unknown,
    /// The value does not fit; the end of a sentence that begins with the value.
    Unfit(String),
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.name, self.problem)
    }
}

impl fmt::Display for ParamProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it has no value, and no default"),
            Self::Unknown => f.write_str("the pipeline has no such parameter"),
            Self::Unfit(problem) => write!(f, "the value {problem}"),
        }
    }
}

/// Returns the plan with a value for each parameter, as its default: a plan that can be run. [`resolve`] puts the values in their
/// places.
///
/// # Errors
/// One [`ParamError`] for each parameter that is missing, unknown or does not fit: those of the parameters in their order, then
/// the unknown names.
pub fn bind(mut plan: Plan, mut given: BTreeMap<String, Argument>, time: &RunTime) -> Result<Plan, Vec<ParamError>> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for param in &plan.params {
        match value_of(param, given.remove(&param.name), time) {
            Ok(value) => values.push(value),
            Err(problem) => errors.push(ParamError { name: param.name.clone(), problem }),
        }
    }
    errors.extend(given.into_keys().map(|name| ParamError { name, problem: ParamProblem::Unknown }));
    if errors.is_empty() {
        errors = too_large(&plan, &values);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    for (param, value) in plan.params.iter_mut().zip(values) {
        param.default = Some(ParamDefault::Value(value));
    }
    Ok(plan)
}

/// Returns a plan that [`bind`] returned with the values in the places of its parameters, of which it has none any more.
///
/// # Errors
/// One [`ParamError`] for each parameter without a value, or for the largest one if they take too many bytes.
pub fn resolve(plan: Plan) -> Result<Plan, Vec<ParamError>> {
    let (mut values, mut errors) = (Vec::with_capacity(plan.params.len()), Vec::new());
    for Param { name, default, .. } in &plan.params {
        match default {
            Some(ParamDefault::Value(value)) => values.push(value.clone()),
            _ => errors.push(ParamError { name: name.clone(), problem: ParamProblem::Missing }),
        }
    }
    if errors.is_empty() {
        errors = too_large(&plan, &values);
    }
    if errors.is_empty() { Ok(substitute(plan, &values)) } else { Err(errors) }
}

/// Returns an error for the largest parameter if the values take too many bytes, one copy for each use.
fn too_large(plan: &Plan, values: &[Bytes]) -> Vec<ParamError> {
    let mut uses = vec![0_usize; values.len()];
    count_uses(&plan.nodes, &mut uses);
    let bytes = |(value, uses): (&Bytes, &usize)| value.len().saturating_mul(*uses);
    let all: Vec<usize> = values.iter().zip(&uses).map(bytes).collect();
    if all.iter().fold(0_usize, |sum, bytes| sum.saturating_add(*bytes)) <= MAX_SUBSTITUTED {
        return Vec::new();
    }
    let largest = all.iter().zip(&uses).zip(&plan.params).max_by_key(|((bytes, _), _)| **bytes);
    let error = |((bytes, uses), param): ((&usize, &usize), &Param)| {
        let limit = MAX_SUBSTITUTED / 1024 / 1024;
        let problem =
            format!("takes {bytes} bytes at its {uses} uses in the script; all values together have {limit} MiB");
        ParamError { name: param.name.clone(), problem: ParamProblem::Unfit(problem) }
    };
    largest.map(error).into_iter().collect()
}

fn count_uses(nodes: &[Node], uses: &mut [usize]) {
    for node in nodes {
        match node {
            Node::Job(job) => {
                for input in &job.inputs {
                    if let Input::Param(index) = input
                        && let Some(count) = uses.get_mut(index.get())
                    {
                        *count += 1;
                    }
                }
            }
            Node::ForEach(for_each) => count_uses(&for_each.body, uses),
            Node::Finally(finally) => count_uses(&finally.body, uses),
        }
    }
}

/// Returns the plan with these values, as CBOR, in the places of its parameters, of which it has none any more.
#[must_use]
pub fn substitute(mut plan: Plan, values: &[Bytes]) -> Plan {
    replace(&mut plan.nodes, values);
    plan.params.clear();
    plan
}

fn value_of(param: &Param, given: Option<Argument>, time: &RunTime) -> Result<Bytes, ParamProblem> {
    let value = match (given, &param.default) {
        (Some(argument), _) => argument.value(param).map_err(ParamProblem::Unfit)?,
        (None, Some(ParamDefault::Value(bytes))) => return Ok(bytes.clone()),
        (None, Some(ParamDefault::Time(default))) => param.check(time.value(*default)).map_err(ParamProblem::Unfit)?,
        (None, None) => return Err(ParamProblem::Missing),
    };
    // `check` has refused what is too large
    Ok(cbor::encode(&value).into())
}

/// A plan nests its loops at most 32 levels deep.
fn replace(nodes: &mut [Node], values: &[Bytes]) {
    for node in nodes {
        match node {
            Node::Job(job) => {
                for input in &mut job.inputs {
                    if let Input::Param(index) = input
                        && let Some(value) = values.get(index.get())
                    {
                        *input = Input::Literal(value.clone());
                    }
                }
            }
            Node::ForEach(for_each) => replace(&mut for_each.body, values),
            Node::Finally(finally) => replace(&mut finally.body, values),
        }
    }
}
