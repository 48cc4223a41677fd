//! [`HubCounts`]: how many runs, jobs and workers there are now.

use std::sync::Arc;
use std::time::Duration;

use bue_model::Timestamp;
use bue_model::history::CountsView;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::workers::Workers;
use crate::error::HubError;
use crate::records::history::sample_of;
use crate::store::JobStore;

/// Counts are reused for this long: counting reads each step of up to a thousand runs, and many people may watch.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The latest counts. Clones share them. Locked during the count, so that concurrent requests share one.
#[derive(Clone, Debug, Default)]
pub(super) struct HubCounts(Arc<Mutex<Option<(Instant, CountsView)>>>);

impl HubCounts {
    /// Returns the counts, which are at most a second old.
    pub(super) async fn read(
        &self,
        store: &dyn JobStore,
        now: Timestamp,
        workers: &Workers,
    ) -> Result<CountsView, HubError> {
        let mut latest = self.0.lock().await;
        if let Some((counted_at, view)) = &*latest
            && counted_at.elapsed() < REFRESH_INTERVAL
        {
            return Ok(*view);
        }
        let tally = store.tally(now).await?;
        let counts = sample_of(now, &tally, workers.count() as u64);
        let view = CountsView { counts, oldest_run_at: tally.oldest_run_at };
        *latest = Some((Instant::now(), view));
        Ok(view)
    }
}
