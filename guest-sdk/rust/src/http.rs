//! Requests to servers, through wasi:http. Whom a step may speak to, its script says (`!allow net HOST`), and the worker.

use core::fmt;
use core::time::Duration;

/// Gets a page.
///
/// # Errors
/// Nobody allowed it, or nobody answered. A status of 404 or 500 is an answer.
pub fn get(url: &str) -> Result<Response, HttpError> {
    Request::new("GET", url).send()
}

/// Posts a body.
///
/// # Errors
/// As [`get`].
pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Result<Response, HttpError> {
    Request::new("POST", url).body(body).send()
}

/// A request that is put together.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    timeout: Option<Duration>,
}

/// What came back, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 and so on.
    pub status: u16,
    /// Names in lower case, and values, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError(pub String);

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for HttpError {}

impl Request {
    /// Of any method, to `https://host/path?query`.
    pub fn new(method: &str, url: &str) -> Self {
        Self { method: method.to_owned(), url: url.to_owned(), headers: Vec::new(), body: None, timeout: None }
    }

    /// Adds a header. A value may hold `secret:NAME`, which is filled in outside the sandbox.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// How long to wait for the response, and for each further part of it.
    #[must_use]
    pub const fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    /// Sends it and waits for all of the response. Redirects are not followed.
    ///
    /// # Errors
    /// As [`get`].
    pub fn send(self) -> Result<Response, HttpError> {
        #[cfg(target_arch = "wasm32")]
        return wasm::send(self);
        #[cfg(not(target_arch = "wasm32"))]
        Err(HttpError(format!("there is no network outside bue for {} {}", self.method, self.url)))
    }
}

impl Response {
    /// The body as text, with a sign for each byte that is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::time::Duration;

    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{
        ErrorCode, Headers, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
        Scheme,
    };
    use wasip2::io::streams::StreamError;

    use super::{HttpError, Request, Response};

    /// Bytes that are read or written at a time.
    const PIECE: usize = 64 * 1024;

    pub(super) fn send(request: Request) -> Result<Response, HttpError> {
        let made = made(&request)?;
        let body = match request.body {
            Some(body) => Some((made.body().map_err(|()| bad("the request has no body"))?, body)),
            None => None,
        };
        let options = request.timeout.map(options).transpose()?;
        let coming = handle(made, options).map_err(said)?;
        if let Some((sink, bytes)) = body {
            // where this fails, the response says why
            let _ = write(sink, &bytes);
        }
        coming.subscribe().block();
        let response = coming.get().and_then(Result::ok).ok_or_else(|| bad("no response came"))?;
        read(&response.map_err(said)?)
    }

    fn made(request: &Request) -> Result<OutgoingRequest, HttpError> {
        let length =
            request.body.as_ref().map(|body| ("content-length".to_owned(), body.len().to_string().into_bytes()));
        let headers: Vec<_> = request.headers.iter().cloned().chain(length).collect();
        let headers = Headers::from_list(&headers).map_err(|error| bad(&format!("a header is none: {error:?}")))?;
        let (scheme, rest) = request.url.split_once("://").ok_or_else(|| bad("the address begins with no https://"))?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        };
        let made = OutgoingRequest::new(headers);
        let method = made.set_method(&Method::Other(request.method.clone()));
        method.map_err(|()| bad("the method is none"))?;
        made.set_scheme(Some(&scheme)).map_err(|()| bad("the scheme is none"))?;
        made.set_authority(Some(authority)).map_err(|()| bad("the host is none"))?;
        made.set_path_with_query(Some(&path)).map_err(|()| bad("the path is none"))?;
        Ok(made)
    }

    fn options(time: Duration) -> Result<RequestOptions, HttpError> {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let options = RequestOptions::new();
        let set = [
            options.set_connect_timeout(Some(nanos)),
            options.set_first_byte_timeout(Some(nanos)),
            options.set_between_bytes_timeout(Some(nanos)),
        ];
        set.into_iter().collect::<Result<(), ()>>().map_err(|()| bad("the timeout is not supported"))?;
        Ok(options)
    }

    fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), HttpError> {
        let stream = body.write().map_err(|()| bad("the body cannot be written"))?;
        for piece in bytes.chunks(4096) {
            stream
                .blocking_write_and_flush(piece)
                .map_err(|error| bad(&format!("the body was not taken: {error:?}")))?;
        }
        drop(stream);
        OutgoingBody::finish(body, None).map_err(said)
    }

    fn read(response: &IncomingResponse) -> Result<Response, HttpError> {
        let (status, headers) = (response.status(), response.headers().entries());
        let incoming = response.consume().map_err(|()| bad("the response has no body"))?;
        let body = read_body(&incoming)?;
        Ok(Response { status, headers, body })
    }

    fn read_body(incoming: &IncomingBody) -> Result<Vec<u8>, HttpError> {
        let stream = incoming.stream().map_err(|()| bad("the body cannot be read"))?;
        let mut body = Vec::new();
        loop {
            match stream.blocking_read(PIECE as u64) {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(StreamError::Closed) => return Ok(body),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = wasip2::http::types::http_error_code(&error);
                    return Err(code.map_or_else(|| bad(&error.to_debug_string()), said));
                }
            }
        }
    }

    fn bad(message: &str) -> HttpError {
        HttpError(message.to_owned())
    }

    /// The host says in words what a person must act on.
    fn said(code: ErrorCode) -> HttpError {
        match code {
            ErrorCode::InternalError(Some(message)) => HttpError(message),
            ErrorCode::DnsError(payload) => {
                HttpError(payload.rcode.unwrap_or_else(|| "the host's name has no address".to_owned()))
            }
            code => HttpError(format!("the request failed: {code:?}")),
        }
    }
}
