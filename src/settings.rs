//! What is set where: flag, else environment, else `.env`, else `bue.toml`, else a default.
//!
//! `setting.rs` has the table of all settings. `.env` is read from the working directory, or from the file that `ENV_PATH`
//! names; it never changes this process's environment. What is set and means nothing here is said, see `unsupported.rs`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::setting::{AddressSetting, CACHE_DIR, Setting};
use crate::stop::Stop;
use crate::talk::say;
use crate::unsupported;

/// Everything that is set, layer by layer.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Environment first, then `.env`.
    variables: [HashMap<String, String>; 2],
    file: toml::Table,
}

impl Settings {
    /// Reads the environment, `.env` and `bue.toml`.
    pub(crate) fn load() -> Result<Self, Stop> {
        let environment: HashMap<_, _> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let path = environment.get("ENV_PATH").map_or_else(|| PathBuf::from(".env"), PathBuf::from);
        let dotenv = read_dotenv(&path)?;
        let settings = Self { variables: [environment, dotenv], file: read_toml(Path::new("bue.toml"))? };
        let complaints = unsupported::complaints(|name| settings.variable(name), &settings.file);
        complaints.iter().for_each(|complaint| say(&format!("bue: warning: {complaint}")));
        Ok(settings)
    }

    /// What is set, or `None`.
    pub(crate) fn text(&self, setting: Setting) -> Option<String> {
        self.variables.iter().find_map(|layer| named(layer, setting)).or_else(|| self.in_file(setting))
    }

    /// The address that is set, or this machine and the default port.
    pub(crate) fn address(&self, setting: AddressSetting) -> String {
        self.address_if_set(setting).unwrap_or_else(|| self.joined(setting))
    }

    /// The address that is set; `None` where nothing says it.
    pub(crate) fn address_if_set(&self, setting: AddressSetting) -> Option<String> {
        let in_variables = self.variables.iter().find_map(|layer| {
            let split = || layer.contains_key(setting.host) || layer.contains_key(setting.port);
            named(layer, setting.whole).or_else(|| split().then(|| self.joined(setting)))
        });
        in_variables.or_else(|| self.in_file(setting.whole))
    }

    /// Whether a switch is on.
    pub(crate) fn switch(&self, setting: Setting) -> Result<bool, Stop> {
        let Some(text) = self.text(setting) else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Stop::Usage(format!("`{text}` is neither true nor false; set {} to one of them", setting.name()))),
        }
    }

    /// Where prepared sandboxes are kept: `BUE_CACHE_DIR`, else the user's cache directory.
    pub(crate) fn cache_dir(&self) -> Result<PathBuf, Stop> {
        let set = self.text(CACHE_DIR).map(PathBuf::from);
        let found = set.or_else(|| dirs::cache_dir().map(|cache| cache.join("bue")));
        found.ok_or_else(|| Stop::Usage("this user has no cache directory; set BUE_CACHE_DIR to a folder".to_owned()))
    }

    /// The entries of a table in `bue.toml`.
    pub(crate) fn table(&self, name: &str) -> impl Iterator<Item = (&String, &toml::Value)> {
        self.file.get(name).and_then(toml::Value::as_table).into_iter().flatten()
    }

    /// The tables inside a table of `bue.toml`, with their names.
    pub(crate) fn named_tables(&self, table: &str) -> impl Iterator<Item = (&String, &toml::Table)> {
        self.table(table).filter_map(|(name, value)| Some((name, value.as_table()?)))
    }

    /// Variables whose names begin so: what stands behind that, and their values.
    pub(crate) fn variables_after(&self, prefix: &str) -> Vec<(String, String)> {
        let named = |(name, value): (&String, &String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        // later ones replace earlier ones, so the nearest layer comes last
        self.variables.iter().rev().flatten().filter_map(named).collect()
    }

    fn joined(&self, setting: AddressSetting) -> String {
        let host = self.variable(setting.host).unwrap_or("127.0.0.1");
        let port = self.variable(setting.port).unwrap_or(setting.default_port);
        format!("{host}:{port}")
    }

    /// A variable of the environment or of `.env`.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find_map(|layer| layer.get(name)).map(String::as_str)
    }

    fn in_file(&self, setting: Setting) -> Option<String> {
        let (table, key) = setting.key;
        as_text(self.file.get(table)?.get(key)?)
    }
}

