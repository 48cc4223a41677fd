//! [`changed`]: makes a change as the API does, for the actions of the pages.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, Uri, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::api::change::{Change, ChangeRequest, audited};
use crate::http::reply::ErrorReply;
use crate::http::request::RequestBody;
use crate::web::visit::Visit;

/// A change while it is made.
pub(super) type Changing = BoxFuture<'static, Result<Change, ErrorReply>>;

/// Makes a change as the API does: with the sender's name in the audit. `body` is the JSON that the API would receive; null for none.
/// Returns the answer as JSON, with the address of what was created, if something was.
pub(super) async fn changed(
    visit: &Visit,
    parameter: &str,
    body: &Value,
    change: impl FnOnce(ChangeRequest) -> Changing,
) -> Result<(Value, Option<String>), ErrorReply> {
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = ChangeRequest {
        hub: visit.hub.clone(),
        head: json_head(&visit.head, !bytes.is_empty()),
        body: RequestBody::Whole(bytes),
        parameter: parameter.to_owned(),
        principal: visit.principal.clone(),
    };
    let response = audited(request, change).await?;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok((serde_json::from_slice(&bytes).unwrap_or_default(), location))
}

/// The head of the request that a program would send: without the form's query and type.
fn json_head(head: &Parts, has_body: bool) -> Parts {
    let mut head = head.clone();
    head.uri = Uri::from_static("/");
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.remove("idempotency-key");
    if has_body {
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    head
}

/// The page of a run that the API says it has created.
pub(super) fn page_of_run(location: Option<&str>) -> String {
    location.and_then(|path| path.strip_prefix("/v1")).unwrap_or("/runs").to_owned()
}
