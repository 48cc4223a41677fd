//! `bue token`.

use std::time::Duration;

use anyhow::Context;
use bue_hub::{Role, TokenEntry, TokenError, TokenFile};
use clap::{Args, Subcommand};
use indicatif::HumanDuration;
use serde_json::json;

use crate::config::settings::Settings;
use crate::flags::server::TokensFlag;
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::output::{eprint_line, plain_table, print_json, print_line};
use crate::process::random::{new_token, random_hex};

/// Creates, lists and deletes the tokens that hub and bucket accept.
///
/// Hub and bucket read the tokens file again when it has changed. To rotate a token, create a new one, give it to its users,
/// and delete the old one. docs/access.md says what each role may do.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(New),
    List(List),
    #[command(visible_alias = "revoke")]
    Delete(Delete),
}

/// Creates a token and prints it to stdout. Only its hash is stored.
#[derive(Debug, Args)]
struct New {
    /// What it permits: viewer, invoker, submitter, worker, operator or admin
    #[arg(long)]
    role: Role,
    /// The name of the token [default: the role and four hexadecimal digits]
    #[arg(long)]
    name: Option<String>,
    /// For a worker's token: the scopes whose jobs it may take, separated by commas [default: all]
    #[arg(long, value_name = "SCOPE,...", value_delimiter = ',')]
    scopes: Vec<String>,
    /// For an invoker's token: the pipelines that it may run, separated by commas [default: all]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pipelines: Vec<String>,
    #[command(flatten)]
    tokens: TokensFlag,
}

/// Lists the tokens by name.
#[derive(Debug, Args)]
struct List {
    /// Print JSON: a list of {"name", "role", "scopes", "pipelines", "created_at"}, with the time in milliseconds since 1970
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tokens: TokensFlag,
}

/// Deletes a token: servers refuse it from now on.
#[derive(Debug, Args)]
struct Delete {
    /// The name, as `bue token list` shows it
    name: String,
    #[command(flatten)]
    tokens: TokensFlag,
}

impl Token {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        match self.verb {
            Verb::New(new) => new.execute(&settings),
            Verb::List(list) => list.execute(&settings),
            Verb::Delete(delete) => delete.execute(&settings),
        }
    }
}

impl New {
    fn execute(self, settings: &Settings) -> Result<(), CommandError> {
        let file = TokenFile::new(self.tokens.path(settings));
        let token = new_token()?;
        let name = match self.name {
            Some(name) => name,
            None => format!("{}-{}", self.role, random_hex::<2>()?),
        };
        let entry = TokenEntry::new(&token, self.role, &name, now())
            .and_then(|entry| entry.with_scopes(self.scopes))
            .and_then(|entry| entry.with_pipelines(self.pipelines));
        let entry = entry.map_err(|error| CommandError::Usage(error.to_string()))?;
        file.add(entry).map_err(|error| match error {
            TokenError::Taken(_) => CommandError::Usage(error.to_string()),
            error => CommandError::Environment(anyhow::Error::new(error).context("failed to store the token's hash")),
        })?;
        eprint_line(&format!("bue: created the {} token `{name}` in {}", self.role, file.path().display()));
        eprint_line(
            "bue: set it as BUE_TOKEN=… in the environment, or in .env and type `bue trust` there; it is not shown again",
        );
        print_line(&token)
    }
}

impl List {
    fn execute(self, settings: &Settings) -> Result<(), CommandError> {
        let file = TokenFile::new(self.tokens.path(settings));
        let entries = file.read().context("failed to list the tokens")?;
        if entries.is_none() {
            eprint_line(&format!("bue: there is no tokens file {}; `bue token new` creates it", file.path().display()));
        }
        let entries = entries.unwrap_or_default();
        if self.json {
            let entry = |entry: &TokenEntry| json!({"name": entry.name, "role": entry.role.name(), "scopes": entry.scopes, "pipelines": entry.pipelines, "created_at": entry.created_at.0});
            return print_json(&json!(entries.iter().map(entry).collect::<Vec<_>>()));
        }
        let mut table = plain_table(["name", "role", "for", "created"]);
        for entry in &entries {
            let age = Duration::from_millis(now().since_ms(entry.created_at));
            let created = format!("{} ago", HumanDuration(age));
            let restriction = [&entry.scopes[..], &entry.pipelines].concat().join(",");
            table.add_row([entry.name.clone(), entry.role.to_string(), restriction, created]);
        }
        print_line(&table.to_string())
    }
}

impl Delete {
    fn execute(self, settings: &Settings) -> Result<(), CommandError> {
        let file = TokenFile::new(self.tokens.path(settings));
        match file.delete(&self.name).context("failed to delete the token")? {
            true => eprint_line(&format!("bue: deleted the token `{}`", self.name)),
            false => {
                let path = file.path().display();
                return Err(CommandError::Usage(format!(
                    "there is no token `{}` in {path}; `bue token list` lists them",
                    self.name
                )));
            }
        }
        Ok(())
    }
}
