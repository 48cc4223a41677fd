//! Converts a step's request for the HTTP client: parsed strictly, with secrets filled in and without headers that belong
//! to the connection.

use core::net::Ipv6Addr;

use bue_model::net::{Body, NetError, NetErrorKind, Request};
use bue_model::text::excerpt;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::uri::{Authority as UriAuthority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Uri};
use url::{Host, Url};

use crate::parent::egress::exchange_error::ExchangeError;
use crate::parent::egress::gate::Authority;
use crate::parent::egress::secrets::{Recipient, Secrets};
use crate::step::limits::{Limits, bytes_text};

/// Bytes of a path and query at most.
const MAX_TARGET_BYTES: usize = 64 * 1024;

/// Headers that describe the connection, or that the client writes itself.
const CONNECTION_HEADERS: [&str; 10] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Method and address of a request.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) authority: Authority,
}

impl RequestHead {
    /// Parses method, origin and target.
    pub(crate) fn read(request: &Request) -> Result<Self, NetError> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| bad_request(format!("`{}` is not a method", excerpt(&request.method))))?;
        if method == Method::CONNECT {
            return Err(bad_request(
                "CONNECT opens a tunnel, which bue does not support; send the request to its host directly".to_owned(),
            ));
        }
        let (scheme, authority, uri_authority) = read_origin(&request.origin)?;
        let target = read_target(&request.target)?;
        let uri = Uri::builder().scheme(scheme).authority(uri_authority).path_and_query(target).build();
        let uri = uri.map_err(|error| bad_request(format!("the request's address is invalid: {error}")))?;
        Ok(Self { method, uri, authority })
    }

    fn recipient(&self) -> Recipient<'_> {
        let is_encrypted = self.uri.scheme() == Some(&Scheme::HTTPS);
        Recipient { authority: &self.authority, method: self.method.as_str(), is_encrypted }
    }
}

/// Parses `https://host:port`. All spellings of a host give the same result.
fn read_origin(origin: &str) -> Result<(Scheme, Authority, UriAuthority), NetError> {
    let bad_origin =
        |reason: &str| bad_request(format!("`{}` is not the address of a server: {reason}", excerpt(origin)));
    let url = Url::parse(origin).map_err(|error| bad_origin(&error.to_string()))?;
    let scheme = match url.scheme() {
        "https" => Scheme::HTTPS,
        "http" => Scheme::HTTP,
        _ => return Err(bad_origin("only http and https are supported")),
    };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.path() == "/" && url.query().is_none();
    if !is_bare || url.fragment().is_some() {
        return Err(bad_origin("it must consist of scheme, host and port"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_owned()),
        Some(Host::Ipv4(address)) => Host::Ipv4(address),
        Some(Host::Ipv6(address)) => Host::Ipv6(address),
        None => return Err(bad_origin("it has no host")),
    };
    let uri_authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    let uri_authority = uri_authority.parse().map_err(|_| bad_origin("it is not a valid host name"))?;
    let port = url.port_or_known_default().ok_or_else(|| bad_origin("it has no port"))?;
    Ok((scheme, Authority { host, port }, uri_authority))
}

/// Returns what a socket connects to. All spellings of a host give the same result.
pub(crate) fn socket_authority(host: &str, port: u16) -> Result<Authority, NetError> {
    let bad_host = || bad_request(format!("`{}` is not a host name or an address", excerpt(host)));
    let parsed = match host.parse::<Ipv6Addr>() {
        Ok(address) => Host::Ipv6(address),
        Err(_) => Host::parse(host.strip_suffix('.').unwrap_or(host)).map_err(|_| bad_host())?,
    };
    match port {
        0 => Err(bad_request("0 is not a port to connect to".to_owned())),
        port => Ok(Authority { host: parsed, port }),
    }
}

fn read_target(target: &str) -> Result<PathAndQuery, NetError> {
    let is_valid = target.starts_with('/') && !target.contains('#') && target.len() <= MAX_TARGET_BYTES;
    let target = if is_valid { PathAndQuery::try_from(target).ok() } else { None };
    target.ok_or_else(|| {
        bad_request(format!("a path begins with `/`, has no spaces and at most {MAX_TARGET_BYTES} bytes"))
    })
}

/// Returns the headers to send, in their order.
pub(crate) fn headers(
    request: Request,
    head: &RequestHead,
    secrets: Secrets<'_>,
    limits: &Limits,
) -> Result<HeaderMap, ExchangeError> {
    check_size(&request.headers, limits)?;
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad_request(format!("`{}` is not the name of a header", excerpt(&name))))?;
        if CONNECTION_HEADERS.contains(&name.as_str()) {
            continue;
        }
        let filled = secrets.fill(&value, head.recipient())?;
        let is_secret = filled.is_some();
        let mut value = HeaderValue::from_maybe_shared(filled.unwrap_or(value)).map_err(|_| {
            bad_request(format!("the header `{name}` has a line break or another control character in its value"))
        })?;
        value.set_sensitive(is_secret);
        if name == CONTENT_LENGTH {
            check_length(&value, &headers)?;
        }
        headers.append(name, value);
    }
    // the client writes the length of a body that is complete
    if !matches!(request.body, Body::Streamed) {
        headers.remove(CONTENT_LENGTH);
    }
    Ok(headers)
}

fn check_size(headers: &[(String, Bytes)], limits: &Limits) -> Result<(), NetError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    check_headers("request", headers.len(), bytes as u64, limits)
}

/// Checks that a request or response has no more headers than the limits allow.
pub(crate) fn check_headers(whose: &str, count: usize, bytes: u64, limits: &Limits) -> Result<(), NetError> {
    let exceeded = |what: String| {
        let hint = "send or request fewer, or run the step on a worker with a higher limit";
        Err(NetError::new(NetErrorKind::Limit, format!("the {whose} has {what}; {hint}")))
    };
    if count > limits.net_headers as usize {
        return exceeded(format!("{count} headers, more than the limit of {} (`net_headers`)", limits.net_headers));
    }
    if bytes > limits.net_header_bytes {
        let limit = bytes_text(limits.net_header_bytes);
        return exceeded(format!(
            "{} of headers, more than the limit of {limit} (`net_header_bytes`)",
            bytes_text(bytes)
        ));
    }
    Ok(())
}

/// Checks that there is one length, in digits: differing lengths enable request smuggling.
fn check_length(value: &HeaderValue, before: &HeaderMap) -> Result<(), NetError> {
    let is_number = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    match is_number && !before.contains_key(CONTENT_LENGTH) {
        true => Ok(()),
        false => {
            Err(bad_request("the request has more than one Content-Length, or one that is not a number".to_owned()))
        }
    }
}

fn bad_request(message: String) -> NetError {
    NetError::new(NetErrorKind::BadRequest, message)
}
