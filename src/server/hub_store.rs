//! The database of a hub, as `--store` names it.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use bue_hub::{Durability, HubError, JobStore, LEASE_MS, PostgresStore, SqliteStore};

use crate::config::setting::{
    LEASE, POSTGRES_DATABASE, POSTGRES_HOST, POSTGRES_PASSWORD, POSTGRES_PORT, POSTGRES_URL, POSTGRES_USER, Setting,
};
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;
use crate::server::store_path::store_path;

/// A hub's database.
pub(crate) struct HubStore {
    pub(crate) store: Arc<dyn JobStore>,
    /// Its name in messages: a path, or `PostgreSQL`. Never a URL, which may contain a password.
    pub(crate) name: String,
}

/// Opens `sqlite:PATH`, `postgres:URL`, or `postgres:` alone, which is the database that the settings name.
pub(crate) async fn open_hub_store(store: &str, settings: &Settings) -> Result<HubStore, CommandError> {
    let lease_ms = lease_ms(settings)?;
    if let Some(url) = postgres_url(store, settings)? {
        return match PostgresStore::connect(&url).await {
            Ok(store) => Ok(HubStore { store: Arc::new(store.with_lease_ms(lease_ms)), name: "PostgreSQL".to_owned() }),
            Err(HubError::BadRequest(message)) => Err(CommandError::Usage(message)),
            Err(error) => Err(anyhow::Error::new(error).context("failed to open the hub's database").into()),
        };
    }
    let path = store_path(store, "sqlite")?;
    let store = SqliteStore::open(&path, Durability::Full);
    let store = store.with_context(|| format!("failed to open the database {}", path.display()))?;
    Ok(HubStore { store: Arc::new(store.with_lease_ms(lease_ms)), name: path.display().to_string() })
}

/// Returns the duration of leases in milliseconds. With less than a second, a worker on a busy machine would lose its leases;
/// with more than an hour, the jobs of a dead worker would wait too long.
fn lease_ms(settings: &Settings) -> Result<u64, CommandError> {
    let Some(text) = settings.text(LEASE) else { return Ok(LEASE_MS) };
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(seconds * 1000),
        _ => Err(CommandError::Usage(format!(
            "`{text}` is not the duration of a lease; set BUE_LEASE to a number of seconds from 1 to 3600"
        ))),
    }
}

/// Returns `postgres://…` as it is, the rest of `postgres:host=… dbname=…`, or for `postgres:` alone what the settings say;
/// `None` for other kinds of stores.
fn postgres_url(store: &str, settings: &Settings) -> Result<Option<String>, CommandError> {
    if store.starts_with("postgres://") || store.starts_with("postgresql://") {
        return Ok(Some(store.to_owned()));
    }
    match store.strip_prefix("postgres:") {
        None => Ok(None),
        Some("") => settings.text(POSTGRES_URL).map_or_else(|| url_from_parts(settings), Ok).map(Some),
        Some(url) => Ok(Some(url.to_owned())),
    }
}

/// Builds `host='…' user='…'` from the settings, which are those of postgres steps too.
fn url_from_parts(settings: &Settings) -> Result<String, CommandError> {
    let or_default = |setting: Setting, default: &str| settings.text(setting).unwrap_or_else(|| default.to_owned());
    let Some(user) = settings.text(POSTGRES_USER) else {
        return Err(CommandError::Usage(
            "`--store postgres:` uses the database that POSTGRES_HOST, _PORT, _USER, _PASSWORD and _DATABASE name; set at \
             least POSTGRES_USER, or type `--store postgres://USER@HOST/DATABASE`"
                .to_owned(),
        ));
    };
    let mut parts = String::new();
    let mut add = |key: &str, value: &str| {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        // writing to a string cannot fail
        let _ = write!(parts, "{key}='{value}' ");
    };
    add("host", &or_default(POSTGRES_HOST, "localhost"));
    add("port", &or_default(POSTGRES_PORT, "5432"));
    add("user", &user);
    add("dbname", &or_default(POSTGRES_DATABASE, &user));
    if let Some(password) = settings.text(POSTGRES_PASSWORD) {
        add("password", &password);
    }
    Ok(parts)
}
