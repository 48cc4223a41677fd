//! [`Form`]: the fields that a form sends.

use http::HeaderMap;
use url::form_urlencoded;

use crate::http::reply::ErrorReply;
use crate::http::request::{RequestBody, content_type, read_body, unsupported_type};

/// Bytes of a form. Larger values of parameters belong in the bucket.
const MAX_FORM: usize = 1024 * 1024;
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of a form, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request.
    pub(super) async fn read(headers: &HeaderMap, body: impl Into<RequestBody>) -> Result<Self, ErrorReply> {
        let body = read_body(body, MAX_FORM).await?;
        match content_type(headers) {
            FORM_TYPE => Ok(Self::parse(&body)),
            "" if body.is_empty() => Ok(Self::default()),
            other => Err(unsupported_type(other, "send application/x-www-form-urlencoded, as browsers do")),
        }
    }

    /// Reads fields, also those of a query. Bytes that are not UTF-8 are replaced.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a field, without space around it; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim()).unwrap_or_default()
    }

    /// The first value of a field as it was sent.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a field is there with a value, as a checked box is.
    pub(super) fn flag(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}
