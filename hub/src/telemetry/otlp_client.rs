//! [`OtlpClient`]: sends messages to a collector over HTTP, as protobuf, and repeats those that it could not take.

use std::error::Error;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bue_model::text::{printable, shortened};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use prost::Message;
use tokio::time::{sleep, timeout};

use super::config::OtlpConfig;
use crate::http::https_client::{HttpsClient, https_client};

/// The type of requests.
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// Bytes of an answer that are read. It says what was rejected, in a line or two.
const MAX_ANSWER: usize = 64 * 1024;
/// Characters of an answer in the log.
const MAX_SHOWN: usize = 200;
/// The first wait before a message is sent again, and the longest.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Times that a message is sent again. With the waits, that bridges a restart of the collector of some fifteen seconds.
const MAX_RETRIES: usize = 5;
/// The longest wait that a collector may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// A client of one collector.
#[derive(Clone, Debug)]
pub(crate) struct OtlpClient {
    client: HttpsClient<Full<Bytes>>,
    headers: HeaderMap,
    timeout: Duration,
}

/// Why a message was not taken.
struct SendError {
    reason: String,
    is_transient: bool,
    /// How long the collector wants to be left alone.
    retry_after: Option<Duration>,
}

impl SendError {
    fn transient(reason: String) -> Self {
        Self { reason, is_transient: true, retry_after: None }
    }
}

impl OtlpClient {
    /// Makes a client.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn new(config: &OtlpConfig) -> Result<Self, rustls::Error> {
        let mut headers = config.headers.clone();
        headers.insert(header::CONTENT_TYPE, PROTOBUF);
        let agent = HeaderValue::from_static(concat!("bue/", env!("CARGO_PKG_VERSION")));
        headers.entry(header::USER_AGENT).or_insert(agent);
        Ok(Self { client: https_client()?, headers, timeout: config.timeout })
    }

    /// Sends a message, again after a while if the collector is busy or cannot be reached. Returns its answer.
    ///
    /// # Errors
    /// What is wrong, in a text for the log.
    pub(crate) async fn send<A: Message + Default>(&self, uri: &Uri, message: &impl Message) -> Result<A, String> {
        let body = Bytes::from(message.encode_to_vec());
        let backoff = ExponentialBuilder::default().with_min_delay(FIRST_BACKOFF).with_max_delay(MAX_BACKOFF);
        let mut backoff = backoff.with_max_times(MAX_RETRIES).with_jitter().build();
        loop {
            let error = match self.post(uri, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match backoff.next().filter(|_| error.is_transient) {
                Some(wait) => sleep(error.retry_after.map_or(wait, |wait| wait.min(MAX_RETRY_AFTER))).await,
                None => return Err(error.reason),
            }
        }
    }

    /// The same, once.
    ///
    /// # Errors
    /// What is wrong, in a text for the log.
    pub(crate) async fn send_once<A: Message + Default>(&self, uri: &Uri, message: &impl Message) -> Result<A, String> {
        self.post(uri, message.encode_to_vec().into()).await.map_err(|error| error.reason)
    }

    async fn post<A: Message + Default>(&self, uri: &Uri, body: Bytes) -> Result<A, SendError> {
        let mut request = Request::post(uri.clone()).body(Full::new(body)).map_err(|error| SendError {
            reason: error.to_string(),
            is_transient: false,
            retry_after: None,
        })?;
        request.headers_mut().extend(self.headers.clone());
        let exchange = timeout(self.timeout, self.exchange(request)).await;
        let (head, answer) = exchange
            .map_err(|_| SendError::transient(format!("{} has not answered for {:?}", shown(uri), self.timeout)))??;
        if head.status.is_success() {
            // an empty answer is that everything was taken; one that is no message is that of another server
            return A::decode(answer).map_err(|_| SendError {
                reason: format!("{} does not answer as an OpenTelemetry collector does", shown(uri)),
                is_transient: false,
                retry_after: None,
            });
        }
        Err(refusal(uri, &head, &answer))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(http::response::Parts, Bytes), SendError> {
        let uri = request.uri().clone();
        let unreachable =
            |error: &dyn Error| SendError::transient(format!("{} cannot be reached: {}", shown(&uri), causes(error)));
        let (head, body) = self.client.request(request).await.map_err(|error| unreachable(&error))?.into_parts();
        let answer = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| unreachable(&*error))?;
        Ok((head, answer.to_bytes()))
    }
}

/// These statuses say that the same message may be taken later.
fn refusal(uri: &Uri, head: &http::response::Parts, answer: &[u8]) -> SendError {
    let transient = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let seconds = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let text = String::from_utf8_lossy(answer.get(..MAX_SHOWN).unwrap_or(answer));
    let text = shortened(&printable(&text), MAX_SHOWN);
    SendError {
        reason: format!("{} answered with status {}: {text}", shown(uri), head.status.as_u16()),
        is_transient: transient.contains(&head.status),
        retry_after: seconds.map(Duration::from_secs),
    }
}

/// An address without its query, which may have a key.
fn shown(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}{}", uri.scheme_str().unwrap_or("http"), uri.path())
}

/// Returns an error with its causes: the first one alone only says that there was one.
fn causes(error: &dyn Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
