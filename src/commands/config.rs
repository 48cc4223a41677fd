//! `bue config`.

use clap::Args;
use serde_json::{Value, json};

use crate::config::effective::effective_settings;
use crate::config::setting::{BUCKET, CLIENT_CERT, CLIENT_KEY, HUB, SERVER_CA};
use crate::config::settings::Settings;
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

impl Config {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        if self.client {
            return print_json(&client_settings(&settings)?);
        }
        let all = effective_settings(&settings);
        if self.json {
            return print_json(&all);
        }
        let shown: Vec<_> = all.into_iter().filter(|setting| self.all || setting.source.is_some()).collect();
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
