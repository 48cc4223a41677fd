//! One exchange: its request goes out and its response comes in, each as fast as the server and the step take it.

use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use bue_model::TraceContext;
use bue_model::net::{Body, Completion, NetError, NetErrorKind, Request, Response, Ticket};
use bue_model::trace::TRACEPARENT;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Uri, Version};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use tokio::sync::mpsc;

use crate::parent::egress::commands::{Commands, ReadCommand, WriteCommand};
use crate::parent::egress::connect::ATTEMPT;
use crate::parent::egress::download::Download;
use crate::parent::egress::exchange_error::ExchangeError;
use crate::parent::egress::gate::{Authority, Gate};
use crate::parent::egress::request::{RequestHead, check_headers, headers};
use crate::parent::egress::session_state::SessionState;
use crate::parent::egress::upload::{Attempt, BodyPiece, Content, Upload};
use crate::parent::simulated_time::SimulatedTime;

/// The longest time for a connection. One that takes longer does not come.
pub(crate) const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest silence of a server, where the step sets no timeout. The step's own time limit ends everything anyway.
const MAX_READ_TIMEOUT: Duration = Duration::from_secs(600);
/// Contains the address of a request that a test answers.
const ADDRESS_HEADER: HeaderName = HeaderName::from_static("bue-url");
/// Contains the simulated time of such a request, in milliseconds since 1970.
const TIME_HEADER: HeaderName = HeaderName::from_static("bue-time");
/// Bytes of a response's body that are sent along with its head if they have arrived.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Runs until the response has ended or an error occurs. `exchange` is the ticket of the request. Its timeouts count from now on.
pub(crate) async fn run(state: Arc<SessionState>, exchange: Ticket, request: Request, commands: Commands) {
    let Commands { reads, writes } = commands;
    let (pieces, content) = content(&request.body);
    let (last, completion) = tokio::select! {
        last = receive(&state, exchange, request, content, reads) => last,
        never = send_body(&state, exchange, pieces, writes) => match never {},
    };
    state.finish_exchange(exchange, last, completion);
}

/// Returns the body as it is sent, and where its pieces go if the step writes it in pieces.
fn content(body: &Body) -> (Option<mpsc::Sender<BodyPiece>>, Content) {
    match body {
        Body::None => (None, Content::Finished),
        Body::Whole(bytes) => (None, Content::Whole(bytes.clone())),
        Body::Streamed => {
            let (pieces, queue) = mpsc::channel(1);
            (Some(pieces), Content::Streamed(queue))
        }
    }
}

/// Passes on what the step writes. Never returns: an exchange ends with its response.
async fn send_body(
    state: &SessionState,
    exchange: Ticket,
    mut pieces: Option<mpsc::Sender<BodyPiece>>,
    mut writes: mpsc::Receiver<Box<WriteCommand>>,
) -> Infallible {
    while let Some(command) = writes.recv().await {
        let (ticket, written) = match *command {
            WriteCommand::StartTls { ticket, .. } => (ticket, Err(closed("a request has TLS by its scheme"))),
            WriteCommand::Write { ticket, bytes, last } => {
                let written = match &pieces {
                    None => Err(closed("the request has no body to write, or all of it was written")),
                    Some(pieces) => write(pieces, bytes, last).await,
                };
                if last {
                    pieces = None;
                }
                (ticket, written)
            }
        };
        state.finish_operation(exchange, ticket, written.map_or_else(Completion::Failed, |()| Completion::Written));
    }
    core::future::pending().await
}

async fn write(pieces: &mpsc::Sender<BodyPiece>, bytes: Bytes, last: bool) -> Result<(), NetError> {
    if !bytes.is_empty() {
        let sent = pieces.send(BodyPiece::Bytes(bytes)).await;
        sent.map_err(|_| closed("the server answered without reading the rest of the request"))?;
    }
    if last {
        // a body whose length was announced is not read beyond that length
        let _ = pieces.send(BodyPiece::End).await;
    }
    Ok(())
}

fn closed(message: &str) -> NetError {
    NetError::new(NetErrorKind::Closed, message)
}

/// Gets the response and passes it on. Returns the operation that ends the exchange, and its result.
async fn receive(
    state: &SessionState,
    exchange: Ticket,
    request: Request,
    content: Content,
    mut reads: mpsc::Receiver<Box<ReadCommand>>,
) -> (Ticket, Completion) {
    let (response, mut download) = match send_request(state, request, content).await {
        Ok(response) => response,
        Err(ExchangeError::Refused(refusal)) => return (exchange, state.refuse(refusal)),
        Err(ExchangeError::Failed(error)) => return (exchange, Completion::Failed(error)),
    };
    if response.last {
        return (exchange, Completion::Response(response));
    }
    state.finish_operation(exchange, exchange, Completion::Response(response));
    while let Some(command) = reads.recv().await {
        match read(state, &mut download, &command).await {
            Ok(completion @ Completion::Data { last: false, .. }) => {
                state.finish_operation(exchange, command.ticket, completion);
            }
            Ok(completion) => return (command.ticket, completion),
            Err(error) => return (command.ticket, Completion::Failed(error)),
        }
    }
    (exchange, Completion::Failed(closed("the step closed it")))
}

