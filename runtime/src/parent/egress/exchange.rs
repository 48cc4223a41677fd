//! One exchange: its request goes out, its response comes in, each as fast as the other side and the step take it.

use core::convert::Infallible;
use core::time::Duration;
use std::sync::Arc;

use bue_model::net::{Body, Ended, NetError, NetErrorKind, Request, Response, Ticket};
use bytes::Bytes;
use http::Version;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use tokio::sync::mpsc;

use crate::parent::egress::connect::ATTEMPT;
use crate::parent::egress::desk::Desk;
use crate::parent::egress::download::Download;
use crate::parent::egress::gate::{Place, Refusal};
use crate::parent::egress::request::{Head, check_headers, headers};
use crate::parent::egress::trouble;
use crate::parent::egress::upload::{Attempt, Content, Piece, Upload};

/// Longest time for a connection: what takes longer than this does not come.
const MOST_CONNECT: Duration = Duration::from_secs(30);
/// Longest silence of a server where the step sets none; the step's own time ends everything anyway.
const MOST_SILENCE: Duration = Duration::from_secs(600);
/// Bytes of a response's body that are sent along with its head, if they are there.
const FIRST: usize = 64 * 1024;

/// What the step asks of an exchange while it lives, one of each at a time.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) reads: mpsc::Receiver<ReadOrder>,
    pub(crate) writes: mpsc::Receiver<WriteOrder>,
}

