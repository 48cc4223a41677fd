//! [`Connection`]: requests to one kind of server, with a connection pool, several addresses, timeouts and retries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::address::Address;
use crate::dial::Dial;
use crate::download::Download;
use crate::endpoint::Endpoint;
use crate::error::{ClientError, root_cause};
use crate::options::ClientOptions;
use crate::reply::{Reply, expect_success};
use crate::request::{Request, RetryPolicy};
use crate::tls_error::tls_error;

/// The time after which an idle connection is closed. Our servers close theirs after 30 s; closing first avoids sending a request on
/// a connection that the server is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Requests in flight to one kind of server; further ones wait. A quarter of the connections that a server accepts from one address:
/// ten thousand steps that end at the same moment must not look like an attack.
const MAX_IN_FLIGHT: usize = 256;
/// The pauses between the attempts of one request. Together they bridge the restart of a server.
const RETRY_DELAYS: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_millis(1500)];

/// The body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The connection pool of a client, to the hubs or to the bucket.
#[derive(Debug)]
pub(crate) struct Connection {
    server: &'static str,
    client: Client<Dial, Body>,
    /// What makes the connections of `client`.
    dial: Dial,
    addresses: Vec<Address>,
    /// The token that every request carries.
    authorization: Option<HeaderValue>,
    /// The index of the address that answered last, modulo their number.
    current: AtomicUsize,
    in_flight: Semaphore,
}

