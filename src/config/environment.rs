//! Environment variables that this machine has for steps: `[env]` in `bue.toml`, variables `BUE_ENV_NAME`, and `--env`.

use std::collections::BTreeMap;

use bue_worker::{Environment, Variable};
use serde::Deserialize;
use toml::Value;

use crate::config::setting::VARIABLE_PREFIX;
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// Longest name in bytes: as long as one that a script can request.
const MAX_NAME: usize = 255;
/// Longest value in bytes. A longer text is data, and belongs in an input or in the bucket.
const MAX_VALUE: usize = 32 * 1024;
/// Most variables of a worker.
const MAX_VARIABLES: usize = 1000;

/// A variable in `bue.toml`: a text, or a table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    /// Its value, unless the environment or a flag has it.
    value: Option<String>,
    /// The scopes whose steps may have it; if empty, all.
    scopes: Vec<String>,
}

/// Reads the variables. `flags` are texts `NAME=VALUE`, which win over the environment; that wins over files.
///
/// # Errors
/// A name or a value that is invalid or too long, or an entry without a value. The message contains no value.
pub(crate) fn read_environment(settings: &Settings, flags: &[String]) -> Result<Environment, CommandError> {
    let mut entries = BTreeMap::new();
    for (name, value) in settings.table("env") {
        entries.insert(name.clone(), entry(name, value)?);
    }
    let set = |entries: &mut BTreeMap<String, Entry>, name: String, value| {
        entries.entry(name).or_default().value = Some(value);
    };
    for (name, value) in settings.variables_with_prefix(VARIABLE_PREFIX) {
        set(&mut entries, name, value);
    }
    for flag in flags {
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| CommandError::Usage(format!("`--env {flag}` has no value; write --env {flag}=VALUE")))?;
        set(&mut entries, name.to_owned(), value.to_owned());
    }
    if entries.len() > MAX_VARIABLES {
        let count = entries.len();
        return Err(CommandError::Usage(format!("{count} variables are set for steps; the limit is {MAX_VARIABLES}")));
    }
    let variables: Result<_, _> = entries.into_iter().map(|(name, entry)| checked(name, entry)).collect();
    Ok(Environment(variables?))
}

fn entry(name: &str, value: &Value) -> Result<Entry, CommandError> {
    match value {
        Value::String(text) => Ok(Entry { value: Some(text.clone()), ..Entry::default() }),
        Value::Table(table) => table.clone().try_into().map_err(|error| invalid(name, &error.to_string())),
        _ => Err(invalid(name, "it is neither a text nor a table with `value` and `scopes`")),
    }
}

fn checked(name: String, entry: Entry) -> Result<(String, Variable), CommandError> {
    if !is_name(&name) {
        return Err(invalid(&name, "a name is made of letters, digits and `_`, and does not begin with a digit"));
    }
    let Some(value) = entry.value else {
        return Err(invalid(
            &name,
            "it has no value; add `value` to its entry, or set the variable of the environment",
        ));
    };
    if value.contains('\0') {
        return Err(invalid(&name, "its value contains a NUL byte"));
    }
    if value.len() > MAX_VALUE {
        return Err(invalid(&name, "its value is longer than 32 KiB"));
    }
    Ok((name, Variable { value, scopes: entry.scopes }))
}

fn is_name(text: &str) -> bool {
    let has_letters = text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    has_letters && !text.is_empty() && text.len() <= MAX_NAME && !text.starts_with(|first: char| first.is_ascii_digit())
}

fn invalid(name: &str, problem: &str) -> CommandError {
    let shown: String = name.chars().take(MAX_NAME).collect();
    CommandError::Usage(format!(
        "the variable {shown} for steps (`[env]` in bue.toml, {VARIABLE_PREFIX}{shown}, --env) is invalid: {problem}"
    ))
}
