//! The HTTP client for WebDriver and for questions to the hub: hyper on loopback, without TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use thirtyfour::prelude::{WebDriverError, WebDriverResult};
use thirtyfour::session::http::{Body, HttpClient};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// The longest request: the start of a browser on a loaded machine.
const REQUEST_DEADLINE: Duration = Duration::from_secs(60);

/// A client. Its connections belong to the runtime in which it is used.
pub(crate) struct LoopbackClient(Client<HttpConnector, Full<Bytes>>);

impl LoopbackClient {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = async {
            let (head, body) = self.0.request(request).await.map_err(|error| error.to_string())?.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        let answer = timeout(REQUEST_DEADLINE, answer).await;
        answer
            .unwrap_or_else(|_| Err(format!("no answer within {REQUEST_DEADLINE:?}")))
            .map_err(|error: String| format!("{what}: {error}"))
    }
}

#[async_trait::async_trait]
impl HttpClient for LoopbackClient {
    async fn send(&self, request: Request<Body<'_>>) -> WebDriverResult<Response<Bytes>> {
        let (head, body) = request.into_parts();
        let body = match body {
            Body::Empty => Bytes::new(),
            Body::Json(value) => Bytes::from(value.to_string()),
        };
        let request = Request::from_parts(head, Full::new(body));
        self.request(request).await.map_err(WebDriverError::RequestFailed)
    }

    async fn new(&self) -> Arc<dyn HttpClient> {
        Arc::new(Self::new())
    }
}

/// A runtime for one browser or one request.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Sends a GET request to a hub, and returns the status and the JSON.
pub(crate) fn get(address: &str, path: &str, token: Option<&str>) -> Result<(u16, Value), String> {
    let mut request = Request::get(format!("http://{address}{path}")).header("accept", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::default()).map_err(|error| error.to_string())?;
    let answer = runtime().block_on(LoopbackClient::new().request(request))?;
    Ok((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default()))
}
