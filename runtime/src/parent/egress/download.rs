//! The body of a response, read as the step requests it: back-pressure reaches the server.

use core::time::Duration;

use bue_model::net::{NetError, NetErrorKind};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::parent::egress::exchange_error::net_error;
use crate::parent::egress::gate::Authority;

/// A response's body, and what of it has arrived and was not read.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    authority: Authority,
    buffered: Bytes,
    /// Nothing more will arrive.
    is_at_end: bool,
    failed: Option<NetError>,
}

impl Download {
    pub(crate) fn new(body: Incoming, authority: Authority) -> Self {
        let is_at_end = body.is_end_stream();
        Self { body, authority, buffered: Bytes::new(), is_at_end, failed: None }
    }

    /// Returns whether everything was read without an error.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_at_end && self.buffered.is_empty() && self.failed.is_none()
    }

    /// Returns what has arrived, without waiting for more. The next read returns an error that follows it.
    pub(crate) fn take_available(&mut self, max: usize) -> Bytes {
        let mut taken = BytesMut::new();
        while taken.len() < max {
            if self.buffered.is_empty() && (self.is_at_end || self.read_frame().now_or_never().is_none()) {
                break;
            }
            taken.extend_from_slice(&self.take(max - taken.len()));
        }
        taken.freeze()
    }

    /// Returns the next bytes, or none at the end. Waits at most `timeout` for them.
    pub(crate) async fn read(&mut self, max: usize, timeout: Duration) -> Result<Bytes, NetError> {
        while self.buffered.is_empty() && !self.is_at_end {
            if tokio::time::timeout(timeout, self.read_frame()).await.is_err() {
                return Err(self.timed_out(timeout));
            }
        }
        if self.buffered.is_empty() {
            return self.failed.take().map_or_else(|| Ok(Bytes::new()), Err);
        }
        let first = self.take(max);
        let more = self.take_available(max - first.len());
        if more.is_empty() { Ok(first) } else { Ok([first, more].concat().into()) }
    }

    fn take(&mut self, max: usize) -> Bytes {
        self.buffered.split_to(self.buffered.len().min(max))
    }

    /// Reads the next frame into the empty buffer.
    async fn read_frame(&mut self) {
        match self.body.frame().await {
            None => self.is_at_end = true,
            Some(Err(error)) => {
                self.failed = Some(net_error(&error, &self.authority));
                self.is_at_end = true;
            }
            Some(Ok(frame)) => {
                // trailers are dropped: Python's libraries have no use for them
                self.buffered = frame.into_data().unwrap_or_default();
                self.is_at_end = self.body.is_end_stream();
            }
        }
    }

    fn timed_out(&self, timeout: Duration) -> NetError {
        NetError::new(NetErrorKind::ReadTimeout, format!("{} sent nothing for {timeout:?}", self.authority))
    }
}
