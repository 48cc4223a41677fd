//! The databases of a worker's postgres steps.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use bue_runtime::{Database, DatabaseParts, DatabasesConfig};

use crate::config::setting::{
    POSTGRES_CONNECTIONS, POSTGRES_DATABASE, POSTGRES_HOST, POSTGRES_PASSWORD, POSTGRES_PORT, POSTGRES_SCOPES,
    POSTGRES_URL, POSTGRES_USER,
};
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// Connections to one database by default. Few, because each costs the server memory and a step needs one only briefly.
const DEFAULT_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// Reads the connection of steps that name none, and those of `[postgres.NAME]`.
///
/// # Errors
/// An invalid setting. A value that may contain a password is not repeated in the message.
pub(crate) fn read_databases(settings: &Settings) -> Result<DatabasesConfig, CommandError> {
    let connections = connections(settings)?;
    let mut named = HashMap::new();
    for (name, table) in settings.named_tables("postgres") {
        named.insert(name.clone(), named_database(name, table, connections)?);
    }
    let unnamed = unnamed_database(settings, connections)?;
    Ok(DatabasesConfig { unnamed: unnamed.map(|database| database.restricted_to(unnamed_scopes(settings))), named })
}

/// Returns the scopes of the connection that has no name; an empty list means all.
fn unnamed_scopes(settings: &Settings) -> Vec<String> {
    let text = settings.text(POSTGRES_SCOPES).unwrap_or_default();
    text.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

fn unnamed_database(settings: &Settings, connections: NonZeroUsize) -> Result<Option<Database>, CommandError> {
    if let Some(url) = settings.text(POSTGRES_URL) {
        return from_url(&url, connections, POSTGRES_URL.name()).map(Some);
    }
    let parts = DatabaseParts {
        host: settings.text(POSTGRES_HOST),
        port: settings.text(POSTGRES_PORT).map(|text| port(&text)).transpose()?,
        user: settings.text(POSTGRES_USER),
        password: settings.text(POSTGRES_PASSWORD),
        database: settings.text(POSTGRES_DATABASE),
    };
    let is_set = parts.host.is_some() || parts.port.is_some() || parts.user.is_some() || parts.database.is_some();
    Ok(is_set.then(|| Database::from_parts(&parts, connections)))
}

fn named_database(name: &str, table: &toml::Table, connections: NonZeroUsize) -> Result<Database, CommandError> {
    let location = format!("`[postgres.{name}]` in bue.toml");
    if let Some(unknown) = table.keys().find(|key| !["url", "scopes"].contains(&key.as_str())) {
        return Err(CommandError::Usage(format!(
            "{location} has an unknown key `{unknown}`; it may have `url` and `scopes`"
        )));
    }
    let scopes = table.get("scopes").map_or(Ok(Vec::new()), |scopes| scopes.clone().try_into());
    let scopes = scopes
        .map_err(|_| CommandError::Usage(format!("`scopes` of {location} is not a list of texts, such as [\"a\"]")))?;
    let url = table.get("url").and_then(toml::Value::as_str);
    let url = url.ok_or_else(|| {
        CommandError::Usage(format!("{location} has no url; add `url = \"postgres://USER:PASSWORD@HOST/DATABASE\"`"))
    })?;
    Ok(from_url(url, connections, &location)?.restricted_to(scopes))
}

fn from_url(url: &str, connections: NonZeroUsize, location: &str) -> Result<Database, CommandError> {
    Database::from_url(url, connections).map_err(|error| CommandError::Usage(format!("{location} is invalid: {error}")))
}

fn port(text: &str) -> Result<u16, CommandError> {
    let name = POSTGRES_PORT.name();
    text.parse().map_err(|_| CommandError::Usage(format!("`{text}` is not a port; set {name} to a number")))
}

fn connections(settings: &Settings) -> Result<NonZeroUsize, CommandError> {
    let Some(text) = settings.text(POSTGRES_CONNECTIONS) else { return Ok(DEFAULT_CONNECTIONS) };
    let name = POSTGRES_CONNECTIONS.name();
    text.parse().map_err(|_| {
        CommandError::Usage(format!("`{text}` is not a number of connections; set {name} to a number of at least 1"))
    })
}
