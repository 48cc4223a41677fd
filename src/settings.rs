//! What is set where: flag, else environment, else `.env`, else `bue.toml`, else a default.
//!
//! Each setting has a name of ours and, where the systems before bue had one, theirs too. `.env` is read from the working
//! directory, or from the file that `ENV_PATH` names; it never changes this process's environment.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::stop::Stop;

/// A setting that is one text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Names in the environment and in `.env`, the first one wins.
    pub(crate) names: &'static [&'static str],
    /// Table and key in `bue.toml`.
    pub(crate) key: (&'static str, &'static str),
}

/// A setting that is an address, in one variable or in two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressSetting {
    /// Whole: `HOST:PORT`.
    pub(crate) whole: Setting,
    /// Variable of the host alone.
    pub(crate) host: &'static str,
    /// Variable of the port alone.
    pub(crate) port: &'static str,
    /// Port where nothing is set.
    pub(crate) default_port: &'static str,
}

/// Where the hub listens.
pub(crate) const HUB_LISTEN: AddressSetting = AddressSetting {
    whole: Setting { names: &["BUE_HUB_LISTEN"], key: ("hub", "listen") },
    host: "PIPELINE_HOST",
    port: "PIPELINE_PORT",
    default_port: "65432",
};
/// Where the bucket listens.
pub(crate) const BUCKET_LISTEN: AddressSetting = AddressSetting {
    whole: Setting { names: &["BUE_BUCKET_LISTEN"], key: ("bucket", "listen") },
    host: "BUCKET_SERVER_HOST",
    port: "BUCKET_SERVER_PORT",
    default_port: "61535",
};
/// Where clients and workers find the hub.
pub(crate) const HUB: AddressSetting = AddressSetting {
    whole: Setting { names: &["BUE_HUB"], key: ("client", "hub") },
    host: "PIPE_WORKER_HOST",
    port: "PIPE_WORKER_PORT",
    default_port: "65432",
};
/// Where clients and workers find the bucket.
pub(crate) const BUCKET: AddressSetting = AddressSetting {
    whole: Setting { names: &["BUE_BUCKET"], key: ("client", "bucket") },
    host: "BUCKET_CLIENT_HOST",
    port: "BUCKET_CLIENT_PORT",
    default_port: "61535",
};
/// The database of SQL steps.
pub(crate) const POSTGRES: AddressSetting = AddressSetting {
    whole: Setting { names: &[], key: ("postgres", "address") },
    host: "POSTGRES_HOST",
    port: "POSTGRES_PORT",
    default_port: "5432",
};
/// Scopes a worker serves, in order.
pub(crate) const SCOPES: Setting = Setting { names: &["BUE_SCOPES", "PIPE_WORKER_SCOPES"], key: ("worker", "scopes") };
/// Last scope and lowest priority first.
pub(crate) const REVERSE: Setting = Setting { names: &["BUE_REVERSE", "REVERSE_PRIORITY"], key: ("worker", "reverse") };
/// Jobs a worker runs at a time.
pub(crate) const SLOTS: Setting = Setting { names: &["BUE_SLOTS", "N_WORKER_PROCESSES"], key: ("worker", "slots") };
/// The hub's database.
pub(crate) const HUB_STORE: Setting = Setting { names: &["BUE_HUB_STORE"], key: ("hub", "store") };
/// The bucket's folder.
pub(crate) const BUCKET_STORE: Setting = Setting { names: &["BUE_BUCKET_STORE"], key: ("bucket", "store") };
/// Where the prepared sandbox is kept.
pub(crate) const CACHE_DIR: Setting = Setting { names: &["BUE_CACHE_DIR"], key: ("cache", "dir") };

/// Hosts that steps may speak to.
pub(crate) const ALLOW_NET: Setting = Setting { names: &["BUE_ALLOW_NET"], key: ("allow", "net") };
/// Certificates that are trusted beside those of the machine.
pub(crate) const CA_FILE: Setting = Setting { names: &["BUE_CA_FILE"], key: ("worker", "ca_file") };
/// What stands before a secret's name in the environment.
pub(crate) const SECRET_PREFIX: &str = "BUE_SECRET_";

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
        Ok(Self { variables: [environment, dotenv], file: read_toml(Path::new("bue.toml"))? })
    }

    /// What is set, or `None`.
    pub(crate) fn text(&self, setting: Setting) -> Option<String> {
        self.variables.iter().find_map(|layer| named(layer, setting)).or_else(|| self.in_file(setting))
    }

    /// The address that is set, or this machine and the default port.
    pub(crate) fn address(&self, setting: AddressSetting) -> String {
        let in_variables = self.variables.iter().find_map(|layer| {
            let split = || layer.contains_key(setting.host) || layer.contains_key(setting.port);
            named(layer, setting.whole).or_else(|| split().then(|| self.joined(setting)))
        });
        in_variables.or_else(|| self.in_file(setting.whole)).unwrap_or_else(|| self.joined(setting))
    }

    /// Whether a switch is on: `true`, `1`, `yes` or `on`.
    pub(crate) fn switch(&self, setting: Setting) -> bool {
        self.text(setting).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"))
    }

    /// Where prepared sandboxes are kept: `BUE_CACHE_DIR`, else the user's cache directory.
    pub(crate) fn cache_dir(&self) -> Result<PathBuf, Stop> {
        let set = self.text(CACHE_DIR).map(PathBuf::from);
        let found = set.or_else(|| dirs::cache_dir().map(|cache| cache.join("bue")));
        found.ok_or_else(|| Stop::Usage("this user has no cache directory; set BUE_CACHE_DIR to a folder".to_owned()))
    }

    /// A variable by whatever name.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find_map(|layer| layer.get(name)).cloned()
    }

    /// Variables whose names begin so: what stands behind that, and their values.
    pub(crate) fn variables_after(&self, prefix: &str) -> Vec<(String, String)> {
        let named = |(name, value): (&String, &String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        // later ones replace earlier ones, so the nearest layer comes last
        self.variables.iter().rev().flatten().filter_map(named).collect()
    }

    /// The entries of a table in `bue.toml`.
    pub(crate) fn table(&self, name: &str) -> impl Iterator<Item = (&String, &toml::Value)> {
        self.file.get(name).and_then(toml::Value::as_table).into_iter().flatten()
    }

    fn joined(&self, setting: AddressSetting) -> String {
        let variable = |name| self.variables.iter().find_map(|layer| layer.get(name));
        let host = variable(setting.host).map_or("127.0.0.1", String::as_str);
        let port = variable(setting.port).map_or(setting.default_port, String::as_str);
        format!("{host}:{port}")
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
    }

    #[test]
    fn a_number_and_a_truth_are_texts_too() {
        let all = settings(&[], &[], "[worker]\nslots = 7\nreverse = true");
        assert_eq!(all.text(SLOTS).as_deref(), Some("7"));
        assert!(all.switch(REVERSE));
    }
}
