//! wasi:http of components: every request goes to the parent's egress as frames, and comes back as them. There is no
//! connection in this process.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use bue_model::net::{Body as Sent, Ended, NetError, NetErrorKind, Operation, Request, Response, Ticket};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::calls::Calls;
use crate::step::box_future::BoxFuture;
use crate::step::net_port::MAX_READ_BYTES;

/// Makes the requests of one step.
pub(crate) struct Requests(pub(crate) Calls);

type Ending = Box<dyn Future<Output = Result<(), Error>> + Send>;
/// A response, and what goes on after it.
type Answered = Result<(http::Response<WasiBody>, Ending), Error>;

impl WasiHttpHooks for Requests {
    /// The parent says the host, from the request's origin.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Ending,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        Box::new(send(self.0.clone(), request, options.unwrap_or_default()))
    }
}

async fn send(calls: Calls, request: http::Request<WasiBody>, options: RequestOptions) -> Answered {
    let (parts, body) = request.into_parts();
    let streamed = !body.is_end_stream();
    let begun = calls.start(Operation::Request(wanted(&parts, streamed, options)?));
    let exchange = Exchange { calls: calls.clone(), ticket: begun.ticket, over: false };
    let ticket = begun.ticket;
    let mut upload = streamed.then(|| Box::pin(upload(calls, ticket, body)));
    let mut response = core::pin::pin!(begun.end());
    let ended = loop {
        match &mut upload {
            None => break response.await,
            Some(sending) => tokio::select! {
                biased;
                ended = &mut response => break ended,
                // what went wrong with it, the response's end says better
                _ = sending => upload = None,
            },
        }
    };
    let Ended::Response(response) = ended.map_err(said)? else { return Err(unexpected()) };
    let rest: Ending = match upload {
        Some(upload) => Box::new(upload),
        None => Box::new(core::future::ready(Ok(()))),
    };
    Ok((answer(response, exchange, options.between_bytes_timeout)?, rest))
}

fn wanted(parts: &http::request::Parts, streamed: bool, options: RequestOptions) -> Result<Request, Error> {
    let (scheme, authority) = (parts.uri.scheme_str(), parts.uri.authority());
    let (Some(scheme), Some(authority)) = (scheme, authority) else { return Err(Error::HttpRequestUriInvalid) };
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    Ok(Request {
        method: parts.method.as_str().to_owned(),
        origin: format!("{scheme}://{authority}"),
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers: headers.collect(),
        body: if streamed { Sent::Streamed } else { Sent::None },
        connect_timeout_ms: options.connect_timeout.map(millis),
        read_timeout_ms: options.first_byte_timeout.map(millis),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Sends a body as far as it is taken.
async fn upload(calls: Calls, exchange: Ticket, mut body: WasiBody) -> Result<(), Error> {
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame?.into_data() else { continue };
        calls.start(Operation::Write { exchange, bytes, last: false }).end().await.map_err(said)?;
    }
    calls.start(Operation::Write { exchange, bytes: Bytes::new(), last: true }).end().await.map_err(said)?;
    Ok(())
}

fn answer(
    response: Response,
    mut exchange: Exchange,
    timeout: Option<Duration>,
) -> Result<http::Response<WasiBody>, Error> {
    exchange.over = response.last;
    let mut made = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        made = made.header(name, value.as_ref());
    }
    let body = Download { exchange, first: response.body, reading: None, timeout_ms: timeout.map(millis) };
    made.body(body.boxed_unsync()).map_err(|error| Error::InternalError(Some(error.to_string())))
}

/// An exchange that is given up when nobody wants it any more.
struct Exchange {
    calls: Calls,
    ticket: Ticket,
    over: bool,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.over {
            self.calls.close(self.ticket);
        }
    }
}

/// A response's body: read when it is asked for.
struct Download {
    exchange: Exchange,
    /// What came with the head.
    first: Bytes,
    reading: Option<BoxFuture<Result<Ended, NetError>>>,
    timeout_ms: Option<u64>,
}

impl Body for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if !this.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(core::mem::take(&mut this.first)))));
        }
        if this.exchange.over {
            return Poll::Ready(None);
        }
        let exchange = &mut this.exchange;
        let read = Operation::Read { exchange: exchange.ticket, max: MAX_READ_BYTES, timeout_ms: this.timeout_ms };
        let reading = this.reading.get_or_insert_with(|| Box::pin(exchange.calls.start(read).end()));
        let ended = ready!(reading.as_mut().poll(context));
        this.reading = None;
        match ended {
            Ok(Ended::Data { bytes, last }) => {
                exchange.over = last;
                if bytes.is_empty() && last { Poll::Ready(None) } else { Poll::Ready(Some(Ok(Frame::data(bytes)))) }
            }
            Ok(_) => Poll::Ready(Some(Err(unexpected()))),
            Err(error) => Poll::Ready(Some(Err(said(error)))),
        }
    }
}

fn unexpected() -> Error {
    Error::InternalError(Some("the host answered something else".to_owned()))
}

/// What went wrong, in WASI's words where they say as much; a person must learn which rule or which limit it was.
fn said(error: NetError) -> Error {
    match error.kind {
        NetErrorKind::Name => Error::DnsError { rcode: Some(error.message), info_code: None },
        NetErrorKind::Refused => Error::ConnectionRefused,
        NetErrorKind::Unreachable => Error::DestinationUnavailable,
        NetErrorKind::Reset => Error::ConnectionTerminated,
        NetErrorKind::ConnectTimeout => Error::ConnectionTimeout,
        NetErrorKind::ReadTimeout => Error::HttpResponseTimeout,
        _ => Error::InternalError(Some(error.message)),
    }
}
