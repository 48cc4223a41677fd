//! `GET /v1/events`: the ids of runs that change, as server-sent events. Clients then read the run itself.
//!
//! ```text
//! JobStore --changes--> send_run_changes --batches--> event_stream, one for each client
//! ```
//! A busy hub changes runs thousands of times per second, and hundreds of pages may listen. One task therefore collects the changes of a
//! moment, so that a client costs a few writes per second at most.

use std::time::Duration;

use bue_model::RunId;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::hub::Hub;
use crate::api::hub_metrics::GaugeGuard;
use crate::api::run_changes::{Batch, LAGGED};
use crate::http::reply::{Body, typed};

/// Between comments that keep the connection alive and reveal a broken one.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// The least time between two batches. After this time without changes, a change is sent at once.
const BATCH_INTERVAL: Duration = Duration::from_millis(250);

/// A client that listens.
struct Listener {
    batches: Receiver<Batch>,
    /// The only run whose changes it wants.
    run: Option<RunId>,
    closing: watch::Receiver<bool>,
    /// Counts it as long as it listens.
    _counted: GaugeGuard,
}

/// Sends the changes of runs in batches until the hub shuts down.
pub(crate) async fn send_run_changes(hub: Hub) {
    let mut changes = hub.store.notifications().subscribe_runs();
    let mut closing = hub.closing.subscribe();
    let send = async {
        while let Some(batch) = Batch::next(&mut changes).await {
            hub.run_changes.send(batch);
            sleep(BATCH_INTERVAL).await;
        }
    };
    let shutdown = async {
        // an error means that the hub is gone
        while !*closing.borrow() && closing.changed().await.is_ok() {}
    };
    tokio::select! {
        biased;
        () = shutdown => {}
        () = send => {}
    }
}

/// Returns a response that ends when the server shuts down: the changes of all runs, or of one. Holds `counted` as long as it is read.
pub(super) fn event_stream(hub: &Hub, run: Option<RunId>, counted: GaugeGuard) -> Response<Body> {
    let (batches, closing) = (hub.run_changes.subscribe(), hub.closing.subscribe());
    let stream = unfold(Listener { batches, run, closing, _counted: counted }, |mut listener| async move {
        let text = listener.next_text().await?;
        Some((Ok(Frame::data(text)), listener))
    });
    let mut response = typed("text/event-stream", Bytes::new());
    *response.body_mut() = StreamBody::new(stream).boxed_unsync();
    response
}

impl Listener {
    async fn next_text(&mut self) -> Option<Bytes> {
        let keep_alive_at = Instant::now() + KEEP_ALIVE_INTERVAL;
        while !*self.closing.borrow() {
            let batch = tokio::select! {
                batch = self.batches.recv() => batch,
                () = sleep_until(keep_alive_at) => return Some(Bytes::from_static(b": still here\n\n")),
                _ = self.closing.changed() => return None,
            };
            match batch {
                Ok(batch) => {
                    if let Some(text) = batch.text_for(self.run) {
                        return Some(text);
                    }
                }
                // the client is too slow
                Err(RecvError::Lagged(_)) => return Some(LAGGED),
                Err(RecvError::Closed) => return None,
            }
        }
        None
    }
}
