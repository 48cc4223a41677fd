//! The HTTP client for S3 stores: hyper and rustls, as in the rest of bue.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector as HttpClientFactory, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::timeout;

use crate::http::https_client::{HttpsClient, https_client};

/// Time until a response begins, which includes sending a part of some megabytes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Creates the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connector;

#[derive(Debug)]
struct Service(HttpsClient<HttpRequestBody>);

impl HttpClientFactory for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(https_client().map_err(to_store_error)?)))
    }
}

impl HttpService for Service {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let response = timeout(RESPONSE_TIMEOUT, self.0.request(request)).await;
            let response =
                response.map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))?.map_err(|error| {
                    let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
                    HttpError::new(kind, error)
                })?;
            Ok(response.map(|body| {
                HttpResponseBody::new(body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)))
            }))
        })
    }
}

fn to_store_error(error: impl Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}
