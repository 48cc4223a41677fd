//! What the postgres steps of a worker work on, as the settings say.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use bue_runtime::{Database, DatabaseParts, DatabasesConfig};

use crate::setting::{
    POSTGRES_CONNECTIONS, POSTGRES_DATABASE, POSTGRES_HOST, POSTGRES_PASSWORD, POSTGRES_PORT, POSTGRES_URL,
    POSTGRES_USER,
};
use crate::settings::Settings;
use crate::stop::Stop;

/// Connections to one database where nobody says otherwise: few, since they cost the server memory and a step is quick.
const DEFAULT_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// The connection for steps that name none, and those of `[postgres.NAME]`.
///
/// # Errors
/// A setting that is not understood. What it says is not repeated where it may hold a password.
pub(crate) fn databases(settings: &Settings) -> Result<DatabasesConfig, Stop> {
    let connections = connections(settings)?;
    let mut named = HashMap::new();
    for (name, table) in settings.named_tables("postgres") {
        named.insert(name.clone(), one_named(name, table, connections)?);
    }
    Ok(DatabasesConfig { unnamed: unnamed(settings, connections)?, named })
}

fn unnamed(settings: &Settings, connections: NonZeroUsize) -> Result<Option<Database>, Stop> {
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

fn one_named(name: &str, table: &toml::Table, connections: NonZeroUsize) -> Result<Database, Stop> {
    let place = format!("`[postgres.{name}]` in bue.toml");
    if let Some(unknown) = table.keys().find(|key| *key != "url") {
        return Err(Stop::Usage(format!("{place} has `{unknown}`; write `url` there and nothing else")));
    }
    let url = table.get("url").and_then(toml::Value::as_str);
    let url = url.ok_or_else(|| {
        Stop::Usage(format!("{place} has no url; write `url = \"postgres://USER:PASSWORD@HOST/DATABASE\"` there"))
    })?;
    from_url(url, connections, &place)
}

fn from_url(url: &str, connections: NonZeroUsize, place: &str) -> Result<Database, Stop> {
    Database::from_url(url, connections).map_err(|error| Stop::Usage(format!("{place} is not understood: {error}")))
}

fn port(text: &str) -> Result<u16, Stop> {
    let no_port = || Stop::Usage(format!("`{text}` is no port; set {} to a number", POSTGRES_PORT.name()));
    text.parse().map_err(|_| no_port())
}

fn connections(settings: &Settings) -> Result<NonZeroUsize, Stop> {
    let Some(text) = settings.text(POSTGRES_CONNECTIONS) else { return Ok(DEFAULT_CONNECTIONS) };
    let name = POSTGRES_CONNECTIONS.name();
    text.parse().map_err(|_| Stop::Usage(format!("`{text}` is no number of connections; set {name} to one from 1 on")))
}
