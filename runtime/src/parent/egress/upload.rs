//! The body of a request, and the progress of the attempt to send it.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

/// Bytes of a whole body that are given to the connection at a time.
const MAX_FRAME_BYTES: usize = 64 * 1024;

/// A piece of a streamed body.
#[derive(Debug)]
pub(crate) enum BodyPiece {
    Bytes(Bytes),
    End,
}

/// A request's body.
#[derive(Debug)]
pub(crate) struct Upload {
    content: Content,
    attempt: Arc<Attempt>,
}

#[derive(Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    /// A stream that ends without [`BodyPiece::End`] was cut off and must not look complete to the server.
    Streamed(mpsc::Receiver<BodyPiece>),
    /// Nothing, or nothing more.
    Finished,
}

impl Upload {
    pub(crate) fn new(content: Content, attempt: Arc<Attempt>) -> Self {
        Self { content, attempt }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.attempt.progressed();
        let this = &mut *self;
        match &mut this.content {
            Content::Finished => Poll::Ready(None),
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => {
                let frame = bytes.split_to(bytes.len().min(MAX_FRAME_BYTES));
                Poll::Ready(Some(Ok(Frame::data(frame))))
            }
            Content::Streamed(pieces) => match core::task::ready!(pieces.poll_recv(context)) {
                Some(BodyPiece::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(BodyPiece::End) => {
                    this.content = Content::Finished;
                    Poll::Ready(None)
                }
                None => {
                    Poll::Ready(Some(Err(io::Error::other("the step closed its request before the body was complete"))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Finished => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Finished => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Streamed(_) => SizeHint::default(),
        }
    }
}

/// One attempt to get a response, shared by the parts that work on it.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The timeout for a connection.
    pub(crate) connect_timeout: Duration,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// A connection is being made, which has its own timeout.
    connecting: bool,
    /// The time of the last progress.
    last: Instant,
}

impl Attempt {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { connect_timeout, progress: Mutex::new(Progress { connecting: false, last: Instant::now() }) }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn progressed(&self) {
        self.progress().last = Instant::now();
    }

    pub(crate) fn set_connecting(&self, connecting: bool) {
        *self.progress() = Progress { connecting, last: Instant::now() };
    }

    /// Returns when the attempt has made no progress for this long.
    pub(crate) async fn stalled(&self, timeout: Duration) {
        // a sleep of zero length would never yield
        let timeout = timeout.max(Duration::from_millis(1));
        loop {
            let (connecting, last) = {
                let progress = self.progress();
                (progress.connecting, progress.last)
            };
            let now = Instant::now();
            let until = if connecting { now + timeout } else { last + timeout };
            if until <= now && !connecting {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}
