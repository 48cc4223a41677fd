//! Requests to one kind of server: a pool of connections, several addresses, timeouts, repeats.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::handshake::tls_trouble;
use crate::{ClientError, Dial, Trust};

/// Our servers close a connection that stayed idle for 30 s; being first avoids a request into a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two pieces of an answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests under way to one kind of server; further ones wait. A quarter of the connections that a server has for one address:
/// ten thousand steps that end at one moment must not be taken for an attack.
const MAX_UNDER_WAY: usize = 256;
/// Waits between the tries of one request. Together they bridge the restart of a server.
const WAITS: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_millis(1500)];

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is the same as once.
    Always,
    /// Only if it never reached a server.
    IfUnsent,
}

/// The body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) repeat: Repeat,
    /// Until the answer's head is there.
    pub(crate) patience: Duration,
    /// Bytes of the answer.
    pub(crate) limit: usize,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) server: &'static str,
    pub(crate) address: String,
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn not_ours(&self, why: String) -> ClientError {
        ClientError::NotOurs { server: self.server, address: self.address.clone(), why }
    }
}

/// Where a server is, and how it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    scheme: Scheme,
    authority: Authority,
}

/// The way to the hubs, or to the bucket.
#[derive(Debug)]
pub(crate) struct Connection {
    server: &'static str,
    dial: Dial,
    client: Client<Dial, Body>,
    addresses: Vec<Address>,
    /// What every request says of who we are.
    authorization: Option<HeaderValue>,
    /// The one that answered last, modulo their number.
    current: AtomicUsize,
    turns: Semaphore,
}

