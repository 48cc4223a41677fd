//! A server with the behaviours of the web: it echoes, redirects, sets cookies, compresses, waits, sends slowly, refuses and
//! breaks off.

use core::convert::Infallible;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Collected, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// `zipped text` and `deflated text`.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0xca, 0x2c, 0x28, 0x48, 0x4d, 0x51, 0x28, 0x49,
    0xad, 0x28, 0x01, 0x00, 0xb5, 0xbf, 0xee, 0x97, 0x0b, 0x00, 0x00, 0x00,
];
const DEFLATE: &[u8] = &[
    0x78, 0x9c, 0x4b, 0x49, 0x4d, 0xcb, 0x49, 0x2c, 0x49, 0x4d, 0x51, 0x28, 0x49, 0xad, 0x28, 0x01, 0x00, 0x23, 0x9e,
    0x05, 0x1f,
];

/// A response whose body has a length and chunks. The chunks count.
const TWO_LENGTHS: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";

/// Servers of all kinds, while the runtime lives.
pub(super) struct Servers {
    /// Their addresses by name.
    pub(super) addresses: Vec<(&'static str, String)>,
    /// The certificate of `https` and `h2`.
    pub(super) certificate: PathBuf,
}

/// What the requests have in common.
#[derive(Debug, Default)]
struct Seen {
    /// Requests per path.
    visits: Mutex<HashMap<String, usize>>,
    crowds: Mutex<HashMap<String, Crowd>>,
    together: AtomicUsize,
}

/// The requests of one path that are in flight.
#[derive(Debug, Default)]
struct Crowd {
    now: usize,
    most: usize,
}

impl Servers {
    pub(super) async fn start(folder: &TempDir) -> Self {
        let certificate = folder.path().join("ca.pem");
        let (trusted, pem) = identity();
        std::fs::write(&certificate, pem).expect("a file");
        let (untrusted, _) = identity();
        let https = |address: SocketAddr| format!("https://localhost:{}", address.port());
        let addresses = vec![
            ("http", format!("http://{}", plain().await)),
            ("https", https(secure(trusted.clone_key(), "http/1.1").await)),
            ("h2", https(secure(trusted, "h2").await)),
            ("untrusted", https(secure(untrusted, "http/1.1").await)),
            ("garbage", format!("http://{}", always(b"SSH-2.0-nobody\r\n\r\n").await)),
            ("two_lengths", format!("http://{}", always(TWO_LENGTHS).await)),
            ("closed", format!("http://{}", closed_port().await)),
            ("denied", "http://127.0.0.9:80".to_owned()),
        ];
        Self { addresses, certificate }
    }
}

struct Identity {
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    fn clone_key(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

fn identity() -> (Identity, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    (Identity { chain: vec![cert.der().clone()], key }, cert.pem())
}

pub(super) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

pub(super) async fn plain() -> SocketAddr {
    let (listener, address) = listen().await;
    let seen = Arc::new(Seen::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, "http/1.1", Arc::clone(&seen)));
        }
    });
    address
}

async fn secure(identity: Identity, protocol: &'static str) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let key = PrivateKeyDer::Pkcs8(identity.key);
    let mut config = config.with_no_client_auth().with_single_cert(identity.chain, key).expect("a key");
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listen().await;
    let seen = Arc::new(Seen::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, protocol, seen).await;
                }
            });
        }
    });
    address
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, protocol: &str, seen: Arc<Seen>) {
    let service = service_fn(move |request| {
        let seen = Arc::clone(&seen);
        async move { Ok::<_, Infallible>(by_path(request, &seen).await) }
    });
    let stream = TokioIo::new(stream);
    let _ = match protocol {
        "h2" => http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await,
        _ => http1::Builder::new().serve_connection(stream, service).await,
    };
}

/// Reads a little and answers with something that is not HTTP.
/// A server that sends these bytes, whatever the request.
async fn always(bytes: &'static [u8]) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 1024];
            let _ = stream.read(&mut some).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    address
}

/// A port that was free a moment ago.
pub(super) async fn closed_port() -> SocketAddr {
    listen().await.1
}

async fn by_path(request: Request<Incoming>, seen: &Seen) -> Reply {
    let path = request.uri().path().to_owned();
    let (_, rest) = path.split_at(1.min(path.len()));
    let (word, argument) = rest.split_once('/').unwrap_or((rest, ""));
    let number = argument.split('/').next_back().and_then(|number| number.parse::<u16>().ok()).unwrap_or(200);
    match word {
        "echo" => echo(request).await,
        "status" => reply(number, &[], if matches!(number, 204 | 304) { "" } else { "a body" }),
        "redirect" => redirect(number, request.uri().query().unwrap_or("/echo")),
        "loop" => redirect(302, "/loop"),
        "cookie" => reply(200, &[("set-cookie", "taste=sweet; Path=/"), ("set-cookie", "size=2; Path=/")], "baked"),
        "gzip" => bytes(&[("content-encoding", "gzip")], GZIP),
        "deflate" => bytes(&[("content-encoding", "deflate")], DEFLATE),
        "multipart" => bytes(&[("content-type", "multipart/mixed; boundary=x")], b"--x\r\n\r\npart\r\n--x--\r\n"),
        "latin" => bytes(&[("content-type", "text/plain; charset=latin-1")], b"caf\xe9"),
        "chunked" => pieces(&["one,", "two,", "three"], Duration::ZERO, &[]),
        "lines" => pieces(&["first\nsec", "ond\nthi", "rd\n"], Duration::from_millis(20), &[]),
        "drip" => pieces(&["a", "b", "c", "d", "e"], Duration::from_millis(20), &[("content-length", "5")]),
        "stuck" => pieces(&["a", "b"], Duration::from_secs(600), &[("content-length", "5")]),
        "cut" => cut(&[("content-length", "100")]),
        "cut_chunked" => cut(&[]),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(number.into())).await;
            reply(200, &[], "at last")
        }
        "bytes" => bytes(&[], &vec![b'x'; usize::from(number) * 1024]),
        "length" => length(request).await,
        "retry" => retry(seen, &path, usize::from(number)),
        "auth" => auth(&request),
        "together" => together(seen, usize::from(number)).await,
        "crowd" => crowd(seen, &path, usize::from(number)).await,
        _ => reply(404, &[], "no such path"),
    }
}

