//! `bue trust`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::config::settings::ENV_PATH;
use crate::config::settings_file::{BUE_TOML, FolderFiles, SettingsFile, dotenv_path, place};
use crate::config::trust_store::{Trust as Verdict, TrustStore};
use crate::config::withheld::{withhold_cache_key, withhold_cache_variable, withhold_keys, withhold_variables};
use crate::process::command_error::CommandError;
use crate::process::output::{eprint_line, plain_table, print_line};

/// Trusts `.env` and `bue.toml` of a folder, so that all their settings count there.
///
/// Such files can permit network access, read files as secrets and name the servers that get your token. They may come with a
/// folder of somebody else, so bue ignores these settings until you have read the files and typed this. A file that changes must
/// be trusted again. The list of trusted files is in your state directory.
#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// The folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// List the trusted files of all folders, and whether they have changed
    #[arg(long, conflicts_with_all = ["dir", "revoke"])]
    list: bool,
    /// Trust the files of the folder no longer
    #[arg(long)]
    revoke: bool,
}

impl Trust {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let store = TrustStore::of_user()?;
        match (self.list, self.revoke) {
            (true, _) => list(&store),
            (false, true) => self.revoke(&store),
            (false, false) => self.trust(&store),
        }
    }

    fn trust(&self, store: &TrustStore) -> Result<(), CommandError> {
        let FolderFiles { dotenv, toml } = FolderFiles::read(&self.dir, env_path().as_deref())?;
        if dotenv.is_none() && toml.is_none() {
            return Err(CommandError::NotFound(format!("there is no .env and no bue.toml in {}", self.dir.display())));
        }
        // nothing is trusted if one of them cannot be parsed
        let dotenv = dotenv.map(|file| Ok((trusted_variables(&file)?, file)));
        let toml = toml.map(|file| Ok((trusted_keys(&file)?, file)));
        let files = [dotenv, toml].into_iter().flatten().collect::<Result<Vec<_>, CommandError>>()?;
        for (names, file) in files {
            add(store, &file)?;
            let names: Vec<String> = names.into_iter().collect();
            let names = if names.is_empty() { "nothing that needs trust".to_owned() } else { names.join(", ") };
            eprint_line(&format!("bue: trusted {}, which sets {names}", file.place.display()));
        }
        store.remove_missing();
        Ok(())
    }

    fn revoke(&self, store: &TrustStore) -> Result<(), CommandError> {
        let mut was_trusted = false;
        for path in [dotenv_path(&self.dir, env_path().as_deref()), self.dir.join(BUE_TOML)] {
            let place = place(&path)?;
            if store.remove(&place).with_context(|| format!("failed to revoke the trust in {}", place.display()))? {
                eprint_line(&format!("bue: {} is not trusted any more", place.display()));
                was_trusted = true;
            }
        }
        match was_trusted {
            true => Ok(()),
            false => Err(CommandError::NotFound(format!("no file of {} was trusted", self.dir.display()))),
        }
    }
}

/// Returns the variables that count because of the trust.
fn trusted_variables(file: &SettingsFile) -> Result<BTreeSet<String>, CommandError> {
    let mut variables = file.variables()?;
    withhold_cache_variable(&mut variables);
    Ok(withhold_variables(&mut variables, &file.variables_with_substitutions()))
}

/// Returns the keys that count because of the trust.
fn trusted_keys(file: &SettingsFile) -> Result<BTreeSet<String>, CommandError> {
    let mut tables = file.tables()?;
    withhold_cache_key(&mut tables);
    Ok(withhold_keys(&mut tables))
}

/// Returns the name of the file of variables, if it is another than `.env`.
fn env_path() -> Option<String> {
    std::env::var(ENV_PATH).ok().filter(|path| !path.is_empty())
}

fn add(store: &TrustStore, file: &SettingsFile) -> Result<(), CommandError> {
    let added = store.add(&file.place, &file.content);
    Ok(added.with_context(|| format!("failed to remember that {} is trusted", file.place.display()))?)
}

fn list(store: &TrustStore) -> Result<(), CommandError> {
    let mut table = plain_table(["file", "state"]);
    for file in store.files() {
        table.add_row([file.path.display().to_string(), state(store, &file.path).to_owned()]);
    }
    print_line(&table.to_string())
}

fn state(store: &TrustStore, path: &Path) -> &'static str {
    match SettingsFile::read(path) {
        Ok(None) => "missing",
        Ok(Some(file)) if store.trust(path, &file.content) == Verdict::Trusted => "trusted",
        Ok(Some(_)) => "changed",
        Err(_) => "unreadable",
    }
}
