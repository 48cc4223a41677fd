//! The values of settings, by precedence: flag, environment, `.env`, `bue.toml`, the user's own `bue.toml`, default.
//!
//! `setting.rs` has the table of all settings. `.env` and `bue.toml` are read from the working directory, which may be somebody
//! else's: until the user trusts these files (`trust_store.rs`), only their harmless settings count (`withheld.rs`). `.env` does
//! not change this process's environment. Settings without effect cause warnings, see `unsupported.rs`.

use std::collections::{BTreeSet, HashMap};
use std::path::{self, Path, PathBuf};

use anyhow::Context;

use crate::config::setting::{AddressSetting, CACHE_DIR, Setting};
use crate::config::settings_file::{BUE_TOML, FolderFiles, SettingsFile};
use crate::config::trust_store::{Trust, TrustStore};
use crate::config::unsupported;
use crate::config::user_dirs::config_dir;
use crate::config::withheld::{
    Withheld, warning, withhold_cache_key, withhold_cache_variable, withhold_keys, withhold_variables,
};
use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// The variable that names another file than `.env`.
pub(crate) const ENV_PATH: &str = "ENV_PATH";

/// Everything that is set and counts, by layer.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The environment, then `.env`.
    variables: [Layer<HashMap<String, String>>; 2],
    /// `bue.toml` of the working directory, then the user's own.
    files: [Layer<toml::Table>; 2],
}

/// The settings of one source.
#[derive(Debug, Default)]
struct Layer<T> {
    origin: Origin,
    content: T,
}

/// Whose settings they are. A token is sent only to an address of the same origin, so that no folder can direct the user's token
/// to an address of its choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The environment, a file that it names by an absolute path, or the user's own `bue.toml`.
    #[default]
    User,
    /// `.env` and `bue.toml` of the working directory.
    WorkingDirectory,
}

/// Where a value is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) place: Place,
    /// The name of the variable, or `table.key`.
    pub(crate) name: String,
}

/// A place in which settings can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The environment.
    Environment,
    /// `.env`, or the file that `ENV_PATH` names.
    Dotenv,
    /// `bue.toml` of the working directory.
    Folder,
    /// The user's own `bue.toml`.
    User,
}

impl Settings {
    /// Reads the environment and all files. Prints a warning for each setting without effect, and one for all those of files
    /// that the user does not trust. An empty variable counts as not set.
    pub(crate) fn load() -> Result<Self, CommandError> {
        let environment: HashMap<_, _> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let env_path = environment.get(ENV_PATH).cloned();
        let user_file = user_file()?;
        let folder = working_directory(env_path.as_deref(), user_file.as_ref())?;
        let mut settings = Self {
            variables: [Layer::of_user(environment), dotenv_layer(env_path.as_deref(), folder.dotenv.as_ref())?],
            files: [Layer::of_folder(tables(folder.toml.as_ref())?), Layer::of_user(tables(user_file.as_ref())?)],
        };
        settings.warn_of_unsupported();
        let withheld = settings.withhold(&folder)?;
        warning(&withheld).iter().for_each(|warning| warn(warning));
        Ok(settings)
    }

    /// Removes what may not come from the files of the working directory.
    fn withhold(&mut self, folder: &FolderFiles) -> Result<Vec<Withheld>, CommandError> {
        let [_, dotenv] = &mut self.variables;
        let [toml, _] = &mut self.files;
        let mut withheld = Vec::new();
        if let Some(file) = &folder.dotenv {
            withhold_cache_variable(&mut dotenv.content).iter().for_each(|name| warn_of_cache(name, file));
            withheld.extend(withheld_from(file, || {
                withhold_variables(&mut dotenv.content, &file.variables_with_substitutions())
            })?);
        }
        if let Some(file) = &folder.toml {
            withhold_cache_key(&mut toml.content).iter().for_each(|name| warn_of_cache(name, file));
            withheld.extend(withheld_from(file, || withhold_keys(&mut toml.content))?);
        }
        Ok(withheld)
    }

