//! Secrets of this machine that its steps may use: `[secrets]` in `bue.toml`, and variables `BUE_SECRET_NAME`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bue_runtime::Secret;
use serde::Deserialize;

use crate::config::net_rules::parse_rule;
use crate::config::setting::SECRET_PREFIX;
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// A secret in `bue.toml`: where its value is, and how it may be used.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SecretEntry {
    /// The variable that has the value.
    env: Option<String>,
    /// The file that has the value; one line break at its end is not part of it.
    file: Option<PathBuf>,
    /// Rules for the hosts that the secret may be sent to; if empty, those that the worker's own rules name.
    hosts: Vec<String>,
    /// The scopes whose steps may use it; if empty, all.
    scopes: Vec<String>,
    /// Steps may read the value with `bue.secret`.
    readable: bool,
    /// It may be sent over plain HTTP.
    insecure: bool,
}

/// Reads all secrets by name.
///
/// # Errors
/// An entry that is invalid or has no value. The message never contains a secret.
pub(crate) fn read_secrets(settings: &Settings) -> Result<BTreeMap<String, Secret>, CommandError> {
    let mut secrets = BTreeMap::new();
    for (name, value) in settings.variables_with_prefix(SECRET_PREFIX) {
        secrets.insert(name, Secret { value, ..Secret::default() });
    }
    for (name, entry) in settings.table("secrets") {
        let entry = entry.clone().try_into();
        let entry: SecretEntry =
            entry.map_err(|error| CommandError::Usage(format!("invalid `[secrets] {name}` in bue.toml: {error}")))?;
        let hosts = entry.hosts.iter().map(|text| parse_rule(text)).collect::<Result<_, _>>()?;
        let own_value = read_value(name, &entry, settings)?;
        let value = own_value.or_else(|| secrets.remove(name).map(|secret| secret.value));
        let value = value.ok_or_else(|| no_value(name))?;
        let SecretEntry { scopes, readable, insecure, .. } = entry;
        secrets.insert(name.clone(), Secret { value, hosts, scopes, readable, insecure });
    }
    Ok(secrets)
}

/// Reads the value from the source that the entry names; `None` if it names none.
fn read_value(name: &str, entry: &SecretEntry, settings: &Settings) -> Result<Option<String>, CommandError> {
    match (&entry.env, &entry.file) {
        (Some(variable), None) => {
            settings.variable(variable).map(|value| Some(value.to_owned())).ok_or_else(|| no_value(name))
        }
        (None, Some(path)) => read_file(name, path).map(Some),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(CommandError::Usage(format!(
            "the secret {name} in bue.toml has both `env` and `file`; keep one of them"
        ))),
    }
}

fn read_file(name: &str, path: &Path) -> Result<String, CommandError> {
    let text = fs::read_to_string(path).map_err(|error| {
        CommandError::Usage(format!("failed to read the secret {name} from {}: {error}", path.display()))
    })?;
    let value = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(value.unwrap_or(&text).to_owned())
}

fn no_value(name: &str) -> CommandError {
    CommandError::Usage(format!(
        "the secret {name} in bue.toml has no value; set {SECRET_PREFIX}{name}, or add `env` or `file` to its entry"
    ))
}
