//! Servers: one that answers by path, over HTTP/1, and ones that send given bytes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bue_test_support::wait::wait_until_async;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// The counters of a server.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    /// Connections that were closed.
    pub(crate) closed: AtomicUsize,
    /// The largest number of requests at once.
    pub(crate) most: AtomicUsize,
    now: AtomicUsize,
    /// Bytes of bodies sent or received.
    passed: Arc<AtomicUsize>,
}

impl Seen {
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until this many connections are closed.
    pub(crate) async fn wait_for_closed(&self, count: usize) {
        let what = format!("{count} connections are closed");
        wait_until_async(&what, async || self.closed.load(Ordering::SeqCst) >= count).await;
    }
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A server that answers by path.
pub(crate) async fn serve() -> (SocketAddr, Arc<Seen>) {
    let (listener, address) = listen().await;
    let seen = Arc::new(Seen::default());
    let server_seen = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&server_seen);
            tokio::spawn(async move {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let request_seen = Arc::clone(&seen);
                let service = service_fn(move |request| answer(request, Arc::clone(&request_seen)));
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                seen.closed.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (address, seen)
}

pub(crate) async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Reply, Infallible> {
    let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most.fetch_max(now, Ordering::SeqCst);
    let reply = by_path(request, &seen).await;
    seen.now.fetch_sub(1, Ordering::SeqCst);
    Ok(reply)
}

async fn by_path(request: Request<Incoming>, seen: &Seen) -> Reply {
    let path = request.uri().path().to_owned();
    let number = path.rsplit('/').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
    match path.split('/').nth(1).unwrap_or_default() {
        "echo" => echo(request).await,
        "count" => count(request, seen).await,
        "bytes" => flow(number, seen),
        "status" => reply(u16::try_from(number).expect("a status"), ""),
        "gzip" => {
            let mut compressed = reply(200, "not really zipped");
            compressed.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
            compressed
        }
        "redirect" => {
            let mut redirect = reply(302, "");
            redirect.headers_mut().insert("location", "http://169.254.169.254/".parse().expect("a value"));
            redirect
        }
        // answered when this many requests have arrived
        "together" => {
            for _ in 0..1000 {
                if seen.most.load(Ordering::SeqCst) >= number {
                    return reply(200, "together");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            reply(500, "alone")
        }
        "headers" => {
            let mut many = reply(200, "");
            for index in 0..number {
                let name: hyper::header::HeaderName = format!("x-{index}").parse().expect("a name");
                many.headers_mut().insert(name, "v".repeat(100).parse().expect("a value"));
            }
            many
        }
        "hang" => core::future::pending().await,
        _ => reply(404, "no such path"),
    }
}

pub(crate) fn reply(status: u16, text: &str) -> Reply {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(io::Error::other).boxed_unsync();
    Response::builder().status(status).body(body).expect("a response")
}

/// What was requested, in lines: method and path, headers, body.
async fn echo(request: Request<Incoming>) -> Reply {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&body));
    reply(200, &text)
}

/// The length of the body, or that it was cut off.
async fn count(request: Request<Incoming>, seen: &Seen) -> Reply {
    let mut body = request.into_body();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let piece = frame.data_ref().map_or(0, Bytes::len);
                seen.passed.fetch_add(piece, Ordering::SeqCst);
                len += piece;
            }
            Err(_) => return reply(400, "cut off"),
        }
    }
    reply(200, &len.to_string())
}

/// This many bytes, in pieces.
fn flow(len: usize, seen: &Seen) -> Reply {
    const PIECE: usize = 64 * 1024;
    let pieces = (0..len.div_ceil(PIECE)).map(move |index| PIECE.min(len - index * PIECE));
    let passed = Arc::clone(&seen.passed);
    let frames = pieces.map(move |len| {
        passed.fetch_add(len, Ordering::SeqCst);
        Ok(Frame::data(Bytes::from(vec![b'x'; len])))
    });
    Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
}

/// A server that reads a request's head, sends these pieces with pauses between them, and closes the connection.
pub(crate) async fn serve_bytes(pieces: Vec<Vec<u8>>, pause: Duration) -> (SocketAddr, Arc<Seen>) {
    let (listener, address) = listen().await;
    let seen = Arc::new(Seen::default());
    let server_seen = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, pieces) = (Arc::clone(&server_seen), pieces.clone());
            tokio::spawn(async move {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let _ = write_pieces(stream, pieces, pause).await;
                seen.closed.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (address, seen)
}

async fn write_pieces(mut stream: TcpStream, pieces: Vec<Vec<u8>>, pause: Duration) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    for piece in pieces {
        stream.write_all(&piece).await?;
        tokio::time::sleep(pause).await;
    }
    stream.shutdown().await
}