impl Connection {
    /// Creates a client without connecting. `server` is its name in messages.
    pub(crate) fn new(server: &'static str, addresses: &[String], options: ClientOptions) -> Result<Self, ClientError> {
        let addresses = addresses.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(no_address());
        }
        let authorization = options.token.as_deref().map(authorization).transpose()?;
        let dial = options.dial.unwrap_or_else(Dial::tcp).with_trust(options.trust)?;
        Ok(Self::with_dial(server, addresses, authorization, dial))
    }

    fn with_dial(
        server: &'static str,
        addresses: Vec<Address>,
        authorization: Option<HeaderValue>,
        dial: Dial,
    ) -> Self {
        let (current, in_flight) = (AtomicUsize::new(0), Semaphore::new(MAX_IN_FLIGHT));
        Self { server, client: pool(dial.clone()), dial, addresses, authorization, current, in_flight }
    }

    /// Returns the same, without its connections.
    pub(crate) fn without_connections(&self) -> Self {
        Self::with_dial(self.server, self.addresses.clone(), self.authorization.clone(), self.dial.clone())
    }

    /// Returns all addresses, as `host:port`.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = String> {
        let host_and_port =
            |address: &Address| Some(format!("{}:{}", address.authority.host(), address.authority.port_u16()?));
        self.addresses.iter().filter_map(host_and_port)
    }

    /// Returns the host of the address that answered last.
    pub(crate) fn host(&self) -> &str {
        let current = self.current.load(Ordering::Relaxed) % self.addresses.len().max(1);
        self.addresses.get(current).map_or("", |address| address.authority.host())
    }

    /// Sends a request and returns its answer if it is a success, or the error that it contains.
    pub(crate) async fn send_ok(&self, request: &Request) -> Result<Reply, ClientError> {
        expect_success(self.send(request).await?)
    }

    /// Returns the address that answered last, as `https://host:port`.
    pub(crate) fn base_url(&self) -> Result<String, ClientError> {
        let Address { scheme, authority } = self.current_address()?;
        Ok(format!("{scheme}://{authority}"))
    }

    /// Sends a request and returns its answer, whatever its status. Tries the other addresses and, after a pause, all of them again.
    pub(crate) async fn send(&self, request: &Request) -> Result<Reply, ClientError> {
        for delay in RETRY_DELAYS {
            match self.try_all(request).await {
                Err(error) if may_retry(request, &error) => sleep(delay).await,
                Ok(reply)
                    if reply.status == StatusCode::SERVICE_UNAVAILABLE
                        && request.retry_policy == RetryPolicy::Always =>
                {
                    sleep(delay).await;
                }
                answer => return answer,
            }
        }
        self.try_all(request).await
    }

    /// Tries the addresses in turn, from the one that answered last, until one can be reached.
    async fn try_all(&self, request: &Request) -> Result<Reply, ClientError> {
        let start = self.current.load(Ordering::Relaxed);
        let mut last_reason = String::new();
        for (offset, address) in self.addresses.iter().cycle().skip(start % self.addresses.len()).enumerate() {
            if offset == self.addresses.len() {
                break;
            }
            match self.try_one(request, address).await {
                Err(ClientError::Unreachable { reason, .. }) => last_reason = reason,
                answer => {
                    self.current.store(start.wrapping_add(offset), Ordering::Relaxed);
                    return answer;
                }
            }
        }
        let addresses = self.addresses.iter().map(|address| address.authority.as_str()).collect::<Vec<_>>().join(", ");
        Err(ClientError::Unreachable { server: self.server, addresses, reason: last_reason })
    }

    async fn try_one(&self, request: &Request, address: &Address) -> Result<Reply, ClientError> {
        // the semaphore is never closed
        let _permit = self.in_flight.acquire().await.ok();
        let body = Full::new(request.body.clone()).map_err(|never| match never {}).boxed_unsync();
        let response = self.respond(request, body, address).await?;
        self.reply(response, address, request.max_reply).await
    }

    /// Sends a request to one address and returns the head of the answer; its body is still to be read.
    async fn respond(
        &self,
        request: &Request,
        body: Body,
        address: &Address,
    ) -> Result<Response<Incoming>, ClientError> {
        let endpoint = self.endpoint(address);
        let http_request = self.http_request(request, body, address)?;
        match timeout(request.timeout, self.client.request(http_request)).await {
            Err(_) => Err(endpoint.timed_out(request.timeout)),
            Ok(Err(error)) if error.is_connect() => {
                let tls_error = tls_error(&error, self.server, &address.authority);
                Err(tls_error.unwrap_or_else(|| endpoint.unreachable(root_cause(&error))))
            }
            // in TLS 1.3 a server refuses our certificate only after the handshake
            Ok(Err(error)) => Err(tls_error(&error, self.server, &address.authority)
                .unwrap_or_else(|| endpoint.broken(root_cause(&error)))),
            Ok(Ok(response)) => Ok(response),
        }
    }

    async fn reply(&self, response: Response<Incoming>, address: &Address, max: usize) -> Result<Reply, ClientError> {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(Reply {
            endpoint: self.endpoint(address),
            status: head.status,
            content_type: content_type.unwrap_or_default().to_owned(),
            headers: head.headers,
            body: Download::new(self.endpoint(address), body).collect(max).await?,
        })
    }

    /// Sends a body that can be read only once, and therefore only once, to the first address that answers `probe`.
    pub(crate) async fn send_once(&self, probe: &Request, request: &Request, body: Body) -> Result<Reply, ClientError> {
        self.send(probe).await?;
        let address = self.current_address()?;
        let response = self.respond(request, body, address).await?;
        self.reply(response, address, request.max_reply).await
    }

    /// Returns the answer as a stream if it is a success, and otherwise as a whole.
    pub(crate) async fn open(
        &self,
        probe: &Request,
        request: &Request,
    ) -> Result<Result<Download, Reply>, ClientError> {
        self.send(probe).await?;
        let address = self.current_address()?;
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
        let response = self.respond(request, body, address).await?;
        match response.status().is_success() {
            true => Ok(Ok(Download::new(self.endpoint(address), response.into_body()))),
            false => self.reply(response, address, request.max_reply).await.map(Err),
        }
    }

    fn current_address(&self) -> Result<&Address, ClientError> {
        let current = self.current.load(Ordering::Relaxed) % self.addresses.len().max(1);
        self.addresses.get(current).ok_or_else(no_address)
    }

    fn endpoint(&self, address: &Address) -> Endpoint {
        Endpoint { server: self.server, address: address.authority.to_string() }
    }

    fn http_request(
        &self,
        request: &Request,
        body: Body,
        address: &Address,
    ) -> Result<http::Request<Body>, ClientError> {
        let invalid = |error: http::Error| ClientError::Encode(error.to_string());
        let uri = Uri::builder()
            .scheme(address.scheme.clone())
            .authority(address.authority.clone())
            .path_and_query(request.path.as_str());
        let uri = uri.build().map_err(invalid)?;
        let mut builder = http::Request::builder().method(request.method.clone()).uri(uri);
        if !request.content_type.is_empty() {
            builder = builder.header(header::CONTENT_TYPE, request.content_type);
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = &self.authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        builder.body(body).map_err(invalid)
    }
}

fn may_retry(request: &Request, error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Broken { .. } | ClientError::TimedOut { .. } => request.retry_policy == RetryPolicy::Always,
        _ => false,
    }
}

/// Returns the error of a client without addresses.
fn no_address() -> ClientError {
    ClientError::Address { address: String::new(), reason: "there is none" }
}

/// Returns the header with which every request carries the token.
fn authorization(token: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Creates a pool of connections.
fn pool(dial: Dial) -> Client<Dial, Body> {
    Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIMEOUT).pool_timer(TokioTimer::new()).build(dial)
}
