//! `bue token`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use bue_hub::{Role, TokenEntry, TokenError, TokenFile};
use bue_model::Timestamp;
use clap::{Args, Subcommand};
use indicatif::HumanDuration;
use serde_json::json;

use crate::commands::serve::TokensFlag;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{plain_table, print, say};

/// Makes, lists and deletes the tokens that hub and bucket ask for.
///
/// Hub and bucket read the tokens file again when it has changed. To exchange a token, make a new one, give it to its
/// users, and delete the old one; docs/access.md says what each role may do.
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

/// Makes a token and prints it, alone on standard output. It is not kept: only its hash is.
#[derive(Debug, Args)]
struct New {
    /// What it is good for: viewer, submitter, worker, operator or admin
    #[arg(long)]
    role: Role,
    /// What to call it [default: the role and four letters]
    #[arg(long)]
    name: Option<String>,
    /// Of a worker's token: the scopes whose jobs it is given, with commas between them [default: all]
    #[arg(long, value_name = "SCOPE,...", value_delimiter = ',')]
    scopes: Vec<String>,
    #[command(flatten)]
    tokens: TokensFlag,
}

/// Lists the tokens by their names.
#[derive(Debug, Args)]
struct List {
    /// Print JSON: a list of {"name", "role", "scopes", "created_at"}, the time in milliseconds since 1970
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tokens: TokensFlag,
}

/// Deletes a token: whoever has it is not let in any more.
#[derive(Debug, Args)]
struct Delete {
    /// Its name, as `bue token list` shows it
    name: String,
    #[command(flatten)]
    tokens: TokensFlag,
}

impl Token {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        match self.verb {
            Verb::New(new) => new.execute(&settings),
            Verb::List(list) => list.execute(&settings),
            Verb::Delete(delete) => delete.execute(&settings),
        }
    }
}

impl New {
    fn execute(self, settings: &Settings) -> Result<(), Stop> {
        let file = TokenFile::new(self.tokens.path(settings));
        let token = new_token()?;
        let name = self.name.unwrap_or_else(|| format!("{}-{}", self.role, hex(&chance::<2>().unwrap_or_default())));
        let entry = TokenEntry::new(&token, self.role, &name, now()).and_then(|entry| entry.for_scopes(self.scopes));
        let entry = entry.map_err(|error| Stop::Usage(error.to_string()))?;
        file.add(entry).map_err(|error| match error {
            TokenError::Taken(_) => Stop::Usage(error.to_string()),
            error => Stop::Surroundings(anyhow::Error::new(error).context("failed to keep the token's hash")),
        })?;
        say(&format!("bue: made the {} token `{name}` in {}", self.role, file.path().display()));
        say("bue: put it into the environment or into .env of who shall use it, as BUE_TOKEN=…; it is not shown again");
        print(&token)
    }
}

impl List {
    fn execute(self, settings: &Settings) -> Result<(), Stop> {
        let file = TokenFile::new(self.tokens.path(settings));
        let entries = file.read().context("failed to list the tokens")?;
        if entries.is_none() {
            say(&format!("bue: there is no tokens file {}; `bue token new` makes it", file.path().display()));
        }
        let entries = entries.unwrap_or_default();
        if self.json {
            let entry = |entry: &TokenEntry| json!({"name": entry.name, "role": entry.role.name(), "scopes": entry.scopes, "created_at": entry.created_at.0});
            return print(&json!(entries.iter().map(entry).collect::<Vec<_>>()).to_string());
        }
        let mut table = plain_table(["name", "role", "scopes", "made"]);
        for entry in &entries {
            let age = Duration::from_millis(now().since_ms(entry.created_at));
            let made = format!("{} ago", HumanDuration(age));
            table.add_row([entry.name.clone(), entry.role.to_string(), entry.scopes.join(","), made]);
        }
        print(&table.to_string())
    }
}

impl Delete {
    fn execute(self, settings: &Settings) -> Result<(), Stop> {
        let file = TokenFile::new(self.tokens.path(settings));
        match file.delete(&self.name).context("failed to delete the token")? {
            true => say(&format!("bue: deleted the token `{}`", self.name)),
            false => {
                let path = file.path().display();
                return Err(Stop::Usage(format!("no token in {path} is called `{}`; see `bue token list`", self.name)));
            }
        }
        Ok(())
    }
}

/// A new token: 256 random bits, in letters that travel in a header, behind a word by which a leaked one can be found.
pub(crate) fn new_token() -> Result<String, Stop> {
    Ok(format!("bue_{}", hex(&chance::<32>()?)))
}

fn chance<const N: usize>() -> Result<[u8; N], Stop> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::disallowed_methods, reason = "the rim of the process reads the clock")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