    fn warn_of_unsupported(&self) {
        let files = self.files.iter().map(|layer| &layer.content);
        unsupported::warnings(|name| self.variable(name), files).iter().for_each(|warning| warn(warning));
    }

    /// Returns the value of a setting, or `None` if it is not set.
    pub(crate) fn text(&self, setting: Setting) -> Option<String> {
        self.text_from(setting, None)
    }

    /// Returns the value of a setting that is set in an origin; in any, if that is `None`.
    pub(crate) fn text_from(&self, setting: Setting, origin: Option<Origin>) -> Option<String> {
        let is_searched = |of: Origin| origin.is_none_or(|origin| origin == of);
        let mut variables = self.variables.iter().filter(|layer| is_searched(layer.origin));
        let mut files = self.files.iter().filter(|layer| is_searched(layer.origin));
        let from_variables = variables.find_map(|layer| first_set(&layer.content, setting));
        from_variables.or_else(|| files.find_map(|layer| file_value(&layer.content, setting)))
    }

    /// Returns where the value of a setting comes from: the name of a variable, or a key of `bue.toml`. `None` if it is not set.
    pub(crate) fn source(&self, setting: Setting) -> Option<Source> {
        self.source_of_variable(setting.names).or_else(|| {
            let (table, key) = setting.key;
            let places = [Place::Folder, Place::User].into_iter().zip(&self.files);
            let mut set = places.filter(|(_, layer)| file_value(&layer.content, setting).is_some());
            set.next().map(|(place, _)| Source { place, name: format!("{table}.{key}") })
        })
    }

    /// Returns where the first of these variables that is set comes from.
    pub(crate) fn source_of_variable(&self, names: &[&str]) -> Option<Source> {
        let places = [Place::Environment, Place::Dotenv].into_iter().zip(&self.variables);
        let mut set = places.filter_map(|(place, layer)| {
            let name = names.iter().find(|name| layer.content.contains_key(**name))?;
            Some(Source { place, name: (*name).to_owned() })
        });
        set.next()
    }

    /// Returns the address that is set, or else loopback and the default port.
    pub(crate) fn address(&self, setting: AddressSetting) -> String {
        self.address_if_set(setting).unwrap_or_else(|| self.host_and_port(setting).0)
    }

    /// Returns the address, or `None` if neither it nor its host or port is set.
    pub(crate) fn address_if_set(&self, setting: AddressSetting) -> Option<String> {
        self.find_address(setting).map(|(address, _)| address)
    }

    /// Returns the origin of the address, or `None` if neither it nor its host or port is set.
    pub(crate) fn address_origin(&self, setting: AddressSetting) -> Option<Origin> {
        self.find_address(setting).map(|(_, origin)| origin)
    }

    fn find_address(&self, setting: AddressSetting) -> Option<(String, Origin)> {
        let from_variables = self.variables.iter().find_map(|layer| {
            let split = || layer.content.contains_key(setting.host) || layer.content.contains_key(setting.port);
            let whole = first_set(&layer.content, setting.whole).map(|whole| (whole, layer.origin));
            whole.or_else(|| split().then(|| self.host_and_port(setting)))
        });
        let from_file = |layer: &Layer<toml::Table>| Some((file_value(&layer.content, setting.whole)?, layer.origin));
        from_variables.or_else(|| self.files.iter().find_map(from_file))
    }

