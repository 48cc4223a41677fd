//! [`Reply`]: the answer to a request. Bodies are postcard after one version byte, or JSON; all errors have one form.

use bue_model::wire::{CONTENT_TYPE, ErrorBody, ErrorView, WIRE_VERSION};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::endpoint::Endpoint;
use crate::error::ClientError;

/// The code of the error that a server of bue sends for a path without a route.
const NO_SUCH_ROUTE: &str = "no_such_route";

/// An answer with any status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) endpoint: Endpoint,
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Encodes the body of a request.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, ClientError> {
    postcard::to_extend(message, vec![WIRE_VERSION])
        .map(Bytes::from)
        .map_err(|error| ClientError::Encode(error.to_string()))
}

/// Decodes the message of a postcard answer.
pub(crate) fn decode<T: DeserializeOwned>(reply: &Reply) -> Result<T, ClientError> {
    if reply.content_type != CONTENT_TYPE {
        return Err(reply.endpoint.unexpected_server(format!("its answer is of type `{}`", reply.content_type)));
    }
    let Some((version, message)) = reply.body.split_first() else {
        return Err(reply.endpoint.unexpected_server("its answer is empty".to_owned()));
    };
    if *version != WIRE_VERSION {
        let Endpoint { server, address } = reply.endpoint.clone();
        return Err(ClientError::VersionMismatch { server, address, theirs: *version });
    }
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok(message),
        Ok((_, excess)) => Err(reply.endpoint.unexpected_server(format!("{} bytes too many", excess.len()))),
        Err(error) => Err(reply.endpoint.unexpected_server(error.to_string())),
    }
}

/// Decodes the message of a JSON answer.
pub(crate) fn decode_json<T: DeserializeOwned>(reply: &Reply) -> Result<T, ClientError> {
    serde_json::from_slice(&reply.body).map_err(|error| reply.endpoint.unexpected_server(error.to_string()))
}

/// Returns a reply that is a success, or the error that it contains.
pub(crate) fn expect_success(reply: Reply) -> Result<Reply, ClientError> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    match serde_json::from_slice::<ErrorBody>(&reply.body) {
        Ok(body) => Err(refused(&reply, body.error)),
        // the answer to a HEAD has no body with an error
        Err(_) if is_access_denied(reply.status) && reply.body.is_empty() => Err(access_denied(&reply)),
        Err(_) => Err(reply.endpoint.unexpected_server(format!("it answers with status {}", reply.status))),
    }
}

/// Whether a server of bue has answered that it has no such route.
pub(crate) fn is_no_such_route(reply: &Reply) -> bool {
    serde_json::from_slice::<ErrorBody>(&reply.body).is_ok_and(|body| body.error.code == NO_SUCH_ROUTE)
}

/// Returns the error that a server of bue sent. Where the cause is the server or the address, and not what was requested, the
/// message names the server.
fn refused(reply: &Reply, error: ErrorView) -> ClientError {
    let Endpoint { server, address } = &reply.endpoint;
    if error.code == NO_SUCH_ROUTE {
        let other = if *server == "hub" { "bucket" } else { "hub" };
        let reason = format!("{}, so it is a {other} or another release", error.message);
        return reply.endpoint.unexpected_server(reason);
    }
    let status = reply.status.as_u16();
    let message = match is_access_denied(reply.status) || reply.status.is_server_error() {
        true => format!("the {server} at {address}: {}", error.message),
        false => error.message,
    };
    ClientError::Refused { status, code: error.code, message, hint: error.hint }
}

fn is_access_denied(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn access_denied(reply: &Reply) -> ClientError {
    ClientError::Refused {
        status: reply.status.as_u16(),
        code: "token".to_owned(),
        message: format!(
            "the {} at {} does not take this token, or needs one",
            reply.endpoint.server, reply.endpoint.address
        ),
        hint: "set BUE_TOKEN, in the environment or in .env, to a token that `bue token new` printed".to_owned(),
    }
}
