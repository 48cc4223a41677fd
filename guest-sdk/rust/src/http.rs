//! HTTP requests, through wasi:http. Both the script (`!allow net HOST`) and the worker must allow the server.

use core::fmt;
use core::time::Duration;

/// Sends a GET request.
///
/// # Errors
/// The server is not allowed, or did not respond. A response with status 404 or 500 is not an error.
pub fn get(url: &str) -> Result<Response, HttpError> {
    Request::new("GET", url).send()
}

/// Sends a POST request with this body.
///
/// # Errors
/// The same as of [`get`].
pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Result<Response, HttpError> {
    Request::new("POST", url).body(body).send()
}

/// A request, as a builder.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    timeout: Option<Duration>,
}

/// A response with its whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names, in lower case, and values, in order.
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
    /// Creates a request with any method to `https://host/path?query`.
    pub fn new(method: &str, url: &str) -> Self {
        Self { method: method.to_owned(), url: url.to_owned(), headers: Vec::new(), body: None, timeout: None }
    }

    /// Adds a header. `secret:NAME` in the value is replaced outside the sandbox.
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

    /// Sets the timeout for connecting, for the start of the response, and for each further part of it.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the request and waits for the whole response. Does not follow redirects.
    ///
    /// # Errors
    /// The same as of [`get`].
    pub fn send(self) -> Result<Response, HttpError> {
        #[cfg(target_arch = "wasm32")]
        return wasm::send(self);
        #[cfg(not(target_arch = "wasm32"))]
        Err(HttpError(format!("there is no network outside bue for {} {}", self.method, self.url)))
    }
}

impl Response {
    /// Returns the body as text; invalid UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the value of the first header with this name.
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

    /// Bytes read at a time.
    const READ_SIZE: u64 = 64 * 1024;
    /// Bytes written at a time: the most that `blocking-write-and-flush` accepts.
    const WRITE_SIZE: usize = 4096;

    pub(super) fn send(request: Request) -> Result<Response, HttpError> {
        let outgoing = to_outgoing(&request)?;
        let body = match request.body {
            Some(body) => Some((outgoing.body().map_err(|()| to_error("the request cannot have a body"))?, body)),
            None => None,
        };
        let options = request.timeout.map(options).transpose()?;
        let future = handle(outgoing, options).map_err(from_code)?;
        if let Some((sink, bytes)) = body {
            // if this fails, the error of the response explains why
            let _ = write(sink, &bytes);
        }
        future.subscribe().block();
        let response = future.get().and_then(Result::ok).ok_or_else(|| to_error("no response arrived"))?;
        read(&response.map_err(from_code)?)
    }

    fn to_outgoing(request: &Request) -> Result<OutgoingRequest, HttpError> {
        let length =
            request.body.as_ref().map(|body| ("content-length".to_owned(), body.len().to_string().into_bytes()));
        let headers: Vec<_> = request.headers.iter().cloned().chain(length).collect();
        let headers =
            Headers::from_list(&headers).map_err(|error| to_error(&format!("a header is invalid: {error:?}")))?;
        let (scheme, remaining) =
            request.url.split_once("://").ok_or_else(|| to_error("the URL does not start with https://"))?;
        let remaining = remaining.split('#').next().unwrap_or_default();
        let (authority, path) = remaining.split_at(remaining.find(['/', '?']).unwrap_or(remaining.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        };
        let outgoing = OutgoingRequest::new(headers);
        let method = Method::Other(request.method.clone());
        outgoing.set_method(&method).map_err(|()| to_error("the method is invalid"))?;
        outgoing.set_scheme(Some(&scheme)).map_err(|()| to_error("the scheme is invalid"))?;
        outgoing.set_authority(Some(authority)).map_err(|()| to_error("the host is invalid"))?;
        outgoing.set_path_with_query(Some(&path)).map_err(|()| to_error("the path is invalid"))?;
        Ok(outgoing)
    }

    fn options(timeout: Duration) -> Result<RequestOptions, HttpError> {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let options = RequestOptions::new();
        let results = [
            options.set_connect_timeout(Some(nanos)),
            options.set_first_byte_timeout(Some(nanos)),
            options.set_between_bytes_timeout(Some(nanos)),
        ];
        results.into_iter().collect::<Result<(), ()>>().map_err(|()| to_error("the timeout is not supported"))?;
        Ok(options)
    }

    fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), HttpError> {
        let stream = body.write().map_err(|()| to_error("the body cannot be written"))?;
        for chunk in bytes.chunks(WRITE_SIZE) {
            stream
                .blocking_write_and_flush(chunk)
                .map_err(|error| to_error(&format!("the body cannot be sent: {error:?}")))?;
        }
        drop(stream);
        OutgoingBody::finish(body, None).map_err(from_code)
    }

    fn read(response: &IncomingResponse) -> Result<Response, HttpError> {
        let (status, headers) = (response.status(), response.headers().entries());
        let incoming = response.consume().map_err(|()| to_error("the response has no body"))?;
        let body = read_body(&incoming)?;
        Ok(Response { status, headers, body })
    }

    fn read_body(incoming: &IncomingBody) -> Result<Vec<u8>, HttpError> {
        let stream = incoming.stream().map_err(|()| to_error("the body cannot be read"))?;
        let mut body = Vec::new();
        loop {
            match stream.blocking_read(READ_SIZE) {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(StreamError::Closed) => return Ok(body),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = wasip2::http::types::http_error_code(&error);
                    return Err(code.map_or_else(|| to_error(&error.to_debug_string()), from_code));
                }
            }
        }
    }

    fn to_error(message: &str) -> HttpError {
        HttpError(message.to_owned())
    }

    /// For errors that the user must act on, the host sends a message.
    fn from_code(code: ErrorCode) -> HttpError {
        match code {
            ErrorCode::InternalError(Some(message)) => HttpError(message),
            ErrorCode::DnsError(payload) => {
                HttpError(payload.rcode.unwrap_or_else(|| "the host name has no address".to_owned()))
            }
            code => HttpError(format!("the request failed: {code:?}")),
        }
    }
}
