//! The sampler: records how far the runs that change have come, for [`RunProgress`](crate::api::progress::RunProgress).

use std::collections::BTreeSet;
use std::time::Duration;

use bue_model::RunId;
use tokio::time::{Instant, sleep_until};

use crate::api::hub::Hub;

/// Between two samples of a run.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// Runs that are sampled at one time; others have no estimate.
const MAX_SAMPLED: usize = 100;

/// Samples the runs that change, until the hub shuts down.
pub(super) async fn sample_progress(hub: Hub) {
    let mut changes = hub.store.notifications().subscribe_runs();
    let mut closing = hub.closing.subscribe();
    let (mut changed, mut next) = (BTreeSet::new(), Instant::now() + SAMPLE_INTERVAL);
    while !*closing.borrow() {
        tokio::select! {
            biased;
            _ = closing.changed() => {}
            () = sleep_until(next) => {
                sample(&hub, std::mem::take(&mut changed)).await;
                next = Instant::now() + SAMPLE_INTERVAL;
            }
            // an error means that changes were missed; those runs will change again
            run = changes.recv() => if changed.len() < MAX_SAMPLED { changed.extend(run.ok()) },
        }
    }
}

async fn sample(hub: &Hub, runs: BTreeSet<RunId>) {
    for run in runs {
        // a store that fails is reported by the requests that need it
        if let Ok(Some(view)) = hub.store.run(run).await {
            hub.progress.record(hub.now(), &view);
        }
    }
}