    /// Returns the address from the variables of its host and its port. It is the working directory's if one of them is.
    fn host_and_port(&self, setting: AddressSetting) -> (String, Origin) {
        let host = self.variable_and_origin(setting.host);
        let port = self.variable_and_origin(setting.port);
        let is_of_folder = |found: Option<(&str, Origin)>| found.is_some_and(|(_, of)| of == Origin::WorkingDirectory);
        let origin = if is_of_folder(host) || is_of_folder(port) { Origin::WorkingDirectory } else { Origin::User };
        let host = host.map_or("127.0.0.1", |(host, _)| host);
        let port = port.map_or(setting.default_port, |(port, _)| port);
        (format!("{host}:{port}"), origin)
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

    /// Iterates over the entries of a table in both `bue.toml`. Later entries replace earlier ones of the same name.
    pub(crate) fn table(&self, name: &str) -> impl Iterator<Item = (&String, &toml::Value)> {
        let tables = self.files.iter().rev().filter_map(move |layer| layer.content.get(name)?.as_table());
        tables.flatten()
    }

    /// Iterates over the tables inside a table of `bue.toml`, with their names, as [`Self::table`] does.
    pub(crate) fn named_tables(&self, table: &str) -> impl Iterator<Item = (&String, &toml::Table)> {
        self.table(table).filter_map(|(name, value)| Some((name, value.as_table()?)))
    }

    /// Returns the variables whose names begin with `prefix`: the rest of the name, and the value.
    pub(crate) fn variables_with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        let stripped = |(name, value): (&String, &String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        // later entries replace earlier ones when collected into a map, so the layer that wins comes last
        self.variables.iter().rev().flat_map(|layer| &layer.content).filter_map(stripped).collect()
    }

    /// Returns a variable of the environment or of `.env`.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variable_and_origin(name).map(|(value, _)| value)
    }

    fn variable_and_origin(&self, name: &str) -> Option<(&str, Origin)> {
        self.variables.iter().find_map(|layer| Some((layer.content.get(name)?.as_str(), layer.origin)))
    }
}

impl<T> Layer<T> {
    const fn of_user(content: T) -> Self {
        Self { origin: Origin::User, content }
    }

    const fn of_folder(content: T) -> Self {
        Self { origin: Origin::WorkingDirectory, content }
    }
}

/// Reads the user's own `bue.toml`.
fn user_file() -> Result<Option<SettingsFile>, CommandError> {
    config_dir()?.map(|folder| SettingsFile::read(&folder.join(BUE_TOML))).transpose().map(Option::flatten)
}

/// Reads the files of the working directory. Where that is the folder of the user's own file, there is no other.
fn working_directory(env_path: Option<&str>, user_file: Option<&SettingsFile>) -> Result<FolderFiles, CommandError> {
    let FolderFiles { dotenv, toml } = FolderFiles::read(Path::new(""), env_path)?;
    let is_user_file = |file: &SettingsFile| user_file.is_some_and(|user| user.place == file.place);
    Ok(FolderFiles { dotenv, toml: toml.filter(|file| !is_user_file(file)) })
}

/// Returns the variables of `.env`, or of the file that the environment names by an absolute path.
fn dotenv_layer(
    env_path: Option<&str>,
    file: Option<&SettingsFile>,
) -> Result<Layer<HashMap<String, String>>, CommandError> {
    let variables = |file: Option<&SettingsFile>| file.map_or_else(|| Ok(HashMap::new()), SettingsFile::variables);
    match env_path.map(Path::new).filter(|path| path.is_absolute()) {
        Some(path) => Ok(Layer::of_user(variables(SettingsFile::read(path)?.as_ref())?)),
        None => Ok(Layer::of_folder(variables(file)?)),
    }
}

/// Returns what of a file does not count. `remove` removes it, unless the user trusts the file.
fn withheld_from(
    file: &SettingsFile,
    remove: impl FnOnce() -> BTreeSet<String>,
) -> Result<Option<Withheld>, CommandError> {
    match TrustStore::of_user()?.trust(&file.place, &file.content) {
        Trust::Trusted => Ok(None),
        trust => Ok(Withheld::new(&file.path, trust, remove())),
    }
}

fn tables(file: Option<&SettingsFile>) -> Result<toml::Table, CommandError> {
    file.map_or_else(|| Ok(toml::Table::new()), SettingsFile::tables)
}

