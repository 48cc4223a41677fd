//! Replies: JSON, postcard after its version byte, streams, and errors, which all have the same shape.

use bue_model::text::is_printable;
pub(crate) use bue_model::wire::FieldError;
use bue_model::wire::{CONTENT_TYPE, ErrorBody, ErrorView, WIRE_VERSION};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use crate::auth::access::AccessError;
use crate::error::HubError;

/// The body of a reply.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A reply that says why a request was refused or failed.
#[derive(Debug)]
pub(crate) struct ErrorReply {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: &'static str,
    /// The methods that the route supports, if the request used another one.
    allow: Vec<Method>,
    /// What is wrong with single fields of the request.
    fields: Vec<FieldError>,
}

impl ErrorReply {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self { status, code, message: message.into(), hint, allow: Vec::new(), fields: Vec::new() }
    }

    pub(crate) fn bad_request(message: impl Into<String>, hint: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    }

    pub(crate) fn no_such_route(path: &str) -> Self {
        let hint = "the routes begin with /v1/; GET /openapi.json describes them";
        Self::new(StatusCode::NOT_FOUND, "no_such_route", format!("there is no route {path}"), hint)
    }

    pub(crate) fn method_not_allowed(method: &Method, allow: Vec<Method>) -> Self {
        let message = format!("this route does not support {method}");
        let hint = "the reply's `allow` header names the methods it supports";
        let reply = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message, hint);
        Self { allow, ..reply }
    }

    pub(crate) fn with_fields(self, fields: Vec<FieldError>) -> Self {
        Self { fields, ..self }
    }

    /// Says that one field, or one parameter of the query, is what is wrong.
    pub(crate) fn about(self, field: &str) -> Self {
        let fields = vec![FieldError { field: field.to_owned(), message: self.message.clone() }];
        Self { fields, ..self }
    }

    pub(crate) fn with_message(self, message: String) -> Self {
        Self { message, ..self }
    }

    pub(crate) fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    pub(crate) fn hint(&self) -> &'static str {
        self.hint
    }

    /// The value of the header `allow`; `None` unless the request used a method that the route does not support.
    pub(crate) fn allow_header(&self) -> Option<HeaderValue> {
        let methods: Vec<_> = self.allow.iter().map(Method::as_str).collect();
        HeaderValue::from_str(&methods.join(", ")).ok().filter(|methods| !methods.is_empty())
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let (code, hint, allow) = (self.code.to_owned(), self.hint.to_owned(), self.allow_header());
        let error = ErrorView { code, message: self.message, hint, fields: self.fields };
        let mut response = json(&ErrorBody { error }).unwrap_or_else(|_| empty());
        *response.status_mut() = self.status;
        if let Some(methods) = allow {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Collects what is wrong with the parameters of a request, so that the reply names all of them and not only the first.
#[derive(Default)]
pub(crate) struct Refusals(Vec<ErrorReply>);

impl Refusals {
    /// Returns what was read, or a default that stands for what was refused.
    pub(crate) fn keep<T: Default>(&mut self, read: Result<T, ErrorReply>) -> T {
        read.unwrap_or_else(|refusal| {
            self.0.push(refusal);
            T::default()
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// One reply for all refusals, with the status, the code and the hint of the first.
    pub(crate) fn finish(self) -> Result<(), ErrorReply> {
        let mut refusals = self.0.into_iter();
        let Some(mut reply) = refusals.next() else { return Ok(()) };
        for other in refusals {
            reply.message = format!("{}; {}", reply.message, other.message);
            reply.fields.extend(other.fields);
        }
        Err(reply)
    }
}

impl From<HubError> for ErrorReply {
    fn from(error: HubError) -> Self {
        let (status, code, hint) = match &error {
            HubError::Plan(_) => {
                (StatusCode::BAD_REQUEST, "bad_plan", "create the plan with the hub's release of `bue`")
            }
            HubError::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request", ""),
            HubError::RunNotFound(_) => (StatusCode::NOT_FOUND, "run_not_found", "`bue status` lists the runs"),
            HubError::JobNotFound(_) => {
                (StatusCode::NOT_FOUND, "job_not_found", "`bue status RUN --jobs` lists the jobs of a run")
            }
            HubError::PipelineNotFound(_) => {
                (StatusCode::NOT_FOUND, "pipeline_not_found", "`bue pipelines` lists the pipelines")
            }
            HubError::BadPipelineName(_) => (
                StatusCode::BAD_REQUEST,
                "bad_name",
                "use up to 100 letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
            ),
            HubError::OtherInvocation(_) => {
                (StatusCode::CONFLICT, "key_used", "send the same parameters and priority again, or choose another key")
            }
            HubError::UnfitParams { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_params",
                "GET /v1/pipelines/{name} describes the parameters",
            ),
            HubError::ScheduleNotFound(_) => {
                (StatusCode::NOT_FOUND, "schedule_not_found", "`bue schedule list` lists the schedules")
            }
            HubError::UnfitSchedule { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid_schedule", "docs/schedules.md describes the fields")
            }
            HubError::TooManySchedules => {
                (StatusCode::CONFLICT, "too_many_schedules", "remove schedules that have ended, or use another hub")
            }
            HubError::StepNotFound { .. } => {
                (StatusCode::NOT_FOUND, "step_not_found", "`bue status RUN` lists the steps")
            }
            HubError::JobNotFailed { .. } => {
                (StatusCode::CONFLICT, "job_not_failed", "only failed and cancelled jobs can be reset")
            }
            HubError::BehindEnded { .. } => (
                StatusCode::CONFLICT,
                "behind_ended",
                "reset that job first; `bue reset RUN` resets everything that was cancelled with the run",
            ),
            HubError::LoopEnded { .. } => (
                StatusCode::CONFLICT,
                "loop_ended",
                "`bue rerun RUN` runs what was cancelled in a new run; `bue reset RUN` resets what was cancelled with the run",
            ),
            HubError::OtherRerun(_) => {
                (StatusCode::CONFLICT, "key_used", "send the same request again, or choose another id or key")
            }
            HubError::OriginalRunning(_) => {
                (StatusCode::CONFLICT, "run_running", "wait until it has ended: `bue wait RUN`, or cancel it")
            }
            HubError::JobEnded { .. } => (StatusCode::CONFLICT, "job_ended", "only open jobs can be cancelled"),
            HubError::RunStillRunning(_) => {
                (StatusCode::CONFLICT, "run_running", "cancel it first, or type `bue delete --force`")
            }
            HubError::JobNotReady { .. } => {
                (StatusCode::CONFLICT, "job_not_ready", "`bue why` with the job's number shows what it waits for")
            }
            HubError::RunCancelled(_) => (
                StatusCode::CONFLICT,
                "run_cancelled",
                "`bue reset RUN` resets the failed jobs together with those that were cancelled with the run",
            ),
            HubError::RunEnding(_) => {
                (StatusCode::CONFLICT, "run_ending", "wait until the run has ended, or cancel it to end it now")
            }
            HubError::BadKey { .. } => (
                StatusCode::BAD_REQUEST,
                "bad_key",
                "a key is a name whose parts are separated by `/`, like reports/today",
            ),
            HubError::WrongHash { .. } => {
                (StatusCode::BAD_REQUEST, "wrong_hash", "name the blob by the BLAKE3 hash of its bytes")
            }
            HubError::IncompleteBody(_) => (StatusCode::BAD_REQUEST, "broken_body", "send it again"),
            HubError::Disk { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "disk", "free disk space, or make the folder writable")
            }
            HubError::S3 { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store",
                "check that the bucket's S3 store can be reached; then try again",
            ),
            HubError::OtherDatabase => (
                StatusCode::CONFLICT,
                "other_database",
                "give each database its own bucket; if the other database is gone, delete `owner` in the bucket's folder or S3 store",
            ),
            HubError::Postgres(_) | HubError::Unreachable(_) | HubError::Unusable { .. } | HubError::Unsure(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "database",
                "check that the hub's PostgreSQL is running; then try again",
            ),
            HubError::Database(_) | HubError::NotCommitted(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "database",
                "check the disk that holds the hub's database; then try again",
            ),
            HubError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped", "start the hub again"),
            HubError::InUse(_) | HubError::ForeignSchema(_) | HubError::NewerLayout { .. } | HubError::Damaged(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "damaged", "restore the hub's database from a backup")
            }
        };
        Self::new(status, code, error.to_string(), hint)
    }
}

impl From<AccessError> for ErrorReply {
    fn from(error: AccessError) -> Self {
        let (status, code, hint) = match &error {
            AccessError::TokenMissing => (
                StatusCode::UNAUTHORIZED,
                "token_missing",
                "set BUE_TOKEN, in the environment or in .env, to a token that `bue token new` printed",
            ),
            AccessError::TokenUnknown => (
                StatusCode::UNAUTHORIZED,
                "token_unknown",
                "it was deleted, or belongs to other servers: `bue token new --role ROLE` on the server's machine creates \
                 one; set BUE_TOKEN to it",
            ),
            AccessError::WrongRole { .. } => {
                (StatusCode::FORBIDDEN, "role", "set BUE_TOKEN to a token with one of these roles")
            }
            AccessError::WrongScope { .. } => (
                StatusCode::FORBIDDEN,
                "scope",
                "start the worker with -s and these scopes, or give it a token of `bue token new --role worker --scopes …`",
            ),
            AccessError::WrongPipeline { .. } => (
                StatusCode::FORBIDDEN,
                "pipeline",
                "set BUE_TOKEN to a token of `bue token new --role invoker --pipelines …` with this pipeline, or to one of another \
                 role",
            ),
            AccessError::ForeignHost { .. } | AccessError::ForeignOrigin { .. } => (
                StatusCode::FORBIDDEN,
                "foreign",
                "use the server's address, such as http://127.0.0.1:65432, or create a token with `bue token new`",
            ),
            AccessError::NotOwnPage { .. } => {
                (StatusCode::FORBIDDEN, "foreign", "open the dashboard in the same window and press the button there")
            }
            AccessError::TokenFile(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "tokens", "repair the tokens file on the server's machine")
            }
        };
        Self::new(status, code, error.to_string(), hint)
    }
}

/// 200 with an empty body.
pub(crate) fn empty() -> Response<Body> {
    Response::new(full(Bytes::new()))
}

/// 200 with bytes of a media type.
pub(crate) fn typed(content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(bytes.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 200 with JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Response<Body>, ErrorReply> {
    let text = printable_json(value).map_err(|error| encoding_error(&error))?;
    Ok(typed("application/json", text))
}

/// Encodes a value as JSON of printable characters, on one line. Names and messages that came from others may be shown on a
/// terminal as they are sent, so control characters and those that reorder text are written as `\uXXXX`, and mean the same.
pub(crate) fn printable_json<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    if text.chars().all(is_printable) {
        return Ok(text);
    }
    // outside of its strings, JSON without line breaks has printable characters only
    let mut printable = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match is_printable(char) {
            true => printable.push(char),
            false => {
                char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| printable.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
    Ok(printable)
}

/// 200 with postcard.
pub(crate) fn postcard<T: Serialize>(value: &T) -> Result<Response<Body>, ErrorReply> {
    let bytes = postcard::to_extend(value, vec![WIRE_VERSION]).map_err(|error| encoding_error(&error))?;
    Ok(typed(CONTENT_TYPE, bytes))
}

/// A body that is sent at once.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn encoding_error(error: &dyn std::error::Error) -> ErrorReply {
    ErrorReply::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("failed to encode the reply: {error}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_printable_characters_only_and_keeps_the_value() {
        let hostile = "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}\u{7f}\r\n\u{e0041}é\u{1f600}\"";
        let text = printable_json(&[hostile]).expect("JSON");
        assert!(text.chars().all(is_printable), "{text:?}");
        assert!(text.contains("\\u009b31m\\u202e") && text.contains("é\u{1f600}"), "{text}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).expect("JSON"), [hostile]);
    }
}
