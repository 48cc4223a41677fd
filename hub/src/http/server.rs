//! The accept loop of both servers: accepts connections, limits them, serves HTTP/1.1 with timeouts, shuts down gracefully.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::http::accept::{HEADER_TIMEOUT, accept};
use crate::http::connection_limit::{ConnectionLimit, MAX_PER_ADDRESS, RequestCounter};
use crate::http::held_body::hold_until_sent;
use crate::http::log_rate_limiter::LogRateLimiter;
use crate::http::reply::Body;
use crate::http::timeout_stream::TimeoutStream;
use crate::http::tls::Tls;

/// Open connections. A further one closes the oldest that is idle, or waits. A worker keeps a handful.
const MAX_CONNECTIONS: usize = 4_096;
/// Bytes of a request's head. Also the size of the read buffer.
const MAX_HEAD: usize = 64 * 1024;
/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// Time for requests in progress to finish when the server shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
/// Pause after accept(2) failed, mostly for lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Where connections come from: a TCP port, or a simulated network.
pub trait Listener: Send {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Returns the next connection. Cancel-safe: dropping the future before it is ready loses no connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The address of a connection's client, by which connections are limited. `None` if connections have no address.
    fn peer(&self, _stream: &Self::Stream) -> Option<IpAddr> {
        None
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = Self::accept(self).await?;
        // TCP_NODELAY: replies are small and a client waits for each; where it cannot be set, they are only slower
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn peer(&self, stream: &TcpStream) -> Option<IpAddr> {
        stream.peer_addr().ok().map(|address| address.ip())
    }
}

/// The client's address; an extension of each request. `None` if connections have no address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

/// What a connection is served with.
#[derive(Clone)]
struct ConnectionHandler<H> {
    handler: H,
    tls: Option<Tls>,
    /// For lines about connections that were refused.
    log_limiter: Arc<LogRateLimiter>,
    closing: watch::Receiver<bool>,
}

/// Serves until `shutdown` completes, then lets requests in progress finish.
pub(crate) async fn serve<L, H, F>(mut listener: L, tls: Option<Tls>, handler: H, shutdown: impl Future<Output = ()>)
where
    L: Listener,
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (graceful, open) = (GracefulShutdown::new(), ConnectionLimit::default());
    let (close, closing) = watch::channel(false);
    let connection_handler = ConnectionHandler { handler, tls, log_limiter: Arc::default(), closing };
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            // polled in this order, so that a simulation is reproducible
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        if connections.available_permits() == 0 {
            open.close_idle();
        }
        let permit = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // the semaphore is never closed
            permit = connections.clone().acquire_owned() => permit.ok(),
        };
        let peer = Peer(listener.peer(&stream));
        let Some(connection_permit) = open.try_acquire(peer.0) else {
            let reason =
                format!("its address has {MAX_PER_ADDRESS} connections with requests, the maximum for one address");
            connection_handler.log_refusal(peer, &reason);
            continue;
        };
        let requests = connection_permit.request_counter();
        let connection = connection_handler.clone().serve(stream, peer, requests, graceful.watcher());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = connection => {}
                () = connection_permit.closing() => {}
            }
            drop((permit, connection_permit));
        });
    }
    drop(listener);
    close.send_replace(true);
    if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("shut down with requests still in progress");
    }
}

impl<H, F> ConnectionHandler<H>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    /// Serves one connection, from its first byte to its end.
    async fn serve<S>(mut self, stream: S, peer: Peer, requests: RequestCounter, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let accepted = tokio::select! {
            biased;
            _ = self.closing.changed() => return,
            accepted = accept(TimeoutStream::new(stream), self.tls.as_ref()) => accepted,
        };
        match accepted {
            Ok(Some(stream)) => self.serve_http(stream, peer, requests, watcher).await,
            // the client sent nothing
            Ok(None) => {}
            Err(reason) => self.log_refusal(peer, &reason),
        }
    }

    async fn serve_http<S>(self, stream: S, peer: Peer, requests: RequestCounter, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handler = self.handler.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let (guard, response) = (requests.start(), handler(request));
            async move { Ok::<_, Infallible>(hold_until_sent(response.await, guard)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        match watcher.watch(connection).await {
            Err(error) if error.is_parse() => self.log_refusal(peer, &format!("the client did not send HTTP: {error}")),
            // clients come and go
            Err(error) => tracing::debug!(%error, "a connection broke"),
            Ok(()) => {}
        }
    }
}

impl<H> ConnectionHandler<H> {
    fn log_refusal(&self, Peer(peer): Peer, reason: &str) {
        if let Some(suppressed) = self.log_limiter.try_acquire() {
            let peer = peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
            tracing::warn!(peer, suppressed, "refused a connection: {reason}");
        }
    }
}