fn warn(warning: &str) {
    eprint_line(&format!("bue: warning: {warning}"));
}

fn warn_of_cache(name: &str, file: &SettingsFile) {
    warn(&format!(
        "`{name}` in {} has no effect: the cache is never taken from the working directory; set BUE_CACHE_DIR in the \
         environment, or `[cache] dir` in your own bue.toml",
        file.path.display()
    ));
}

fn file_value(file: &toml::Table, setting: Setting) -> Option<String> {
    let (table, key) = setting.key;
    as_text(file.get(table)?.get(key)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::{HUB, REVERSE, SCOPES, SLOTS, TOKEN};

    fn layer(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn settings(environment: &[(&str, &str)], dotenv: &[(&str, &str)], file: &str) -> Settings {
        with_user_file(environment, dotenv, file, "")
    }

    fn with_user_file(environment: &[(&str, &str)], dotenv: &[(&str, &str)], file: &str, user: &str) -> Settings {
        let parse = |text: &str| text.parse().expect("TOML");
        Settings {
            variables: [Layer::of_user(layer(environment)), Layer::of_folder(layer(dotenv))],
            files: [Layer::of_folder(parse(file)), Layer::of_user(parse(user))],
        }
    }

    #[test]
    fn the_environment_wins_over_dotenv_and_dotenv_over_the_files() {
        let file = "[worker]\nscopes = ['c', 'd']";
        let all = settings(&[("PIPE_WORKER_SCOPES", "a")], &[("BUE_SCOPES", "b")], file);
        assert_eq!(all.text(SCOPES).as_deref(), Some("a"));
        assert_eq!(settings(&[], &[("BUE_SCOPES", "b")], file).text(SCOPES).as_deref(), Some("b"));
        assert_eq!(settings(&[], &[], file).text(SCOPES).as_deref(), Some("c,d"));
        assert_eq!(settings(&[], &[], "").text(SCOPES), None);
        let user = "[worker]\nscopes = 'e'\nslots = 7";
        assert_eq!(with_user_file(&[], &[], file, user).text(SCOPES).as_deref(), Some("c,d"));
        assert_eq!(with_user_file(&[], &[], file, user).text(SLOTS).as_deref(), Some("7"));
    }

    #[test]
    fn entries_of_the_working_directory_replace_those_of_the_user() {
        let all = with_user_file(&[], &[], "[limits]\na = 1", "[limits]\na = 2\nb = 3");
        let entries: Vec<_> = all.table("limits").map(|(name, value)| (name.as_str(), value.as_integer())).collect();
        assert_eq!(entries, [("a", Some(2)), ("b", Some(3)), ("a", Some(1))]);
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
    fn an_address_has_the_origin_of_its_parts() {
        let host = ("PIPE_WORKER_HOST", "h");
        let port = ("PIPE_WORKER_PORT", "1");
        for (settings, origin) in [
            (settings(&[], &[], ""), None),
            (settings(&[host, port], &[], ""), Some(Origin::User)),
            (settings(&[host], &[port], ""), Some(Origin::WorkingDirectory)),
            (settings(&[], &[("BUE_HUB", "x:2")], ""), Some(Origin::WorkingDirectory)),
            (settings(&[("BUE_HUB", "x:2")], &[host], ""), Some(Origin::User)),
            (settings(&[], &[], "[client]\nhub = 'y:3'"), Some(Origin::WorkingDirectory)),
            (with_user_file(&[], &[], "", "[client]\nhub = 'y:3'"), Some(Origin::User)),
        ] {
            assert_eq!(settings.address_origin(HUB), origin, "{settings:?}");
        }
        let both = settings(&[("BUE_TOKEN", "a")], &[("BUE_TOKEN", "b")], "");
        assert_eq!(both.text_from(TOKEN, Some(Origin::User)).as_deref(), Some("a"));
        assert_eq!(both.text_from(TOKEN, Some(Origin::WorkingDirectory)).as_deref(), Some("b"));
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
