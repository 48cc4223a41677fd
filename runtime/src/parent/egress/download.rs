//! The body of a response on its way in: as much as is asked for, when it is asked for.

use core::time::Duration;

use bue_model::net::{NetError, NetErrorKind};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::parent::egress::gate::Place;
use crate::parent::egress::trouble;

/// A response's body and what of it came and was not taken.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    place: Place,
    left: Bytes,
    /// Nothing more comes.
    over: bool,
    failed: Option<NetError>,
}

impl Download {
    pub(crate) fn new(body: Incoming, place: Place) -> Self {
        let over = body.is_end_stream();
        Self { body, place, left: Bytes::new(), over, failed: None }
    }

    /// Everything was taken, and nothing went wrong.
    pub(crate) fn is_over(&self) -> bool {
        self.over && self.left.is_empty() && self.failed.is_none()
    }

    /// What is there already, and no waiting for more. What went wrong behind it is told by the next read.
    pub(crate) fn ready(&mut self, max: usize) -> Bytes {
        let mut taken = BytesMut::new();
        while taken.len() < max {
            if self.left.is_empty() && (self.over || self.frame().now_or_never().is_none()) {
                break;
            }
            taken.extend_from_slice(&self.take(max - taken.len()));
        }
        taken.freeze()
    }

    /// Something, or nothing at the end. Waits no longer than `silence` for it.
    pub(crate) async fn read(&mut self, max: usize, silence: Duration) -> Result<Bytes, NetError> {
        while self.left.is_empty() && !self.over {
            if tokio::time::timeout(silence, self.frame()).await.is_err() {
                return Err(self.silent(silence));
            }
        }
        if self.left.is_empty() {
            return self.failed.take().map_or_else(|| Ok(Bytes::new()), Err);
        }
        let first = self.take(max);
        let more = self.ready(max - first.len());
        if more.is_empty() { Ok(first) } else { Ok([first, more].concat().into()) }
    }

    fn take(&mut self, max: usize) -> Bytes {
        self.left.split_to(self.left.len().min(max))
    }

    /// The next frame goes to what is left. Asked only when nothing is.
    async fn frame(&mut self) {
        match self.body.frame().await {
            None => self.over = true,
            Some(Err(error)) => {
                self.failed = Some(trouble::describe(&error, &self.place));
                self.over = true;
            }
            Some(Ok(frame)) => {
                // trailers are nothing that Python's libraries have a place for
                self.left = frame.into_data().unwrap_or_default();
                self.over = self.body.is_end_stream();
            }
        }
    }

    fn silent(&self, silence: Duration) -> NetError {
        NetError::new(NetErrorKind::ReadTimeout, format!("{} sent nothing for {silence:?}", self.place))
    }
}