impl Connection {
    /// Connects to nothing yet. `server` is what messages call it.
    pub(crate) fn new(server: &'static str, addresses: &[String], dial: Dial) -> Result<Self, ClientError> {
        let addresses = addresses.iter().map(|text| parse_address(text)).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(ClientError::Address { address: String::new(), why: "there is none" });
        }
        let client = pool(dial.clone());
        let (current, turns) = (AtomicUsize::new(0), Semaphore::new(MAX_UNDER_WAY));
        Ok(Self { server, dial, client, addresses, authorization: None, current, turns })
    }

    /// The same, believing and showing over TLS what these files say.
    pub(crate) fn with_trust(self, trust: Trust) -> Result<Self, ClientError> {
        let dial = self.dial.with_trust(trust)?;
        Ok(Self { client: pool(dial.clone()), dial, ..self })
    }

    /// The same, showing a token with every request.
    pub(crate) fn with_token(self, token: &str) -> Result<Self, ClientError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
        value.set_sensitive(true);
        Ok(Self { authorization: Some(value), ..self })
    }

    /// All of them, `host:port` each.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = String> {
        let each = |address: &Address| Some(format!("{}:{}", address.authority.host(), address.authority.port_u16()?));
        self.addresses.iter().filter_map(each)
    }

    /// Host of the address that answered last.
    pub(crate) fn host(&self) -> &str {
        let current = self.current.load(Ordering::Relaxed) % self.addresses.len().max(1);
        self.addresses.get(current).map_or("", |address| address.authority.host())
    }

    /// The answer to a request, whatever its status. Tries the other addresses and, after a while, the same ones again.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Reply, ClientError> {
        for wait in WAITS {
            match self.try_all(ask).await {
                Err(error) if may_repeat(ask, &error) => sleep(wait).await,
                Ok(reply) if reply.status == StatusCode::SERVICE_UNAVAILABLE && ask.repeat == Repeat::Always => {
                    sleep(wait).await;
                }
                answer => return answer,
            }
        }
        self.try_all(ask).await
    }

    /// One round through the addresses, from the one that answered last; on to the next as long as nobody is there.
    async fn try_all(&self, ask: &Ask) -> Result<Reply, ClientError> {
        let start = self.current.load(Ordering::Relaxed);
        let mut unreachable = String::new();
        for (step, address) in self.addresses.iter().cycle().skip(start % self.addresses.len()).enumerate() {
            if step == self.addresses.len() {
                break;
            }
            match self.try_one(ask, address).await {
                Err(ClientError::Unreachable { why, .. }) => unreachable = why,
                answer => {
                    self.current.store(start.wrapping_add(step), Ordering::Relaxed);
                    return answer;
                }
            }
        }
        let addresses = self.addresses.iter().map(|address| address.authority.as_str()).collect::<Vec<_>>().join(", ");
        Err(ClientError::Unreachable { server: self.server, addresses, why: unreachable })
    }

    async fn try_one(&self, ask: &Ask, address: &Address) -> Result<Reply, ClientError> {
        // the semaphore is never closed
        let _turn = self.turns.acquire().await.ok();
        let body = Full::new(ask.body.clone()).map_err(|never| match never {}).boxed_unsync();
        let response = self.respond(ask, body, address).await?;
        self.reply(response, address, ask.limit).await
    }

    /// The head of the answer of one address, its body still to be read.
    async fn respond(&self, ask: &Ask, body: Body, address: &Address) -> Result<Response<Incoming>, ClientError> {
        let request = self.request(ask, body, address)?;
        match timeout(ask.patience, self.client.request(request)).await {
            Err(_) => Err(self.timed_out(address, ask.patience)),
            Ok(Err(error)) if error.is_connect() => {
                let (server, addresses, why) = (self.server, address.authority.to_string(), root_cause(&error));
                let trouble = tls_trouble(&error, self.server, &address.authority);
                Err(trouble.unwrap_or(ClientError::Unreachable { server, addresses, why }))
            }
            // a certificate of ours that is refused is told when the first answer should come
            Ok(Err(error)) => Err(tls_trouble(&error, self.server, &address.authority)
                .unwrap_or_else(|| self.broken(address, root_cause(&error)))),
            Ok(Ok(response)) => Ok(response),
        }
    }

    async fn reply(&self, response: Response<Incoming>, address: &Address, limit: usize) -> Result<Reply, ClientError> {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(Reply {
            server: self.server,
            address: address.authority.to_string(),
            status: head.status,
            content_type: content_type.unwrap_or_default().to_owned(),
            body: self.collect(address, body, limit).await?,
        })
    }

    /// Sends a body that can be read once, so it is sent once, to the first address that answers this request without one.
    pub(crate) async fn send_once(&self, probe: &Ask, ask: &Ask, body: Body) -> Result<Reply, ClientError> {
        self.send(probe).await?;
        let address = self.current_address()?;
        let response = self.respond(ask, body, address).await?;
        self.reply(response, address, ask.limit).await
    }

    /// The answer as it comes; or, where it is no success, all of it.
    pub(crate) async fn open(&self, probe: &Ask, ask: &Ask) -> Result<Result<Download<'_>, Reply>, ClientError> {
        self.send(probe).await?;
        let address = self.current_address()?;
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
        let response = self.respond(ask, body, address).await?;
        match response.status().is_success() {
            true => Ok(Ok(Download { connection: self, address, body: response.into_body() })),
            false => self.reply(response, address, ask.limit).await.map(Err),
        }
    }

    fn current_address(&self) -> Result<&Address, ClientError> {
        let current = self.current.load(Ordering::Relaxed) % self.addresses.len().max(1);
        let none = || ClientError::Address { address: String::new(), why: "there is none" };
        self.addresses.get(current).ok_or_else(none)
    }

    fn request(&self, ask: &Ask, body: Body, address: &Address) -> Result<Request<Body>, ClientError> {
        let unwritable = |error: http::Error| ClientError::Unwritable(error.to_string());
        let uri = Uri::builder()
            .scheme(address.scheme.clone())
            .authority(address.authority.clone())
            .path_and_query(ask.path.as_str());
        let uri = uri.build().map_err(unwritable)?;
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        if !ask.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, ask.content_type);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request.body(body).map_err(unwritable)
    }

    /// All of a body, piece by piece, each in time and together no more than `limit`.
    async fn collect(&self, address: &Address, body: Incoming, limit: usize) -> Result<Bytes, ClientError> {
        let mut download = Download { connection: self, address, body };
        let mut all = BytesMut::new();
        while let Some(piece) = download.next().await? {
            if all.len().saturating_add(piece.len()) > limit {
                return Err(ClientError::TooLarge { what: "the answer", limit });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    fn timed_out(&self, address: &Address, waited: Duration) -> ClientError {
        ClientError::TimedOut { server: self.server, address: address.authority.to_string(), seconds: waited.as_secs() }
    }

    fn broken(&self, address: &Address, why: String) -> ClientError {
        ClientError::Broken { server: self.server, address: address.authority.to_string(), why }
    }
}

/// An answer that is read a piece at a time.
#[derive(Debug)]
pub struct Download<'a> {
    connection: &'a Connection,
    address: &'a Address,
    body: Incoming,
}

impl Download<'_> {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or nothing came for a while.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match timeout(PIECE_TIMEOUT, self.body.frame()).await {
                Err(_) => return Err(self.connection.timed_out(self.address, PIECE_TIMEOUT)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(self.connection.broken(self.address, root_cause(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}

fn may_repeat(ask: &Ask, error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Broken { .. } | ClientError::TimedOut { .. } => ask.repeat == Repeat::Always,
        _ => false,
    }
}

/// Connections that are kept and used again.
fn pool(dial: Dial) -> Client<Dial, Body> {
    Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIMEOUT).pool_timer(TokioTimer::new()).build(dial)
}

/// `host:port`, `http://host:port`, `https://host:port`, with or without a slash behind it.
fn parse_address(text: &str) -> Result<Address, ClientError> {
    let refuse = |why| ClientError::Address { address: text.to_owned(), why };
    let trimmed = text.trim();
    let (scheme, rest) = match trimmed.strip_prefix("https://") {
        Some(rest) => (Scheme::HTTPS, rest),
        None => (Scheme::HTTP, trimmed.strip_prefix("http://").unwrap_or(trimmed)),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let authority: Authority = rest.parse().map_err(|_| refuse("it cannot be read"))?;
    match authority.port_u16() {
        Some(0) => Err(refuse("port 0 is nobody's")),
        None => Err(refuse("the port is missing")),
        Some(_) => Ok(Address { scheme, authority }),
    }
}

/// The innermost error: the one that names what the system said.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_spellings() {
        for text in ["127.0.0.1:80", "http://127.0.0.1:80", " http://127.0.0.1:80/ ", "[::1]:80"] {
            assert_eq!(parse_address(text).expect(text).scheme, Scheme::HTTP, "{text}");
        }
        let address = parse_address("https://hub.lan:443/").expect("an address");
        assert_eq!((address.scheme, address.authority.as_str()), (Scheme::HTTPS, "hub.lan:443"));
    }

    #[test]
    fn an_address_that_cannot_be_one_is_refused() {
        for text in ["", "localhost", "https://x", "ftp://x:1", "a b:1", "x:99999", "x:0", "http://x:1/path"] {
            let error = parse_address(text).expect_err(text);
            assert!(error.to_string().contains("host:port"), "{error}");
        }
    }
}
