//! Deletes finished runs when they are old enough, then old entries of the audit, and the blobs in the bucket that no other run needs.
//!
//! ```text
//! every hour: JobStore::ended_runs --> delete_run, for each
//!             JobStore::delete_audit, part by part
//!             GET /v1/collections of the bucket --> JobStore::gc_roots --> POST /v1/collections, with what these runs need
//! ```
//! This is not in the hub's crate because it uses a client of the bucket.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bue_client::BucketClient;
use bue_hub::{HubError, JobStore};
use bue_model::Timestamp;
use tokio::time::sleep;

use crate::config::duration::parse_duration;
use crate::process::clock::time_ago;
use crate::process::command_error::CommandError;

/// Time between two rounds. What is deleted is days old, so an hour more does not matter.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Time until the next round after one that failed.
const RETRY_BACKOFF: Duration = Duration::from_secs(60);
/// Runs that are looked up at once.
const PAGE: u32 = 100;

/// A week, so that a run that failed on a Friday evening can still be inspected on Monday.
pub(crate) const DEFAULT_KEEP: &str = "7d";

/// Three months: long enough for questions about the last quarter.
pub(crate) const DEFAULT_KEEP_AUDIT: &str = "90d";

/// Entries of the audit that are deleted at once: some milliseconds.
const AUDIT_PART: u32 = 1_000;

/// What is deleted, from where.
pub(crate) struct Retention {
    pub(crate) store: Arc<dyn JobStore>,
    /// `None` if the hub does not know its bucket: blobs are not deleted then.
    pub(crate) bucket: Option<BucketClient>,
    /// How long a finished run is kept. `None`: until a user deletes it.
    pub(crate) keep: Option<Duration>,
    /// How long an entry of the audit is kept whose run does not exist. `None`: forever.
    pub(crate) keep_audit: Option<Duration>,
}

/// Parses how long to keep something; `None` means forever. `flag` is where it was written, for the error message.
pub(crate) fn parse_keep(text: &str, flag: &str) -> Result<Option<Duration>, CommandError> {
    match text.trim() {
        "forever" => Ok(None),
        text => parse_duration(text, flag).map(Some),
    }
}

impl Retention {
    /// Runs until it is dropped.
    pub(crate) async fn run(self) {
        loop {
            let pause = match self.round().await {
                Ok(()) => INTERVAL,
                Err(error) => {
                    tracing::warn!("failed to delete old data, will try again: {error:#}");
                    RETRY_BACKOFF
                }
            };
            sleep(pause).await;
        }
    }

    async fn round(&self) -> anyhow::Result<()> {
        if let Some(keep) = self.keep {
            let deleted = self.delete_runs(time_ago(keep)).await.context("failed to delete old runs")?;
            if deleted > 0 {
                tracing::info!(runs = deleted, "deleted old runs");
            }
        }
        if let Some(keep) = self.keep_audit {
            let deleted =
                self.delete_audit(time_ago(keep)).await.context("failed to delete old entries of the audit")?;
            if deleted > 0 {
                tracing::info!(entries = deleted, "deleted old entries of the audit");
            }
        }
        let Some(bucket) = &self.bucket else { return Ok(()) };
        // The time comes before the list: a blob uploaded for a run that is not on the list yet is younger than this, and stays.
        let started_at = bucket.begin_collection().await.context("failed to ask the bucket for its time")?;
        let roots = self.store.gc_roots().await.context("failed to list the runs")?;
        let collected = bucket.collect(started_at, &roots).await.context("failed to clean up the bucket")?;
        if collected.blobs > 0 {
            tracing::info!(blobs = collected.blobs, "the bucket deleted blobs that no run needs");
        }
        Ok(())
    }

    /// Deletes the entries of the audit from before a time that no run keeps; returns how many.
    async fn delete_audit(&self, before: Timestamp) -> Result<u64, HubError> {
        let mut deleted = 0;
        loop {
            let part = self.store.delete_audit(before, AUDIT_PART).await?;
            deleted += part;
            if part < u64::from(AUDIT_PART) {
                return Ok(deleted);
            }
        }
    }

    /// Deletes the runs that ended before a time; returns how many.
    async fn delete_runs(&self, before: Timestamp) -> Result<u64, HubError> {
        let mut deleted = 0;
        loop {
            let runs = self.store.ended_runs(before, PAGE).await?;
            let deleted_before = deleted;
            for run in &runs {
                match self.store.delete_run(*run).await {
                    Ok(()) => deleted += 1,
                    // reset, or deleted by another hub or a user, since the list was read
                    Err(HubError::RunStillRunning(_) | HubError::RunNotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if deleted == deleted_before {
                return Ok(deleted);
            }
        }
    }
}
