//! What a hub throws away: runs that ended long ago, and then what they leave in the bucket.
//!
//! ```text
//! every hour: JobStore::ended_runs --> delete_run, each
//!             GET /v1/collections of the bucket --> JobStore::holdings --> POST /v1/collections: what these runs need is kept
//! ```
//! Here and not in the hub's crate, because it talks to both.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bue_client::BucketClient;
use bue_hub::{HubError, JobStore};
use bue_model::Timestamp;
use tokio::time::sleep;

/// Between two rounds. What is thrown away is days old.
const REST: Duration = Duration::from_secs(60 * 60);
/// ... and after one that failed.
const RETRY: Duration = Duration::from_secs(60);
/// Runs that are looked up at once.
const PAGE: u32 = 100;

/// What is thrown away, and where.
pub(crate) struct Upkeep {
    pub(crate) store: Arc<dyn JobStore>,
    /// `None` where the hub was not told of one.
    pub(crate) bucket: Option<BucketClient>,
    /// How long a run is kept that ended. `None`: until somebody deletes it.
    pub(crate) keep: Option<Duration>,
}

impl Upkeep {
    /// Goes on until it is dropped.
    pub(crate) async fn run(self) {
        loop {
            let rest = match self.round().await {
                Ok(()) => REST,
                Err(error) => {
                    tracing::warn!("could not throw away what nobody needs, and will try again: {error:#}");
                    RETRY
                }
            };
            sleep(rest).await;
        }
    }

    async fn round(&self) -> anyhow::Result<()> {
        if let Some(keep) = self.keep {
            let deleted = self.delete_runs(before(keep)).await.context("failed to delete old runs")?;
            if deleted > 0 {
                tracing::info!(runs = deleted, "deleted runs that ended long ago");
            }
        }
        let Some(bucket) = &self.bucket else { return Ok(()) };
        // the time first: what is uploaded for runs that come after the list is younger
        let begun = bucket.begin_collection().await.context("failed to ask the bucket for its time")?;
        let holdings = self.store.gc_roots().await.context("failed to list the runs")?;
        let collected = bucket.collect(begun, &holdings).await.context("failed to clean up the bucket")?;
        if collected.blobs > 0 {
            tracing::info!(blobs = collected.blobs, "the bucket threw away what no run needs");
        }
        Ok(())
    }

    async fn delete_runs(&self, before: Timestamp) -> Result<u64, HubError> {
        let mut deleted = 0;
        loop {
            let ended = self.store.ended_runs(before, PAGE).await?;
            let seen = deleted;
            for run in &ended {
                match self.store.delete_run(*run).await {
                    Ok(()) => deleted += 1,
                    // put back to work, or deleted by somebody else
                    Err(HubError::RunStillRunning(_) | HubError::RunNotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if deleted == seen {
                return Ok(deleted);
            }
        }
    }
}

/// So long ago.
#[expect(clippy::disallowed_methods, reason = "the rim of the process says what time it is")]
fn before(keep: Duration) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(keep);
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
