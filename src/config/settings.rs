//! The values of settings, by precedence: flag, environment, `.env`, `bue.toml`, default.
//!
//! `setting.rs` has the table of all settings. `.env` is read from the working directory, or from the file that `ENV_PATH`
//! names; it does not change this process's environment. Settings without effect cause warnings, see `unsupported.rs`.

use std::collections::HashMap;
use std::io;
use std::path::{self, Path, PathBuf};

use anyhow::Context;

use crate::config::setting::{AddressSetting, CACHE_DIR, Setting, all_settings};
use crate::config::unsupported;
use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// Tables of `bue.toml` whose keys are no settings.
const OTHER_TABLES: [&str; 2] = ["limits", "secrets"];

/// Everything that is set, by layer.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The environment, then `.env`.
    variables: [HashMap<String, String>; 2],
    file: toml::Table,
}

impl Settings {
    /// Reads the environment, `.env` and `bue.toml`, and prints a warning for each setting without effect. An empty variable
    /// counts as not set.
    pub(crate) fn load() -> Result<Self, CommandError> {
        let environment: HashMap<_, _> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let path = environment.get("ENV_PATH").map_or_else(|| PathBuf::from(".env"), PathBuf::from);
        let dotenv = read_dotenv(&path)?;
        let settings = Self { variables: [environment, dotenv], file: read_toml(Path::new("bue.toml"))? };
        let warnings = unsupported::warnings(|name| settings.variable(name), &settings.file);
        warnings.iter().for_each(|warning| eprint_line(&format!("bue: warning: {warning}")));
        Ok(settings)
    }

    /// Returns the value of a setting, or `None` if it is not set.
    pub(crate) fn text(&self, setting: Setting) -> Option<String> {
        self.variables.iter().find_map(|layer| first_set(layer, setting)).or_else(|| self.file_value(setting))
    }

    /// Returns the address that is set, or else loopback and the default port.
    pub(crate) fn address(&self, setting: AddressSetting) -> String {
        self.address_if_set(setting).unwrap_or_else(|| self.host_and_port(setting))
    }

    /// Returns the address, or `None` if neither it nor its host or port is set.
    pub(crate) fn address_if_set(&self, setting: AddressSetting) -> Option<String> {
        let from_variables = self.variables.iter().find_map(|layer| {
            let split = || layer.contains_key(setting.host) || layer.contains_key(setting.port);
            first_set(layer, setting.whole).or_else(|| split().then(|| self.host_and_port(setting)))
        });
        from_variables.or_else(|| self.file_value(setting.whole))
    }

    /// Returns whether a switch is on; it is off by default.
    pub(crate) fn switch(&self, setting: Setting) -> Result<bool, CommandError> {
        let Some(text) = self.text(setting) else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(CommandError::Usage(format!(
                "`{text}` is neither true nor false; set {} to one of these",
                setting.name()
            ))),
        }
    }

    /// Returns the folder for prepared sandboxes, packages and builds: `BUE_CACHE_DIR`, or else `bue` in the user's cache
    /// directory.
    pub(crate) fn cache_dir(&self) -> Result<PathBuf, CommandError> {
        let folder = self.text(CACHE_DIR).map(PathBuf::from);
        let folder = folder.or_else(|| dirs::cache_dir().map(|cache| cache.join("bue"))).ok_or_else(|| {
            CommandError::Usage("this user has no cache directory; set BUE_CACHE_DIR to a folder".to_owned())
        })?;
        // sandbox hosts have another working directory
        Ok(path::absolute(&folder).with_context(|| format!("failed to find the cache {}", folder.display()))?)
    }

    /// Returns the path of a flag, or else of a setting.
    pub(crate) fn path(&self, flag: Option<&PathBuf>, setting: Setting) -> Option<PathBuf> {
        flag.cloned().or_else(|| self.text(setting).map(PathBuf::from))
    }

    /// Iterates over the entries of a table in `bue.toml`.
    pub(crate) fn table(&self, name: &str) -> impl Iterator<Item = (&String, &toml::Value)> {
        self.file.get(name).and_then(toml::Value::as_table).into_iter().flatten()
    }

    /// Iterates over the tables inside a table of `bue.toml`, with their names.
    pub(crate) fn named_tables(&self, table: &str) -> impl Iterator<Item = (&String, &toml::Table)> {
        self.table(table).filter_map(|(name, value)| Some((name, value.as_table()?)))
    }

    /// Returns the variables whose names begin with `prefix`: the rest of the name, and the value.
    pub(crate) fn variables_with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        let stripped = |(name, value): (&String, &String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        // later entries replace earlier ones when collected into a map, so the layer that wins comes last
        self.variables.iter().rev().flatten().filter_map(stripped).collect()
    }

    fn host_and_port(&self, setting: AddressSetting) -> String {
        let host = self.variable(setting.host).unwrap_or("127.0.0.1");
        let port = self.variable(setting.port).unwrap_or(setting.default_port);
        format!("{host}:{port}")
    }

    /// Returns a variable of the environment or of `.env`.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find_map(|layer| layer.get(name)).map(String::as_str)
    }

    fn file_value(&self, setting: Setting) -> Option<String> {
        let (table, key) = setting.key;
        as_text(self.file.get(table)?.get(key)?)
    }
}

