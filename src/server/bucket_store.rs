//! The store of a bucket, as `--store` names it.

use std::time::Duration;

use anyhow::Context;
use bue_hub::{BlobStore, Durability};

use crate::config::settings::Settings;
use crate::process::command_error::CommandError;
use crate::server::store_path::store_path;

/// Opens `dir:PATH`, `s3:BUCKET` or `s3:URL`, and checks that it can be used. `grace` replaces the store's default.
pub(crate) async fn open_bucket_store(
    store: &str,
    grace: Option<Duration>,
    settings: &Settings,
) -> Result<BlobStore, CommandError> {
    let blobs = open(store, settings)?;
    let blobs = if let Some(grace) = grace { blobs.with_grace_period(grace) } else { blobs };
    blobs.check().await.with_context(|| format!("failed to open the store {store}"))?;
    Ok(blobs)
}

fn open(store: &str, settings: &Settings) -> Result<BlobStore, CommandError> {
    if let Some(bucket) = store.strip_prefix("s3:") {
        let variables = settings.variables_with_prefix("AWS_").into_iter();
        let blobs = BlobStore::s3(bucket, variables.map(|(name, value)| (format!("AWS_{name}"), value)));
        return blobs.map_err(|error| CommandError::Usage(error.to_string()));
    }
    let path = store_path(store, "dir")?;
    let blobs = BlobStore::open(&path, Durability::Full);
    Ok(blobs.with_context(|| format!("failed to open the folder {}", path.display()))?)
}