#[derive(Debug)]
pub(crate) struct ReadOrder {
    pub(crate) ticket: Ticket,
    pub(crate) max: u32,
    pub(crate) timeout_ms: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct WriteOrder {
    pub(crate) ticket: Ticket,
    pub(crate) bytes: Bytes,
    pub(crate) last: bool,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody allowed it.
    Refused(Refusal),
    /// It did not work.
    Failed(NetError),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NetError> for Trouble {
    fn from(error: NetError) -> Self {
        Self::Failed(error)
    }
}

/// Goes on until the response has ended or something went wrong. `exchange` is the ticket of the request.
pub(crate) async fn run(desk: Arc<Desk>, exchange: Ticket, request: Request, orders: Orders) {
    let Orders { reads, writes } = orders;
    let (pieces, content) = content(&request.body);
    let (last, ended) = tokio::select! {
        last = receive(&desk, exchange, request, content, reads) => last,
        never = feed(&desk, exchange, pieces, writes) => match never {},
    };
    desk.over(exchange, last, ended);
}

/// The body as it is sent, and where its pieces go if it comes in pieces.
fn content(body: &Body) -> (Option<mpsc::Sender<Piece>>, Content) {
    match body {
        Body::None => (None, Content::Over),
        Body::Whole(bytes) => (None, Content::Whole(bytes.clone())),
        Body::Streamed => {
            let (pieces, queue) = mpsc::channel(1);
            (Some(pieces), Content::Streamed(queue))
        }
    }
}

/// Hands on what the step writes. What ends an exchange is its response, so this never does.
async fn feed(
    desk: &Desk,
    exchange: Ticket,
    mut pieces: Option<mpsc::Sender<Piece>>,
    mut writes: mpsc::Receiver<WriteOrder>,
) -> Infallible {
    while let Some(WriteOrder { ticket, bytes, last }) = writes.recv().await {
        let ended = match &pieces {
            None => Err(closed("the request has no body that is written, or all of it was")),
            Some(pieces) => write(pieces, bytes, last).await,
        };
        if last {
            pieces = None;
        }
        desk.ended(exchange, ticket, ended.map_or_else(Ended::Failed, |()| Ended::Wrote));
    }
    core::future::pending().await
}

async fn write(pieces: &mpsc::Sender<Piece>, bytes: Bytes, last: bool) -> Result<(), NetError> {
    if !bytes.is_empty() {
        let taken = pieces.send(Piece::Bytes(bytes)).await;
        taken.map_err(|_| closed("the server answered without taking the rest of the request"))?;
    }
    if last {
        // a body whose length was announced is not read beyond that
        let _ = pieces.send(Piece::End).await;
    }
    Ok(())
}

fn closed(message: &str) -> NetError {
    NetError::new(NetErrorKind::Closed, message)
}

/// Gets the response and gives it out, up to what comes last: an operation and its end.
async fn receive(
    desk: &Desk,
    exchange: Ticket,
    request: Request,
    content: Content,
    mut reads: mpsc::Receiver<ReadOrder>,
) -> (Ticket, Ended) {
    let (response, mut download) = match respond(desk, request, content).await {
        Ok(response) => response,
        Err(Trouble::Refused(refusal)) => return (exchange, desk.refused(refusal)),
        Err(Trouble::Failed(error)) => return (exchange, Ended::Failed(error)),
    };
    if response.last {
        return (exchange, Ended::Response(response));
    }
    desk.ended(exchange, exchange, Ended::Response(response));
    while let Some(order) = reads.recv().await {
        match read(desk, &mut download, &order).await {
            Ok(ended @ Ended::Data { last: false, .. }) => desk.ended(exchange, order.ticket, ended),
            Ok(ended) => return (order.ticket, ended),
            Err(error) => return (order.ticket, Ended::Failed(error)),
        }
    }
    (exchange, Ended::Failed(closed("the step gave it up")))
}

async fn read(desk: &Desk, download: &mut Download, order: &ReadOrder) -> Result<Ended, NetError> {
    let bytes = download.read(order.max as usize, time(order.timeout_ms, MOST_SILENCE)).await?;
    desk.count_down(bytes.len())?;
    Ok(Ended::Data { bytes, last: download.is_over() })
}

/// Sends the request and gives the beginning of the response.
async fn respond(desk: &Desk, request: Request, content: Content) -> Result<(Response, Download), Trouble> {
    let head = Head::read(&request)?;
    let gate = desk.gate(&head.method);
    gate.check_place(&head.place)?;
    if let Body::Whole(bytes) = &request.body {
        desk.count_up(bytes.len())?;
    }
    let silence = time(request.read_timeout_ms, MOST_SILENCE);
    let attempt = Arc::new(Attempt::new(time(request.connect_timeout_ms, MOST_CONNECT)));
    let mut sent = http::Request::new(Upload::new(content, Arc::clone(&attempt)));
    *sent.method_mut() = head.method;
    *sent.uri_mut() = head.uri;
    *sent.headers_mut() = headers(request, &head.place, desk.secrets(), desk.limits())?;
    let client = desk.client(gate)?;
    let response = ATTEMPT.scope(Arc::clone(&attempt), client.request(sent));
    let response = tokio::select! {
        response = response => response.map_err(|error| trouble(&error, &head.place))?,
        () = attempt.silence(silence) => return Err(Trouble::Failed(silent(&head.place, silence))),
    };
    begin(desk, response, head.place)
}

fn trouble(error: &(dyn core::error::Error + 'static), place: &Place) -> Trouble {
    match trouble::refusal(error) {
        Some(refusal) => Trouble::Refused(refusal.clone()),
        None => Trouble::Failed(trouble::describe(error, place)),
    }
}

fn silent(place: &Place, silence: Duration) -> NetError {
    NetError::new(NetErrorKind::ReadTimeout, format!("{place} did not answer within {silence:?}"))
}

/// What a step is told of a response first.
fn begin(desk: &Desk, response: http::Response<Incoming>, place: Place) -> Result<(Response, Download), Trouble> {
    let (head, body) = response.into_parts();
    let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len())).sum();
    check_headers("response", head.headers.len(), bytes as u64, desk.limits())?;
    let mut download = Download::new(body, place);
    let body = download.ready(FIRST);
    desk.count_down(body.len())?;
    let text = |value: &http::HeaderValue| Bytes::copy_from_slice(value.as_bytes());
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let response = Response {
        status: head.status.as_u16(),
        version: version(head.version),
        reason: reason(&head),
        headers: headers.collect(),
        body,
        last: download.is_over(),
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

/// What the step says, within what the host says.
fn time(millis: Option<u64>, most: Duration) -> Duration {
    millis.map_or(most, |millis| Duration::from_millis(millis).min(most))
}