fn first_set(layer: &HashMap<String, String>, setting: Setting) -> Option<String> {
    setting.names.iter().find_map(|name| layer.get(*name)).cloned()
}

/// Formats a value as the environment would have it: a list is separated by commas.
fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(boolean) => Some(boolean.to_string()),
        toml::Value::Array(items) => Some(items.iter().filter_map(as_text).collect::<Vec<_>>().join(",")),
        _ => None,
    }
}

fn read_dotenv(path: &Path) -> Result<HashMap<String, String>, CommandError> {
    let lines = match dotenvy::from_path_iter(path) {
        Err(error) if error.not_found() => return Ok(HashMap::new()),
        lines => lines.with_context(|| format!("failed to read {}", path.display()))?,
    };
    let pairs: Result<HashMap<_, _>, _> = lines.collect();
    pairs.map_err(|error| {
        CommandError::Usage(format!("failed to parse {}: {}", path.display(), dotenv_error(path, &error)))
    })
}

/// Returns where the mistake is. The line itself is not printed: it may contain a secret.
fn dotenv_error(path: &Path, error: &dotenvy::Error) -> String {
    let dotenvy::Error::LineParse(wrong, index) = error else { return error.to_string() };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // a value in quotes that are not closed extends to the end of the file
    let first = wrong.lines().next().unwrap_or_default();
    let line = text
        .lines()
        .position(|line| line == first)
        .map_or_else(|| "a line".to_owned(), |at| format!("line {}", at + 1));
    format!(
        "{line}, from character {}: it should be NAME=VALUE, with quotes around a value that has blanks or a `#`",
        index + 1
    )
}

fn read_toml(path: &Path) -> Result<toml::Table, CommandError> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(toml::Table::new()),
        text => text.with_context(|| format!("failed to read {}", path.display()))?,
    };
    let file: toml::Table =
        text.parse().map_err(|error| CommandError::Usage(format!("failed to parse {}: {error}", path.display())))?;
    wrong_type(&file, &path.display().to_string()).map_or(Ok(file), |message| Err(CommandError::Usage(message)))
}

/// Returns what has the wrong type, and which one it must have. The value is not printed: it may be a secret.
fn wrong_type(file: &toml::Table, path: &str) -> Option<String> {
    let tables = all_settings().map(|setting| setting.key.0).chain(OTHER_TABLES);
    let mut tables = tables.filter_map(|name| Some((name, file.get(name)?)));
    if let Some((name, value)) = tables.find(|(_, value)| !value.is_table()) {
        return Some(format!("`{name}` in {path} is of type {}; it must be a table, `[{name}]`", value.type_str()));
    }
    let mut values = all_settings().filter_map(|setting| Some((setting, file.get(setting.key.0)?.get(setting.key.1)?)));
    let (setting, value) = values.find(|(setting, value)| !setting.value_type.accepts(value))?;
    let ((table, key), expected) = (setting.key, setting.value_type.description());
    Some(format!("`{table}.{key}` in {path} is of type {}; it must be {expected}", value.type_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::{HUB, REVERSE, SCOPES, SLOTS};

    fn layer(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn settings(environment: &[(&str, &str)], dotenv: &[(&str, &str)], file: &str) -> Settings {
        Settings { variables: [layer(environment), layer(dotenv)], file: file.parse().expect("TOML") }
    }

    #[test]
    fn the_environment_wins_over_dotenv_and_dotenv_over_the_file() {
        let file = "[worker]\nscopes = ['c', 'd']";
        let all = settings(&[("PIPE_WORKER_SCOPES", "a")], &[("BUE_SCOPES", "b")], file);
        assert_eq!(all.text(SCOPES).as_deref(), Some("a"));
        assert_eq!(settings(&[], &[("BUE_SCOPES", "b")], file).text(SCOPES).as_deref(), Some("b"));
        assert_eq!(settings(&[], &[], file).text(SCOPES).as_deref(), Some("c,d"));
        assert_eq!(settings(&[], &[], "").text(SCOPES), None);
    }

    #[test]
    fn an_address_is_set_in_one_variable_or_in_two() {
        assert_eq!(settings(&[], &[], "").address(HUB), "127.0.0.1:65432");
        assert_eq!(settings(&[("PIPE_WORKER_HOST", "h")], &[], "").address(HUB), "h:65432");
        assert_eq!(settings(&[("PIPE_WORKER_HOST", "h")], &[("PIPE_WORKER_PORT", "1")], "").address(HUB), "h:1");
        assert_eq!(settings(&[("BUE_HUB", "x:2"), ("PIPE_WORKER_HOST", "h")], &[], "").address(HUB), "x:2");
        assert_eq!(settings(&[], &[], "[client]\nhub = 'y:3'").address(HUB), "y:3");
        assert_eq!(settings(&[], &[], "").address_if_set(HUB), None);
    }

    #[test]
    fn a_number_or_boolean_in_the_file_equals_its_text() {
        let all = settings(&[], &[], "[worker]\nslots = 7\nreverse = true");
        assert_eq!(all.text(SLOTS).as_deref(), Some("7"));
        assert!(all.switch(REVERSE).expect("a switch"));
        assert!(!settings(&[("REVERSE_PRIORITY", "False")], &[], "").switch(REVERSE).expect("a switch"));
        assert!(settings(&[("REVERSE_PRIORITY", "yess")], &[], "").switch(REVERSE).is_err());
    }
}
