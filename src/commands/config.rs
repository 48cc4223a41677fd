//! `bue config`.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::setting::{
    ADDRESSES, AddressSetting, BUCKET, CLIENT_CERT, CLIENT_KEY, HUB, SERVER_CA, Secrecy, Setting, TEXTS,
};
use crate::config::settings::{Place, Settings, Source};
use crate::config::token::{TokenRecipient, token_from_settings};
use crate::process::command_error::CommandError;
use crate::process::output::{eprint_line, plain_table, print_json, print_line};

/// Prints the settings that are in effect here, and where each is set.
///
/// A flag of a command has priority over all of these. Secrets are not printed. Settings of a folder that you do not trust have no
/// effect; they are listed in a warning.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Print JSON: an array with name, key, value, source and about of each setting; `source` is null if it is not set
    #[arg(long)]
    json: bool,
    /// Print the settings that are not set, too
    #[arg(long)]
    all: bool,
    /// Print what a client connects with, as JSON: hub, bucket, token, ca, client_cert, client_key. This is for programs: the token is
    /// a secret
    #[arg(long, conflicts_with_all = ["json", "all"])]
    client: bool,
}

/// A setting as it is printed.
#[derive(Debug, Serialize)]
struct EffectiveSetting {
    /// Its name in the environment.
    name: &'static str,
    /// Its key in `bue.toml`.
    key: String,
    /// Its value, or `***`. `None` if it is not set.
    value: Option<String>,
    /// Where it is set.
    source: Option<String>,
    /// What it means.
    about: &'static str,
}

impl Config {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        if self.client {
            return print_json(&client_settings(&settings)?);
        }
        let addresses = ADDRESSES.iter().map(|address| effective_address(&settings, *address));
        let all = addresses.chain(TEXTS.iter().map(|setting| effective(&settings, *setting)));
        if self.json {
            return print_json(&all.collect::<Vec<_>>());
        }
        let shown: Vec<_> = all.filter(|setting| self.all || setting.source.is_some()).collect();
        if shown.is_empty() {
            eprint_line(
                "bue: nothing is set here; `bue config --all` prints all settings, docs/settings.md explains them",
            );
            return Ok(());
        }
        let mut table = plain_table(["setting", "value", "set by"]);
        for setting in shown {
            let value = setting.value.unwrap_or_else(|| "(not set)".to_owned());
            table.add_row([setting.name.to_owned(), value, setting.source.unwrap_or_default()]);
        }
        print_line(&table.to_string())
    }
}

/// Returns what the verbs connect with if no flags say otherwise. Null is not set.
fn client_settings(settings: &Settings) -> Result<Value, CommandError> {
    let address = settings.address(HUB);
    let recipient = TokenRecipient { address: &address, origin: settings.address_origin(HUB), flag: "-b" };
    Ok(json!({
        "hub": settings.address_if_set(HUB),
        "bucket": settings.address_if_set(BUCKET),
        "token": token_from_settings(settings, recipient)?,
        "ca": settings.path(None, SERVER_CA),
        "client_cert": settings.path(None, CLIENT_CERT),
        "client_key": settings.path(None, CLIENT_KEY),
    }))
}

fn effective(settings: &Settings, setting: Setting) -> EffectiveSetting {
    of(setting, settings.text(setting), settings.source(setting))
}

/// An address may be set by the variables of its host and its port. Those of one place have priority over any in the next one.
fn effective_address(settings: &Settings, address: AddressSetting) -> EffectiveSetting {
    let variables: Vec<&str> = address.whole.names.iter().copied().chain([address.host, address.port]).collect();
    let source = settings.source_of_variable(&variables).or_else(|| settings.source(address.whole));
    of(address.whole, settings.address_if_set(address), source)
}

fn of(setting: Setting, value: Option<String>, source: Option<Source>) -> EffectiveSetting {
    let (table, key) = setting.key;
    EffectiveSetting {
        name: setting.name(),
        key: format!("{table}.{key}"),
        value: value.map(|value| shown(&value, setting.secrecy)),
        source: source.map(|source| source_text(&source)),
        about: setting.about,
    }
}

/// Replaces what must not be shown.
fn shown(value: &str, secrecy: Secrecy) -> String {
    let has_password = || value.contains('@') || value.to_ascii_lowercase().contains("password");
    match secrecy {
        Secrecy::Shown => value.to_owned(),
        Secrecy::MayHavePassword if !has_password() => value.to_owned(),
        Secrecy::MayHavePassword => format!("{}:***", value.split(':').next().unwrap_or_default()),
        Secrecy::Secret => "***".to_owned(),
    }
}

fn source_text(source: &Source) -> String {
    let name = &source.name;
    match source.place {
        Place::Environment => format!("{name} in the environment"),
        Place::Dotenv => format!("{name} in .env"),
        Place::Folder => format!("{name} in bue.toml"),
        Place::User => format!("{name} in your own bue.toml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_may_have_a_password_is_cut() {
        for (value, text) in [
            ("sqlite:bue.db", "sqlite:bue.db"),
            ("postgres:postgres://u:hunter2@host/db", "postgres:***"),
            ("postgres:host=h user=u Password=hunter2", "postgres:***"),
            ("postgres:host=h user=u", "postgres:host=h user=u"),
        ] {
            assert_eq!(shown(value, Secrecy::MayHavePassword), text);
        }
        assert_eq!(shown("hunter2", Secrecy::Secret), "***");
    }
}