async fn echo(request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let mut headers = serde_json::Map::new();
    for (name, value) in &head.headers {
        headers.insert(name.to_string(), String::from_utf8_lossy(value.as_bytes()).into());
    }
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().map(ToString::to_string);
    let body = json!({
        "method": head.method.as_str(), "path": path, "headers": headers, "body": String::from_utf8_lossy(&body),
        "version": format!("{:?}", head.version),
    });
    reply(200, &[("content-type", "application/json")], &body.to_string())
}

async fn length(request: Request<Incoming>) -> Reply {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    reply(200, &[], &body.len().to_string())
}

fn reply(status: u16, headers: &[(&str, &str)], text: &str) -> Reply {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(io::Error::other).boxed_unsync();
    with(headers, Response::builder().status(status).body(body).expect("a response"))
}

fn bytes(headers: &[(&str, &str)], content: &[u8]) -> Reply {
    let body = Full::new(Bytes::copy_from_slice(content)).map_err(io::Error::other).boxed_unsync();
    with(headers, Response::new(body))
}

fn with(headers: &[(&str, &str)], mut reply: Reply) -> Reply {
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        reply.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
    }
    reply
}

fn redirect(status: u16, place: &str) -> Reply {
    reply(status, &[("location", place)], "elsewhere")
}

fn pieces(pieces: &'static [&'static str], pause: Duration, headers: &[(&str, &str)]) -> Reply {
    let frames = futures_util::stream::unfold(0, move |at| async move {
        let piece = pieces.get(at)?;
        if at > 0 {
            tokio::time::sleep(pause).await;
        }
        Some((Ok(Frame::data(Bytes::from_static(piece.as_bytes()))), at + 1))
    });
    with(headers, Response::new(StreamBody::new(frames).boxed_unsync()))
}

/// Sends the beginning of a body and closes the connection.
fn cut(headers: &[(&str, &str)]) -> Reply {
    let frames = futures_util::stream::unfold(0, |at| async move {
        tokio::time::sleep(Duration::from_millis(20 * at)).await;
        match at {
            0 => Some((Ok(Frame::data(Bytes::from_static(b"the beginning"))), 1)),
            _ => Some((Err(io::Error::other("broken off")), 2)),
        }
    });
    with(headers, Response::new(StreamBody::new(frames).boxed_unsync()))
}

/// Answers 429 this many times.
fn retry(seen: &Seen, path: &str, times: usize) -> Reply {
    let mut visits = seen.visits.lock().expect("no panic");
    let visit = visits.entry(path.to_owned()).or_default();
    *visit += 1;
    match *visit <= times {
        true => reply(429, &[("retry-after", "1")], "too many"),
        false => reply(200, &[], &format!("visit {visit}")),
    }
}

/// `user` and `word`.
fn auth(request: &Request<Incoming>) -> Reply {
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    match given {
        Some("Basic dXNlcjp3b3Jk") => reply(200, &[], "welcome"),
        _ => reply(401, &[("www-authenticate", "Basic realm=\"here\"")], "who are you?"),
    }
}

/// Answers when this many requests have arrived.
async fn together(seen: &Seen, count: usize) -> Reply {
    seen.together.fetch_add(1, Ordering::SeqCst);
    for _ in 0..2000 {
        if seen.together.load(Ordering::SeqCst) >= count {
            return reply(200, &[], "together");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    reply(500, &[], "alone")
}

/// Answers when this many requests of its path were in flight at once, with the highest number so far.
async fn crowd(seen: &Seen, path: &str, count: usize) -> Reply {
    let change = |by: isize| {
        let mut crowds = seen.crowds.lock().expect("no panic");
        let crowd = crowds.entry(path.to_owned()).or_default();
        crowd.now = crowd.now.saturating_add_signed(by);
        crowd.most = crowd.most.max(crowd.now);
        crowd.most
    };
    change(1);
    for _ in 0..2000 {
        // also the last one stays for a moment, so that others can come
        tokio::time::sleep(Duration::from_millis(10)).await;
        if change(0) >= count {
            break;
        }
    }
    reply(200, &[], &change(-1).to_string())
}
