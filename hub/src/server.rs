//! The loop both servers share: accept, serve HTTP/1.1 with timeouts, stop in order.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::reply::Body;

/// Connections at one time; further ones wait in the system's queue. A worker keeps a handful.
const MAX_CONNECTIONS: usize = 4_096;
/// Time for a request's head, and for an idle connection to send one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
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
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = Self::accept(self).await?;
        // answers are small and somebody waits for them
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// Serves until `shutdown`, then lets requests under way end.
pub(crate) async fn serve<L, H, F>(mut listener: L, handler: H, shutdown: impl Future<Output = ()>)
where
    L: Listener,
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
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
        let connection = graceful.watch(connection(stream, handler.clone()));
        tokio::spawn(async move {
            // a client that goes away is no event
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended badly");
            }
            drop(permit);
        });
    }
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests still under way");
    }
}

fn connection<S, H, F>(
    stream: S,
    handler: H,
) -> http1::Connection<
    TokioIo<S>,
    impl hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>,
>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
}
