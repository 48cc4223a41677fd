//! `GET /v1/events`: the ids of runs as they change, as server-sent events. Who wants to know more asks for the run.

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

use crate::api::hub_metrics::Waiting;
use crate::http::reply::{Body, typed};

/// A comment now and then shows both sides that the other one is there.
const SILENCE: Duration = Duration::from_secs(15);

/// An answer that ends when the server stops.
pub(crate) fn events(changes: Receiver<RunId>, closing: watch::Receiver<bool>, listening: Waiting) -> Response<Body> {
    let stream = unfold((changes, closing, listening), |(mut changes, mut closing, listening)| async move {
        let text = next_event(&mut changes, &mut closing).await?;
        Some((Ok(Frame::data(Bytes::from(text))), (changes, closing, listening)))
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
            // too slow: everything may have changed
            Err(RecvError::Lagged(_)) => Some("event: lagged\ndata: {}\n\n".to_owned()),
            Err(RecvError::Closed) => None,
        },
        () = sleep(SILENCE) => Some(": still here\n\n".to_owned()),
        _ = closing.changed() => None,
    }
}
