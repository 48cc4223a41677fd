//! wasi:http for components: requests go to the parent's egress as frames, and responses come back as frames. This process
//! makes no connections.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use bue_model::net::{Body as Sent, Completion, NetError, NetErrorKind, Operation, Request, Response, Ticket};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::calls::Calls;
use crate::step::box_future::BoxFuture;
use crate::step::net_port::MAX_READ_BYTES;

/// Sends the requests of one step.
pub(crate) struct Requests(pub(crate) Calls);

/// A future that drives the rest of an upload.
type UploadFuture = Box<dyn Future<Output = Result<(), Error>> + Send>;
/// A response, and the rest of its request's upload.
type SendResult = Result<(http::Response<WasiBody>, UploadFuture), Error>;

impl WasiHttpHooks for Requests {
    /// The parent sets the header, from the request's origin.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: UploadFuture,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        Box::new(send(self.0.clone(), request, options.unwrap_or_default()))
    }
}

async fn send(calls: Calls, request: http::Request<WasiBody>, options: RequestOptions) -> SendResult {
    let (parts, body) = request.into_parts();
    let streamed = !body.is_end_stream();
    let call = calls.start(Operation::Request(to_request(&parts, streamed, options)?));
    let exchange = Exchange { calls: calls.clone(), ticket: call.ticket, is_done: false };
    let ticket = call.ticket;
    let mut upload = streamed.then(|| Box::pin(upload(calls, ticket, body)));
    let mut response = core::pin::pin!(call.complete());
    let completion = loop {
        match &mut upload {
            None => break response.await,
            Some(sending) => tokio::select! {
                biased;
                completion = &mut response => break completion,
                // if the upload fails, the completion of the request has the better error
                _ = sending => upload = None,
            },
        }
    };
    let Completion::Response(response) = completion.map_err(to_error)? else { return Err(unexpected()) };
    let rest: UploadFuture = match upload {
        Some(upload) => Box::new(upload),
        None => Box::new(core::future::ready(Ok(()))),
    };
    Ok((to_response(response, exchange, options.between_bytes_timeout)?, rest))
}

fn to_request(parts: &http::request::Parts, streamed: bool, options: RequestOptions) -> Result<Request, Error> {
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

/// Sends a body, as fast as the parent accepts it.
async fn upload(calls: Calls, exchange: Ticket, mut body: WasiBody) -> Result<(), Error> {
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame?.into_data() else { continue };
        calls.start(Operation::Write { exchange, bytes, last: false }).complete().await.map_err(to_error)?;
    }
    calls.start(Operation::Write { exchange, bytes: Bytes::new(), last: true }).complete().await.map_err(to_error)?;
    Ok(())
}

fn to_response(
    response: Response,
    mut exchange: Exchange,
    timeout: Option<Duration>,
) -> Result<http::Response<WasiBody>, Error> {
    exchange.is_done = response.last;
    let mut builder = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(name, value.as_ref());
    }
    let body = Download { exchange, first: response.body, reading: None, timeout_ms: timeout.map(millis) };
    builder.body(body.boxed_unsync()).map_err(|error| Error::InternalError(Some(error.to_string())))
}

/// An exchange that is cancelled when it is dropped before its end.
struct Exchange {
    calls: Calls,
    ticket: Ticket,
    is_done: bool,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_done {
            self.calls.close(self.ticket);
        }
    }
}

/// The body of a response, read on demand.
struct Download {
    exchange: Exchange,
    /// The bytes that came with the head.
    first: Bytes,
    reading: Option<BoxFuture<Result<Completion, NetError>>>,
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
        if this.exchange.is_done {
            return Poll::Ready(None);
        }
        let exchange = &mut this.exchange;
        let read = Operation::Read { exchange: exchange.ticket, max: MAX_READ_BYTES, timeout_ms: this.timeout_ms };
        let reading = this.reading.get_or_insert_with(|| Box::pin(exchange.calls.start(read).complete()));
        let completion = ready!(reading.as_mut().poll(context));
        this.reading = None;
        match completion {
            Ok(Completion::Data { bytes, last }) => {
                exchange.is_done = last;
                if bytes.is_empty() && last { Poll::Ready(None) } else { Poll::Ready(Some(Ok(Frame::data(bytes)))) }
            }
            Ok(_) => Poll::Ready(Some(Err(unexpected()))),
            Err(error) => Poll::Ready(Some(Err(to_error(error)))),
        }
    }
}

fn unexpected() -> Error {
    Error::InternalError(Some("the host sent an unexpected answer".to_owned()))
}

/// The WASI error for an error, or its message where WASI's error would hide which rule or limit was violated.
fn to_error(error: NetError) -> Error {
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
