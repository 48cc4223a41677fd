//! The body of a request on its way out, and what is known of how it goes.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

/// Bytes of a whole body that are handed to the connection at a time.
const SLICE: usize = 64 * 1024;

/// A part of a streamed body.
#[derive(Debug)]
pub(crate) enum Piece {
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
    /// A stream that ends without [`Piece::End`] was cut off, and must not look whole to the server.
    Streamed(mpsc::Receiver<Piece>),
    Over,
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
        self.attempt.touch();
        let this = &mut *self;
        match &mut this.content {
            Content::Over => Poll::Ready(None),
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => {
                let slice = bytes.split_to(bytes.len().min(SLICE));
                Poll::Ready(Some(Ok(Frame::data(slice))))
            }
            Content::Streamed(pieces) => match core::task::ready!(pieces.poll_recv(context)) {
                Some(Piece::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Piece::End) => {
                    this.content = Content::Over;
                    Poll::Ready(None)
                }
                None => Poll::Ready(Some(Err(io::Error::other("the step gave its request up half-way")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Over => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Over => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Streamed(_) => SizeHint::default(),
        }
    }
}

/// One try to get a response, as the parts that work at it see it.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Time for a connection.
    pub(crate) connect: Duration,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// A connection is being made: its own time counts.
    connecting: bool,
    /// When the request last went on.
    last: Instant,
}

impl Attempt {
    pub(crate) fn new(connect: Duration) -> Self {
        Self { connect, progress: Mutex::new(Progress { connecting: false, last: Instant::now() }) }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn touch(&self) {
        self.progress().last = Instant::now();
    }

    pub(crate) fn set_connecting(&self, connecting: bool) {
        *self.progress() = Progress { connecting, last: Instant::now() };
    }

    /// Ends when nothing went on for so long.
    pub(crate) async fn silence(&self, longest: Duration) {
        // a wait of no length would never give way
        let longest = longest.max(Duration::from_millis(1));
        loop {
            let (connecting, last) = {
                let progress = self.progress();
                (progress.connecting, progress.last)
            };
            let now = Instant::now();
            let until = if connecting { now + longest } else { last + longest };
            if until <= now && !connecting {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}
