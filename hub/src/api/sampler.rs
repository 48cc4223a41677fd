//! The samplers: how far the runs that change have come, for [`RunProgress`](crate::api::progress::RunProgress), and how many runs,
//! jobs and workers there are, for the history.

use std::collections::BTreeSet;
use std::time::Duration;

use bue_model::{RunId, Timestamp};
use tokio::time::{Instant, sleep_until};

use crate::api::hub::Hub;
use crate::error::HubError;
use crate::records::history::{Tier, sample_of};

/// Between two samples of a run.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// Runs that are sampled at one time; others have no estimate.
const MAX_SAMPLED: usize = 100;

/// Samples the runs that change, until the hub shuts down.
pub(crate) async fn sample_progress(hub: Hub) {
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

/// Samples the hub for the history until it shuts down.
pub(crate) async fn sample_history(hub: Hub) {
    let mut closing = hub.closing.subscribe();
    while !*closing.borrow() {
        if let Err(error) = record_sample(&hub).await {
            tracing::warn!(%error, "failed to record a sample of the history");
        }
        // the clock may be set meanwhile; a slot lasts no longer than this
        let next = hub.instant_of(next_slot(hub.now())).min(Instant::now() + SAMPLE_INTERVAL);
        tokio::select! {
            biased;
            _ = closing.changed() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// Returns when the next slot of the history begins.
fn next_slot(now: Timestamp) -> Timestamp {
    let finest = Tier::finest();
    Timestamp(finest.slot(now).0.saturating_add(finest.interval_ms))
}

/// Records the sample of the slot that contains the hub's time, unless this or another hub has done so.
async fn record_sample(hub: &Hub) -> Result<(), HubError> {
    let now = hub.now();
    let slot = Tier::finest().slot(now);
    if !hub.store.history(now, slot..=slot).await?.samples.is_empty() {
        return Ok(());
    }
    let tally = hub.store.tally(now).await?;
    hub.store.record_sample(sample_of(now, &tally, hub.workers.count() as u64)).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use bue_model::wire::LeaseRequest;

    use super::*;
    use crate::{Durability, SqliteStore};

    const HOUR: i64 = 3_600_000;

    /// A day and a bit passes: every sample is taken once, and old ones are thinned out.
    #[tokio::test]
    async fn the_history_is_fine_for_an_hour_and_coarse_before() {
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        let clock = Arc::new(AtomicI64::new(0));
        let time = Arc::clone(&clock);
        let hub = Hub::with_clock(Arc::new(store), Arc::new(move || Timestamp(time.load(Ordering::Relaxed))));
        hub.workers.record_request(&LeaseRequest { worker: "w".into(), ..LeaseRequest::default() }, Timestamp(0));
        let end = 25 * HOUR;
        for now in (0..=end).step_by(10_000) {
            clock.store(now + 3, Ordering::Relaxed);
            record_sample(&hub).await.expect("a sample");
            record_sample(&hub).await.expect("not another one");
        }
        let samples = async |from: i64| {
            let view = hub.store.history(hub.now(), Timestamp(from)..=Timestamp(i64::MAX)).await.expect("a history");
            let times: Vec<i64> = view.samples.iter().map(|sample| sample.at.0).collect();
            assert!(times.is_sorted_by(|one, next| i64::try_from(view.interval_ms) == Ok(next - one)), "{times:?}");
            assert!(view.samples.iter().all(|sample| sample.workers == 1));
            (view.interval_ms, times.len(), times[0])
        };
        assert_eq!(samples(end - HOUR + 3).await, (10_000, 360, end - HOUR + 10_000));
        assert_eq!(samples(end - 24 * HOUR + 3).await, (60_000, 1_440, end - 24 * HOUR + 60_000));
        assert_eq!(samples(0).await, (600_000, 151, 0));
        // no hub ran for two hours: a gap, which is not filled
        clock.store(end + 2 * HOUR, Ordering::Relaxed);
        record_sample(&hub).await.expect("a sample");
        let view = hub.store.history(hub.now(), Timestamp(end)..=Timestamp(end + 2 * HOUR)).await.expect("a history");
        let times: Vec<i64> = view.samples.iter().map(|sample| sample.at.0).collect();
        assert_eq!((view.interval_ms, times), (60_000, vec![end, end + 2 * HOUR]));
        // the clock was far ahead and is set back
        clock.store(end, Ordering::Relaxed);
        record_sample(&hub).await.expect("a sample");
        let (_, _, first) = samples(end).await;
        assert_eq!(first, end);
    }
}
