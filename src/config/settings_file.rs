//! The files with settings: `.env` and `bue.toml`. Each is read once, so that what is parsed is what was checked.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{self, Path, PathBuf};

use anyhow::Context;
use bue_hub::read_regular_file;

use crate::config::setting::all_settings;
use crate::process::command_error::CommandError;

/// The file of variables, if `ENV_PATH` names no other.
const DOTENV: &str = ".env";
/// The file of tables.
pub(crate) const BUE_TOML: &str = "bue.toml";

/// Bytes of a file at most: a folder of somebody else may have a link to a file without end.
const MAX_BYTES: u64 = 1 << 20;

/// Tables of `bue.toml` whose keys are no settings.
const OTHER_TABLES: [&str; 2] = ["limits", "secrets"];

/// A file with settings that exists.
#[derive(Clone, Debug)]
pub(crate) struct SettingsFile {
    /// The path that messages show.
    pub(crate) path: PathBuf,
    /// The absolute path, without symbolic links in its folder.
    pub(crate) place: PathBuf,
    pub(crate) content: Vec<u8>,
}

/// The files of a folder.
#[derive(Clone, Debug)]
pub(crate) struct FolderFiles {
    pub(crate) dotenv: Option<SettingsFile>,
    pub(crate) toml: Option<SettingsFile>,
}

/// Returns the path of the file of variables in a folder. An absolute `ENV_PATH` names one that is not in the folder.
pub(crate) fn dotenv_path(folder: &Path, env_path: Option<&str>) -> PathBuf {
    folder.join(env_path.unwrap_or(DOTENV))
}

impl FolderFiles {
    /// Reads the files of a folder. If an absolute `ENV_PATH` names a file of variables elsewhere, the folder has none.
    pub(crate) fn read(folder: &Path, env_path: Option<&str>) -> Result<Self, CommandError> {
        let is_elsewhere = env_path.is_some_and(|path| Path::new(path).is_absolute());
        let dotenv = if is_elsewhere { None } else { SettingsFile::read(&dotenv_path(folder, env_path))? };
        Ok(Self { dotenv, toml: SettingsFile::read(&folder.join(BUE_TOML))? })
    }
}

impl SettingsFile {
    /// Reads a file; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, CommandError> {
        let content = match read_bounded(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            content => content.with_context(|| format!("failed to read {}", path.display()))?,
        };
        Ok(Some(Self { path: path.to_owned(), place: place(path)?, content }))
    }

    /// Parses `NAME=VALUE` lines.
    pub(crate) fn variables(&self) -> Result<HashMap<String, String>, CommandError> {
        let pairs: Result<HashMap<_, _>, _> = dotenvy::from_read_iter(self.content.as_slice()).collect();
        pairs.map_err(|error| {
            let path = self.path.display();
            CommandError::Usage(format!("failed to parse {path}: {}", dotenv_error(&self.content, &error)))
        })
    }

    /// Returns the names of the variables whose values contain a `$`: other variables are inserted into them.
    pub(crate) fn variables_with_substitutions(&self) -> BTreeSet<String> {
        const MARK: u8 = 1;
        let marked: Vec<u8> = self.content.iter().map(|byte| if *byte == b'$' { MARK } else { *byte }).collect();
        let pairs = dotenvy::from_read_iter(marked.as_slice()).flatten();
        pairs.filter(|(_, value)| value.as_bytes().contains(&MARK)).map(|(name, _)| name).collect()
    }

    /// Parses tables, and checks the types of all settings in them.
    pub(crate) fn tables(&self) -> Result<toml::Table, CommandError> {
        let path = self.path.display();
        let failed = |error: String| CommandError::Usage(format!("failed to parse {path}: {error}"));
        let text = str::from_utf8(&self.content).map_err(|error| failed(error.to_string()))?;
        let tables: toml::Table = text.parse().map_err(|error: toml::de::Error| failed(error.to_string()))?;
        wrong_type(&tables, &path.to_string()).map_or(Ok(tables), |message| Err(CommandError::Usage(message)))
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    read_regular_file(path, MAX_BYTES).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            io::Error::other(format!("it is larger than {MAX_BYTES} bytes, the most that settings may have"))
        }
        _ => error,
    })
}

/// Returns the absolute path of a file, with the symbolic links in its folder resolved as far as they exist.
pub(crate) fn place(path: &Path) -> Result<PathBuf, CommandError> {
    let path = path::absolute(path).with_context(|| format!("failed to find {}", path.display()))?;
    let parts = path.parent().and_then(|folder| folder.canonicalize().ok()).zip(path.file_name());
    Ok(parts.map(|(folder, name)| folder.join(name)).unwrap_or(path))
}

/// Returns where the mistake is. The line itself is not printed: it may contain a secret.
fn dotenv_error(content: &[u8], error: &dotenvy::Error) -> String {
    let dotenvy::Error::LineParse(wrong, index) = error else { return error.to_string() };
    let text = String::from_utf8_lossy(content);
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

    #[test]
    fn variables_with_substitutions_are_found_however_they_are_quoted() {
        let content = b"A=$HOME\nB=\"x${HOME}\"\nC='$'\nD=plain\nE=1 # $\n".to_vec();
        let file = SettingsFile { path: "x".into(), place: "x".into(), content };
        let found: Vec<_> = file.variables_with_substitutions().into_iter().collect();
        assert_eq!(found, ["A", "B", "C"]);
    }
}