async fn read(state: &SessionState, download: &mut Download, command: &ReadCommand) -> Result<Completion, NetError> {
    let bytes = download.read(command.max as usize, timeout(command.timeout_ms, MAX_READ_TIMEOUT)).await?;
    state.count_received(bytes.len())?;
    Ok(Completion::Data { bytes, last: download.is_finished() })
}

/// Sends the request and returns the head of the response.
async fn send_request(
    state: &SessionState,
    request: Request,
    content: Content,
) -> Result<(Response, Download), ExchangeError> {
    let head = RequestHead::read(&request)?;
    let gate = state.gate(&head.method);
    gate.check_authority(&head.authority)?;
    if let Body::Whole(bytes) = &request.body {
        state.count_sent(bytes.len())?;
    }
    let read_timeout = timeout(request.read_timeout_ms, MAX_READ_TIMEOUT);
    let attempt = Arc::new(Attempt::new(timeout(request.connect_timeout_ms, MAX_CONNECT_TIMEOUT)));
    let mut message = http::Request::new(Upload::new(content, Arc::clone(&attempt)));
    *message.headers_mut() = headers(request, &head, state.secrets(), state.limits())?;
    add_trace(message.headers_mut(), state.trace);
    let (gate, uri) = match state.answering_server() {
        Some(server) => redirect(server, &head, state.simulated_time(), message.headers_mut())?,
        None => (gate, head.uri),
    };
    let (method, authority) = (head.method, head.authority);
    *message.method_mut() = method;
    *message.uri_mut() = uri;
    let client = state.client(gate)?;
    let response = ATTEMPT.scope(Arc::clone(&attempt), client.request(message));
    let response = tokio::select! {
        response = response => response.map_err(|error| ExchangeError::from_client(&error, &authority))?,
        () = attempt.stalled(read_timeout) => return Err(timed_out(&authority, read_timeout).into()),
    };
    read_head(state, response, authority)
}

/// Names the span of the step as the parent of what the server does, unless the step names another one.
fn add_trace(headers: &mut HeaderMap, trace: Option<TraceContext>) {
    if let Some(trace) = trace
        && !headers.contains_key(TRACEPARENT)
        && let Ok(value) = HeaderValue::try_from(trace.to_string())
    {
        headers.insert(TRACEPARENT, value);
    }
}

/// Returns where to send a request that a test answers. Its address and the simulated time go into headers.
fn redirect(
    server: SocketAddr,
    head: &RequestHead,
    time: Option<&SimulatedTime>,
    headers: &mut HeaderMap,
) -> Result<(Gate, Uri), NetError> {
    let invalid =
        |error: http::Error| NetError::new(NetErrorKind::BadRequest, format!("the address is invalid: {error}"));
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(server.to_string()).path_and_query(target);
    let address = HeaderValue::try_from(head.uri.to_string()).map_err(|error| invalid(error.into()))?;
    headers.insert(ADDRESS_HEADER, address);
    if let Some(time) = time {
        headers.insert(TIME_HEADER, time.now().0.into());
    }
    Ok((Gate::to_server(server), uri.build().map_err(invalid)?))
}

fn timed_out(authority: &Authority, timeout: Duration) -> NetError {
    NetError::new(NetErrorKind::ReadTimeout, format!("{authority} did not answer within {timeout:?}"))
}

/// Returns the head of a response as the step gets it, and its body.
fn read_head(
    state: &SessionState,
    response: http::Response<Incoming>,
    authority: Authority,
) -> Result<(Response, Download), ExchangeError> {
    let (mut head, body) = response.into_parts();
    if head.status.is_informational() {
        // the client skips interim responses, but ends the exchange with 101, which switches to another protocol
        let message = format!("{authority} answered with status {}, which nothing asked for", head.status.as_u16());
        return Err(NetError::new(NetErrorKind::Protocol, message).into());
    }
    if head.headers.contains_key(TRANSFER_ENCODING) {
        // The body is read by its chunks (RFC 9112, 6.3). A step that believed a length beside them would cut it off.
        head.headers.remove(CONTENT_LENGTH);
    }
    let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len())).sum();
    check_headers("response", head.headers.len(), bytes as u64, state.limits())?;
    let mut download = Download::new(body, authority);
    let body = download.take_available(READ_AHEAD_BYTES);
    state.count_received(body.len())?;
    let copy = |value: &HeaderValue| Bytes::copy_from_slice(value.as_bytes());
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), copy(value)));
    let response = Response {
        status: head.status.as_u16(),
        version: version(head.version),
        reason: reason(&head),
        headers: headers.collect(),
        body,
        last: download.is_finished(),
    };
    Ok((response, download))
}

fn version(version: Version) -> u8 {
    match version {
        Version::HTTP_10 => 10,
        Version::HTTP_2 => 20,
        _ => 11,
    }
}

fn reason(head: &http::response::Parts) -> String {
    match head.extensions.get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => head.status.canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// Returns the step's timeout, or `max` if it sets none or a longer one.
pub(crate) fn timeout(millis: Option<u64>, max: Duration) -> Duration {
    millis.map_or(max, |millis| Duration::from_millis(millis).min(max))
}
