//! `GET /v1/events`: the ids of runs that change, as server-sent events. Clients then read the run itself.

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
use tokio::time::sleep;

use crate::api::hub_metrics::GaugeGuard;
use crate::http::reply::{Body, typed};

/// Between comments that keep the connection alive and reveal a broken one.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Returns a response that ends when the server shuts down. Holds `listener` as long as it is read.
pub(super) fn event_stream(
    changes: Receiver<RunId>,
    closing: watch::Receiver<bool>,
    listener: GaugeGuard,
) -> Response<Body> {
    let stream = unfold((changes, closing, listener), |(mut changes, mut closing, listener)| async move {
        let text = next_event(&mut changes, &mut closing).await?;
        Some((Ok(Frame::data(Bytes::from(text))), (changes, closing, listener)))
    });
    let mut response = typed("text/event-stream", Bytes::new());
    *response.body_mut() = StreamBody::new(stream).boxed_unsync();
    response
}

async fn next_event(changes: &mut Receiver<RunId>, closing: &mut watch::Receiver<bool>) -> Option<String> {
    if *closing.borrow() {
        return None;
    }
    tokio::select! {
        change = changes.recv() => match change {
            Ok(run) => Some(format!("event: run\ndata: {{\"run\":\"{run}\"}}\n\n")),
            // the client is too slow: any run may have changed
            Err(RecvError::Lagged(_)) => Some("event: lagged\ndata: {}\n\n".to_owned()),
            Err(RecvError::Closed) => None,
        },
        () = sleep(KEEP_ALIVE_INTERVAL) => Some(": still here\n\n".to_owned()),
        _ = closing.changed() => None,
    }
}
