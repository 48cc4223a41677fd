//! [`HeldBody`]: a reply's body that keeps something until it is sent or given up.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::http::reply::Body;

/// A body and what it keeps. Its length is that of the body, so a reply keeps its `content-length`.
#[derive(Debug)]
struct HeldBody<T> {
    body: Body,
    _held: T,
}

/// Keeps `held` until the reply is sent or given up.
pub(crate) fn hold_until_sent<T: Send + Unpin + 'static>(response: Response<Body>, held: T) -> Response<Body> {
    response.map(|body| HeldBody { body, _held: held }.boxed_unsync())
}

impl<T: Unpin> HttpBody for HeldBody<T> {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
