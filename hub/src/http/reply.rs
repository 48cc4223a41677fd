//! Answers: JSON, postcard behind its version byte, streams, and the one shape of errors.

use bue_model::wire::{CONTENT_TYPE, ErrorBody, ErrorView, WIRE_VERSION};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use crate::error::HubError;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: &'static str,
    /// Methods the route takes, where another one was used.
    allow: Vec<Method>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self { status, code, message: message.into(), hint, allow: Vec::new() }
    }

    pub(crate) fn bad_request(message: impl Into<String>, hint: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    }

    pub(crate) fn no_such_route(path: &str) -> Self {
        let hint = "the routes begin with /v1/; see the documentation of the HTTP API";
        Self::new(StatusCode::NOT_FOUND, "no_such_route", format!("there is nothing at {path}"), hint)
    }

    pub(crate) fn method_not_allowed(method: &Method, allow: Vec<Method>) -> Self {
        let message = format!("{method} is not what this route takes");
        let hint = "the answer's `allow` header names the methods it takes";
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, hint);
        Self { allow, ..refusal }
    }

    /// Code and message, for the log.
    pub(crate) fn told(&self) -> (&'static str, String) {
        (self.code, self.message.clone())
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let error = ErrorView { code: self.code.to_owned(), message: self.message, hint: self.hint.to_owned() };
        let mut response = json(&ErrorBody { error }).unwrap_or_else(|_| empty());
        *response.status_mut() = self.status;
        let names: Vec<_> = self.allow.iter().map(Method::as_str).collect();
        if let Ok(names) = HeaderValue::from_str(&names.join(", "))
            && !names.is_empty()
        {
            response.headers_mut().insert(header::ALLOW, names);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<HubError> for Refusal {
    fn from(error: HubError) -> Self {
        let (status, code, hint) = match &error {
            HubError::Plan(_) => (StatusCode::BAD_REQUEST, "bad_plan", "make the plan with `bue` of the hub's release"),
            HubError::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request", ""),
            HubError::RunNotFound(_) => (StatusCode::NOT_FOUND, "run_not_found", "`bue status` lists the runs"),
            HubError::JobNotFound(_) => (StatusCode::NOT_FOUND, "job_not_found", "`bue errors` names failed jobs"),
            HubError::JobNotFailed { .. } => (StatusCode::CONFLICT, "job_not_failed", "only failed jobs can be reset"),
            HubError::JobEnded { .. } => (StatusCode::CONFLICT, "job_ended", "only open jobs can be cancelled"),
            HubError::RunStillRunning(_) => {
                (StatusCode::CONFLICT, "run_running", "cancel it first, or type `bue delete --force`")
            }
            HubError::JobNotReady { .. } => {
                (StatusCode::CONFLICT, "job_not_ready", "`bue why` with the job's number says what it waits for")
            }
            HubError::RunCancelled(_) => (StatusCode::CONFLICT, "run_cancelled", "submit the script again"),
            HubError::BadKey { .. } => {
                (StatusCode::BAD_REQUEST, "bad_key", "keys are names with `/` between their parts, like reports/today")
            }
            HubError::WrongHash { .. } => {
                (StatusCode::BAD_REQUEST, "wrong_hash", "name the blob by the BLAKE3 hash of its bytes")
            }
            HubError::IncompleteBody(_) => (StatusCode::BAD_REQUEST, "broken_body", "send it again"),
            HubError::Disk { .. } => (StatusCode::SERVICE_UNAVAILABLE, "disk", "make room, or make it writable"),
            HubError::S3 { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store",
                "see whether the bucket's S3 store can be reached; then try again",
            ),
            HubError::OtherDatabase => (
                StatusCode::CONFLICT,
                "other_database",
                "give each database a bucket of its own; if the other one is gone, delete the object `owner` in the bucket's store",
            ),
            HubError::Postgres(_) | HubError::Unreachable(_) | HubError::Unusable { .. } | HubError::Unsure(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "database", "see whether the hub's PostgreSQL runs; then try again")
            }
            HubError::Database(_) | HubError::NotCommitted(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "database",
                "look at the disk under the hub's database; then try again",
            ),
            HubError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped", "start the hub again"),
            HubError::InUse(_) | HubError::ForeignSchema(_) | HubError::NewerLayout { .. } | HubError::Damaged(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "damaged", "restore the hub's database from a backup")
            }
        };
        Self::new(status, code, error.to_string(), hint)
    }
}

/// 200 without a body.
pub(crate) fn empty() -> Response<Body> {
    Response::new(full(Bytes::new()))
}

/// 200 with bytes of a type.
pub(crate) fn typed(content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(bytes.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 200 with JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Response<Body>, Refusal> {
    let bytes = serde_json::to_vec(value).map_err(|error| unwritable(&error))?;
    Ok(typed("application/json", bytes))
}

/// 200 with postcard.
pub(crate) fn postcard<T: Serialize>(value: &T) -> Result<Response<Body>, Refusal> {
    let bytes = postcard::to_extend(value, vec![WIRE_VERSION]).map_err(|error| unwritable(&error))?;
    Ok(typed(CONTENT_TYPE, bytes))
}

/// All of it at once.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn unwritable(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("cannot write the answer: {error}"), "")
}
