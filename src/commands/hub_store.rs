//! The database of a hub, from what `--store` says.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use bue_hub::{Durability, HubError, JobStore, LEASE_MS, PostgresStore, SqliteStore};

use crate::commands::serve::store_path;
use crate::setting::{
    LEASE, POSTGRES_DATABASE, POSTGRES_HOST, POSTGRES_PASSWORD, POSTGRES_PORT, POSTGRES_URL, POSTGRES_USER, Setting,
};
use crate::settings::Settings;
use crate::stop::Stop;

/// Opens `sqlite:PATH`, `postgres:URL`, or `postgres:` alone, which is the database that the settings name. Also its place,
/// without a password.
pub(crate) async fn open(store: &str, settings: &Settings) -> Result<(Arc<dyn JobStore>, String), Stop> {
    let lease_ms = lease_ms(settings)?;
    if let Some(url) = postgres_url(store, settings)? {
        return match PostgresStore::connect(&url).await {
            Ok(opened) => Ok((Arc::new(opened.with_lease_ms(lease_ms)), "PostgreSQL".to_owned())),
            Err(HubError::BadRequest(message)) => Err(Stop::Usage(message)),
            Err(error) => Err(anyhow::Error::new(error).context("failed to open the hub's database").into()),
        };
    }
    let path = store_path(store, "sqlite")?;
    let opened = SqliteStore::open(&path, Durability::Full);
    let opened = opened.with_context(|| format!("failed to open the database {}", path.display()))?;
    Ok((Arc::new(opened.with_lease_ms(lease_ms)), path.display().to_string()))
}

/// Shorter than a second, and a worker on a busy machine loses its leases; longer than an hour, and nobody waits for the end.
fn lease_ms(settings: &Settings) -> Result<u64, Stop> {
    let Some(text) = settings.text(LEASE) else { return Ok(LEASE_MS) };
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(seconds * 1000),
        _ => Err(Stop::Usage(format!(
            "`{text}` is no length of leases; set BUE_LEASE to a number of seconds from 1 to 3600"
        ))),
    }
}

/// `postgres://…` as it is, what stands behind `postgres:` in `postgres:host=… dbname=…`, else what is set.
fn postgres_url(store: &str, settings: &Settings) -> Result<Option<String>, Stop> {
    if store.starts_with("postgres://") || store.starts_with("postgresql://") {
        return Ok(Some(store.to_owned()));
    }
    match store.strip_prefix("postgres:") {
        None => Ok(None),
        Some("") => settings.text(POSTGRES_URL).map_or_else(|| from_parts(settings), Ok).map(Some),
        Some(url) => Ok(Some(url.to_owned())),
    }
}

/// `host='…' user='…'`, from the settings that postgres steps use too.
fn from_parts(settings: &Settings) -> Result<String, Stop> {
    let or = |setting: Setting, default: &str| settings.text(setting).unwrap_or_else(|| default.to_owned());
    let Some(user) = settings.text(POSTGRES_USER) else {
        return Err(Stop::Usage(
            "`--store postgres:` takes the database that POSTGRES_HOST, _PORT, _USER, _PASSWORD and _DATABASE name; set at \
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
    add("host", &or(POSTGRES_HOST, "localhost"));
    add("port", &or(POSTGRES_PORT, "5432"));
    add("user", &user);
    add("dbname", &or(POSTGRES_DATABASE, &user));
    if let Some(password) = settings.text(POSTGRES_PASSWORD) {
        add("password", &password);
    }
    Ok(parts)
}
