//! The loop both servers share: accept, speak TLS where there is a certificate, serve HTTP/1.1 with timeouts, stop in order.

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

use crate::http::accept::open;
use crate::http::connection_limit::{MAX_FROM_ONE, Peers};
use crate::http::log_limit::Seldom;
use crate::http::reply::Body;
use crate::http::timeout_stream::Guarded;
use crate::http::tls::Tls;

/// Connections at one time; further ones wait in the system's queue. A worker keeps a handful.
const MAX_CONNECTIONS: usize = 4_096;
/// Time for a request's head, and for an idle connection to send one.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head, read buffer included.
const MAX_HEAD: usize = 64 * 1024;
/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// Time for requests under way when the server stops.
const DRAIN: Duration = Duration::from_secs(8);
/// Rest after the system refused a connection, for want of file descriptors mostly.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Where connections come from: a TCP port, or a network that is simulated.
pub trait Listener: Send {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection. None is lost when the future is dropped before it is ready.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Whose it is, where connections come from addresses. One address may have only so many.
    fn peer(&self, _stream: &Self::Stream) -> Option<IpAddr> {
        None
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = Self::accept(self).await?;
        // answers are small and somebody waits for them
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn peer(&self, stream: &TcpStream) -> Option<IpAddr> {
        stream.peer_addr().ok().map(|address| address.ip())
    }
}

/// Who sent a request, where connections come from addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

/// What a connection is served with.
#[derive(Clone)]
struct Service<H> {
    handler: H,
    tls: Option<Tls>,
    /// What strangers do wrong.
    troubles: Arc<Seldom>,
    closing: watch::Receiver<bool>,
}

/// Serves until `shutdown`, then lets requests under way end.
pub(crate) async fn serve<L, H, F>(mut listener: L, tls: Option<Tls>, handler: H, shutdown: impl Future<Output = ()>)
where
    L: Listener,
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (graceful, peers) = (GracefulShutdown::new(), Peers::default());
    let (close, closing) = watch::channel(false);
    let service = Service { handler, tls, troubles: Arc::default(), closing };
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            // the semaphore is never closed
            let permit = room.clone().acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (stream, permit) = tokio::select! {
            // in this order, so that a simulation goes the same way every time
            biased;
            () = &mut shutdown => break,
            (accepted, permit) = accepted => match accepted {
                Ok(stream) => (stream, permit),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    sleep(ACCEPT_REST).await;
                    continue;
                }
            },
        };
        let peer = Peer(listener.peer(&stream));
        let Some(seat) = peers.admit(peer.0) else {
            service.complain(peer, &format!("it has {MAX_FROM_ONE} connections, the most one address may have"));
            continue;
        };
        let serving = service.clone().serve(stream, peer, graceful.watcher());
        tokio::spawn(async move {
            serving.await;
            drop((permit, seat));
        });
    }
    drop(listener);
    close.send_replace(true);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests still under way");
    }
}

impl<H, F> Service<H>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    /// One connection, from its first byte to its end.
    async fn serve<S>(mut self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = tokio::select! {
            biased;
            _ = self.closing.changed() => return,
            opened = open(Guarded::new(stream), self.tls.as_ref()) => opened,
        };
        match opened {
            Ok(Some(stream)) => self.speak(stream, peer, watcher).await,
            // it said nothing
            Ok(None) => {}
            Err(why) => self.complain(peer, &why),
        }
    }

    async fn speak<S>(self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handler = self.handler.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        match watcher.watch(connection).await {
            Err(error) if error.is_parse() => self.complain(peer, &format!("what it sent is no HTTP: {error}")),
            // a client that goes away is no event
            Err(error) => tracing::debug!(%error, "a connection ended badly"),
            Ok(()) => {}
        }
    }
}

impl<H> Service<H> {
    fn complain(&self, Peer(peer): Peer, why: &str) {
        if let Some(unsaid) = self.troubles.may_say() {
            let peer = peer.map_or_else(|| "somebody".to_owned(), |peer| peer.to_string());
            tracing::warn!(peer, unsaid, "refused a connection: {why}");
        }
    }
}
