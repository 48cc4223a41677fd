//! `--param` and `--params`: values for the parameters of a script.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use bue_model::Value;
use bue_model::param::{Argument, ParamKind, ParamView, read_json};
use bue_model::pipeline::PipelineView;
use clap::Args;

use crate::process::command_error::CommandError;
use crate::process::output::program_failed;

/// Most bytes of a file with parameters.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Flags that give parameters values.
#[derive(Debug, Default, Args)]
pub(crate) struct ParamFlags {
    /// Give a parameter of the script a value: texts and dates as they are, everything else as JSON. Can be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Give parameters values from a JSON object, or from a file with one; --param overrides it
    #[arg(long, value_name = "JSON|@FILE")]
    params: Option<String>,
}

impl ParamFlags {
    /// Returns what was given for each name.
    pub(crate) fn arguments(&self) -> Result<BTreeMap<String, Argument>, CommandError> {
        let mut arguments = match &self.params {
            Some(params) => object(params)?,
            None => BTreeMap::new(),
        };
        let typed = names_and_values(&self.param, "--param ")?;
        arguments.extend(typed.into_iter().map(|(name, value)| (name.to_owned(), Argument::Text(value.to_owned()))));
        Ok(arguments)
    }
}

/// Reads `NAME=VALUE` arguments, each of which follows `flag` on the command line.
pub(crate) fn names_and_values<'a>(
    arguments: &'a [String],
    flag: &str,
) -> Result<BTreeMap<&'a str, &'a str>, CommandError> {
    let mut all = BTreeMap::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => (name.trim(), value),
            _ => {
                let problem = format!("`{flag}{argument}` has no name and value; type {flag}NAME=VALUE");
                return Err(CommandError::Usage(problem));
            }
        };
        if all.insert(name, value).is_some() {
            return Err(CommandError::Usage(format!("{flag}{name} is given twice; remove one of them")));
        }
    }
    Ok(all)
}

/// Returns the values that `NAME=VALUE` arguments give to the parameters of a pipeline.
pub(crate) fn typed_params(arguments: &[String], pipeline: &PipelineView) -> Result<Value, CommandError> {
    let given = names_and_values(arguments, "")?;
    let given = given.into_iter().map(|(name, text)| (name.to_owned(), Argument::Text(text.to_owned())));
    typed_values(given.collect(), &pipeline.params)
}

/// Returns the values that arguments give to these parameters.
pub(crate) fn typed_values(given: BTreeMap<String, Argument>, params: &[ParamView]) -> Result<Value, CommandError> {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for (name, argument) in given {
        let text = match argument {
            Argument::Text(text) => text,
            Argument::Value(value) => {
                values.push((Value::Text(name), value));
                continue;
            }
        };
        let kind = params.iter().find(|param| param.name == name).map(|param| param.kind.as_str());
        // the hub says so if there is no such parameter
        let kind = kind.and_then(ParamKind::from_name).unwrap_or(ParamKind::Text);
        match kind.read(&text) {
            Ok(value) => values.push((Value::Text(name), value)),
            Err(problem) => problems.push(format!("the value `{text}` of the parameter `{name}` {problem}")),
        }
    }
    match problems.is_empty() {
        true => Ok(Value::Map(values)),
        false => Err(program_failed(&problems.join("\nerror: "))),
    }
}

/// Returns the values of a file with one JSON object on each line.
pub(crate) fn lines_of(argument: &str) -> Result<Vec<Value>, CommandError> {
    let Some(path) = argument.strip_prefix('@') else {
        return Err(CommandError::Usage(format!("`--params {argument}` names no file; type --params @FILE.jsonl")));
    };
    let text = read_file(path)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            read_json(line)
                .map_err(|error| usage(&format!("line {number} of {path}"), &format!("is not JSON: {error}")))
        })
        .collect()
}

fn object(params: &str) -> Result<BTreeMap<String, Argument>, CommandError> {
    let (text, what) = match params.strip_prefix('@') {
        Some(path) => (read_file(path)?, path),
        None => (params.to_owned(), "--params"),
    };
    match read_json(&text) {
        Ok(Value::Map(entries)) => Ok(entries
            .into_iter()
            .filter_map(|(key, value)| match key {
                Value::Text(name) => Some((name, Argument::Value(value))),
                _ => None,
            })
            .collect()),
        Ok(other) => Err(usage(what, &format!("is {}, not a JSON object", other.kind()))),
        Err(error) => Err(usage(what, &format!("is not JSON: {error}"))),
    }
}

fn usage(what: &str, problem: &str) -> CommandError {
    CommandError::Usage(format!("{what} {problem}; for example {{\"day\": \"2026-11-01\", \"depth\": 3}}"))
}

fn read_file(path: &str) -> Result<String, CommandError> {
    let failed = |problem: String| CommandError::Usage(format!("failed to read the parameters in {path}: {problem}"));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(format!("it is larger than {} MiB", MAX_FILE_BYTES / (1024 * 1024))));
    }
    Ok(text)
}
