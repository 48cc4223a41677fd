//! Measures what a server sends while it arrives.
//!
//! The client buffers a message until it is whole, and a row or a notice may have a gigabyte. Each message begins with its type, one
//! byte, and its length, four bytes. [`Limited`] reads along, and fails with the head of a message that is too long; the client sees
//! a broken connection, and [`MessageLimit::refused`] says why.

use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::step::box_future::BoxFuture;

/// Bytes of a message's head: its type, and its length without the type.
const HEAD: usize = 5;

/// Bytes of a message at most while no step uses the connection.
const IDLE_LIMIT: u64 = 1 << 20;

/// The limit of a connection, which changes with the step that uses it.
#[derive(Clone, Debug)]
pub(super) struct MessageLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: AtomicU64,
    /// The length of the message that was refused; 0 if none was.
    refused: AtomicU64,
}

impl Default for MessageLimit {
    fn default() -> Self {
        Self(Arc::new(Shared { limit: AtomicU64::new(IDLE_LIMIT), refused: AtomicU64::new(0) }))
    }
}

impl MessageLimit {
    /// Sets the limit from a step's limit on results. The server sends text, which is about twice as long as an encoded result if it
    /// consists of bytes or short numbers.
    pub(super) fn set_for_results(&self, result_bytes: u64) {
        self.0.limit.store(result_bytes.saturating_mul(2).saturating_add(IDLE_LIMIT), Ordering::Relaxed);
    }

    /// Returns the length of the message for which the connection was given up, if it was.
    pub(super) fn refused(&self) -> Option<u64> {
        Some(self.0.refused.load(Ordering::Relaxed)).filter(|len| *len > 0)
    }

    fn check(&self, len: u64) -> io::Result<()> {
        let limit = self.0.limit.load(Ordering::Relaxed);
        if len <= limit {
            return Ok(());
        }
        self.0.refused.store(len, Ordering::Relaxed);
        Err(io::Error::other(format!("the server sends a message of {len} bytes, and the limit is {limit}")))
    }
}

/// Where in the messages a stream is.
#[derive(Debug, Default)]
struct Position {
    head: [u8; HEAD],
    /// Bytes of the head that are known.
    known: usize,
    /// Bytes of the message that are to come.
    body: u64,
}

impl Position {
    /// Moves past bytes that arrived.
    fn advance(&mut self, mut bytes: &[u8], limit: &MessageLimit) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.body > 0 {
                let skipped = usize::try_from(self.body).unwrap_or(usize::MAX).min(bytes.len());
                self.body -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let Some((byte, rest)) = bytes.split_first() else { break };
            if let Some(place) = self.head.get_mut(self.known) {
                *place = *byte;
            }
            (self.known, bytes) = (self.known + 1, rest);
            if self.known == HEAD {
                let [_, length @ ..] = self.head;
                let length = u64::from(u32::from_be_bytes(length));
                limit.check(length)?;
                // the length includes its own four bytes
                (self.known, self.body) = (0, length.saturating_sub(4));
            }
        }
        Ok(())
    }
}

/// A stream of messages, none of which is longer than a limit.
#[derive(Debug)]
pub(super) struct Limited<S> {
    stream: S,
    limit: MessageLimit,
    position: Position,
}

impl<S> Limited<S> {
    pub(super) fn new(stream: S, limit: MessageLimit) -> Self {
        Self { stream, limit, position: Position::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Self { stream, limit, position } = &mut *self;
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        Poll::Ready(position.advance(buffer.filled().get(before..).unwrap_or_default(), limit))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: TlsStream + Unpin> TlsStream for Limited<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// A connector whose streams are limited behind their encryption.
pub(super) struct LimitedTls<T> {
    pub(super) tls: T,
    pub(super) limit: MessageLimit,
}

impl<S, T> TlsConnect<S> for LimitedTls<T>
where
    S: 'static,
    T: TlsConnect<S> + 'static,
    T::Stream: 'static,
    T::Error: 'static,
    T::Future: Send + 'static,
{
    type Stream = Limited<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let (connecting, limit) = (self.tls.connect(stream), self.limit);
        Box::pin(async move { Ok(Limited::new(connecting.await?, limit)) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn message(body: usize) -> Vec<u8> {
        let length = u32::try_from(body + 4).expect("short").to_be_bytes();
        [&b"D"[..], &length, &vec![7; body]].concat()
    }

    async fn read(bytes: &[u8], at_once: usize) -> (io::Result<usize>, MessageLimit) {
        let limit = MessageLimit::default();
        limit.set_for_results(0);
        // read in small parts, so that heads are cut anywhere
        let (mut stream, mut read) = (Limited::new(bytes, limit.clone()), 0);
        let mut part = vec![0; at_once];
        loop {
            match stream.read(&mut part).await {
                Ok(0) => return (Ok(read), limit),
                Ok(len) => read += len,
                Err(error) => return (Err(error), limit),
            }
        }
    }

    #[tokio::test]
    async fn messages_up_to_the_limit_pass_wherever_their_heads_are_cut() {
        let bytes = [message(0), message(1), message(1 << 19), message((1 << 20) - 4), message(3)].concat();
        for at_once in [1, 2, 3, 4, 5, 6, 7, 8192, 1 << 22] {
            let (read, limit) = read(&bytes, at_once).await;
            assert_eq!((read.expect("no limit"), limit.refused()), (bytes.len(), None));
        }
    }

    #[tokio::test]
    async fn the_head_of_a_longer_message_is_enough_to_refuse_it() {
        for at_once in [1, 7, 8192] {
            let (read, limit) = read(&[message(9), message(1 << 20)[..HEAD].to_vec()].concat(), at_once).await;
            assert!(read.is_err());
            assert_eq!(limit.refused(), Some((1 << 20) + 4));
        }
    }
}