fn named(layer: &HashMap<String, String>, setting: Setting) -> Option<String> {
    setting.names.iter().find_map(|name| layer.get(*name)).cloned()
}

/// Lists are written with commas, as in the environment.
fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => Some(items.iter().filter_map(as_text).collect::<Vec<_>>().join(",")),
        _ => None,
    }
}

fn read_dotenv(path: &Path) -> Result<HashMap<String, String>, Stop> {
    let lines = match dotenvy::from_path_iter(path) {
        Err(error) if error.not_found() => return Ok(HashMap::new()),
        lines => lines.with_context(|| format!("failed to read {}", path.display()))?,
    };
    let pairs: Result<HashMap<_, _>, _> = lines.collect();
    pairs.map_err(|error| Stop::Usage(format!("{} is not understood: {error}", path.display())))
}

fn read_toml(path: &Path) -> Result<toml::Table, Stop> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(toml::Table::new()),
        text => text.with_context(|| format!("failed to read {}", path.display()))?,
    };
    text.parse().map_err(|error| Stop::Usage(format!("{} is not understood: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::{HUB, REVERSE, SCOPES, SLOTS};

    fn layer(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn settings(environment: &[(&str, &str)], dotenv: &[(&str, &str)], file: &str) -> Settings {
        Settings { variables: [layer(environment), layer(dotenv)], file: file.parse().expect("TOML") }
    }

    #[test]
    fn the_nearest_layer_wins() {
        let file = "[worker]\nscopes = ['c', 'd']";
        let all = settings(&[("PIPE_WORKER_SCOPES", "a")], &[("BUE_SCOPES", "b")], file);
        assert_eq!(all.text(SCOPES).as_deref(), Some("a"));
        assert_eq!(settings(&[], &[("BUE_SCOPES", "b")], file).text(SCOPES).as_deref(), Some("b"));
        assert_eq!(settings(&[], &[], file).text(SCOPES).as_deref(), Some("c,d"));
        assert_eq!(settings(&[], &[], "").text(SCOPES), None);
    }

    #[test]
    fn an_address_stands_in_one_variable_or_in_two() {
        assert_eq!(settings(&[], &[], "").address(HUB), "127.0.0.1:65432");
        assert_eq!(settings(&[("PIPE_WORKER_HOST", "h")], &[], "").address(HUB), "h:65432");
        assert_eq!(settings(&[("PIPE_WORKER_HOST", "h")], &[("PIPE_WORKER_PORT", "1")], "").address(HUB), "h:1");
        assert_eq!(settings(&[("BUE_HUB", "x:2"), ("PIPE_WORKER_HOST", "h")], &[], "").address(HUB), "x:2");
        assert_eq!(settings(&[], &[], "[client]\nhub = 'y:3'").address(HUB), "y:3");
        assert_eq!(settings(&[], &[], "").address_if_set(HUB), None);
    }

    #[test]
    fn a_number_and_a_truth_are_texts_too() {
        let all = settings(&[], &[], "[worker]\nslots = 7\nreverse = true");
        assert_eq!(all.text(SLOTS).as_deref(), Some("7"));
        assert!(all.switch(REVERSE).expect("a switch"));
        assert!(!settings(&[("REVERSE_PRIORITY", "False")], &[], "").switch(REVERSE).expect("a switch"));
        assert!(settings(&[("REVERSE_PRIORITY", "yess")], &[], "").switch(REVERSE).is_err());
    }
}
