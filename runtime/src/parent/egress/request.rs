//! A step's request as one of the client's: read strictly, its secrets filled in, nothing in it that belongs to the
//! connection.

use bue_model::net::{Body, NetError, NetErrorKind, Request};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Uri};
use url::{Host, Url};

use crate::parent::egress::exchange::Trouble;
use crate::parent::egress::gate::Place;
use crate::parent::egress::secrets::Secrets;
use crate::step::limits::{Limits, bytes_text};

/// Bytes of a path and query.
const MOST_TARGET: usize = 64 * 1024;

/// Headers that are about the connection, or that the client writes itself.
const OF_THE_CONNECTION: [&str; 10] = [
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

/// Where a request goes and what stands at its top.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) place: Place,
}

impl Head {
    /// Reads method, origin and target.
    pub(crate) fn read(request: &Request) -> Result<Self, NetError> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| bad(format!("`{}` is no method", short(&request.method))))?;
        if method == Method::CONNECT {
            return Err(bad(
                "CONNECT makes a tunnel, and there are none; send the request to its host itself".to_owned()
            ));
        }
        let (scheme, place, authority) = read_origin(&request.origin)?;
        let target = read_target(&request.target)?;
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build();
        let uri = uri.map_err(|error| bad(format!("the request has no proper address: {error}")))?;
        Ok(Self { method, uri, place })
    }
}

/// `https://host:port`, the host as whatever it is in all spellings.
fn read_origin(origin: &str) -> Result<(Scheme, Place, Authority), NetError> {
    let bad_origin = |why: &str| bad(format!("`{}` is no address of a server: {why}", short(origin)));
    let url = Url::parse(origin).map_err(|error| bad_origin(&error.to_string()))?;
    let scheme = match url.scheme() {
        "https" => Scheme::HTTPS,
        "http" => Scheme::HTTP,
        _ => return Err(bad_origin("only http and https are spoken")),
    };
    let alone = url.username().is_empty() && url.password().is_none() && url.path() == "/" && url.query().is_none();
    if !alone || url.fragment().is_some() {
        return Err(bad_origin("it is scheme, host and port alone"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_owned()),
        Some(Host::Ipv4(address)) => Host::Ipv4(address),
        Some(Host::Ipv6(address)) => Host::Ipv6(address),
        None => return Err(bad_origin("it has no host")),
    };
    let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    let authority = authority.parse().map_err(|_| bad_origin("no host can have that name"))?;
    let port = url.port_or_known_default().ok_or_else(|| bad_origin("it has no port"))?;
    Ok((scheme, Place { host, port }, authority))
}

fn read_target(target: &str) -> Result<PathAndQuery, NetError> {
    let fits = target.starts_with('/') && !target.contains('#') && target.len() <= MOST_TARGET;
    let target = if fits { PathAndQuery::try_from(target).ok() } else { None };
    target.ok_or_else(|| bad(format!("a path begins with `/`, has no spaces and at most {MOST_TARGET} bytes")))
}

/// The headers that are sent, in their order.
pub(crate) fn headers(
    request: Request,
    place: &Place,
    secrets: Secrets<'_>,
    limits: &Limits,
) -> Result<HeaderMap, Trouble> {
    check_size(&request.headers, limits)?;
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad(format!("`{}` is no name of a header", short(&name))))?;
        if OF_THE_CONNECTION.contains(&name.as_str()) {
            continue;
        }
        let filled = secrets.fill(&value, place)?;
        let is_secret = filled.is_some();
        let mut value = HeaderValue::from_maybe_shared(filled.unwrap_or(value)).map_err(|_| {
            bad(format!("the header `{name}` has a line break or another control character in its value"))
        })?;
        value.set_sensitive(is_secret);
        if name == CONTENT_LENGTH {
            check_length(&value, &headers)?;
        }
        headers.append(name, value);
    }
    // of a body that is here the client writes the length itself
    if !matches!(request.body, Body::Streamed) {
        headers.remove(CONTENT_LENGTH);
    }
    Ok(headers)
}

fn check_size(headers: &[(String, Bytes)], limits: &Limits) -> Result<(), NetError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    check_headers("request", headers.len(), bytes as u64, limits)
}

/// Are these no more headers than a step may send or be sent?
pub(crate) fn check_headers(whose: &str, count: usize, bytes: u64, limits: &Limits) -> Result<(), NetError> {
    let more = |what: String| {
        let raise = "send or ask for fewer, or run the step on a worker with a higher limit";
        Err(NetError::new(NetErrorKind::Limit, format!("the {whose} has {what}; {raise}")))
    };
    if count > limits.net_headers as usize {
        return more(format!("{count} headers, more than the limit of {} (`net_headers`)", limits.net_headers));
    }
    if bytes > limits.net_header_bytes {
        let limit = bytes_text(limits.net_header_bytes);
        return more(format!("{} of headers, more than the limit of {limit} (`net_header_bytes`)", bytes_text(bytes)));
    }
    Ok(())
}

/// One length, in digits: two of them are how requests are smuggled.
fn check_length(value: &HeaderValue, before: &HeaderMap) -> Result<(), NetError> {
    let digits = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    match digits && !before.contains_key(CONTENT_LENGTH) {
        true => Ok(()),
        false => Err(bad("the request has more than one Content-Length, or one that is no number".to_owned())),
    }
}

fn bad(message: String) -> NetError {
    NetError::new(NetErrorKind::BadRequest, message)
}

fn short(text: &str) -> String {
    text.chars().take(100).filter(|char| !char.is_control()).collect()
}
