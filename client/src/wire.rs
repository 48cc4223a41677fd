//! Bodies: postcard behind one version byte, JSON, and the one shape of errors.

use bue_model::wire::{CONTENT_TYPE, ErrorBody, WIRE_VERSION};
use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ClientError;
use crate::connection::Reply;

/// The body of a request.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, ClientError> {
    postcard::to_extend(message, vec![WIRE_VERSION])
        .map(Bytes::from)
        .map_err(|error| ClientError::Unwritable(error.to_string()))
}

/// The message of a postcard answer.
pub(crate) fn decode<T: DeserializeOwned>(reply: &Reply) -> Result<T, ClientError> {
    if reply.content_type != CONTENT_TYPE {
        return Err(reply.not_ours(format!("its answer is of type `{}`", reply.content_type)));
    }
    let Some((version, message)) = reply.body.split_first() else {
        return Err(reply.not_ours("its answer is empty".to_owned()));
    };
    if *version != WIRE_VERSION {
        let (server, address) = (reply.server, reply.address.clone());
        return Err(ClientError::OtherVersion { server, address, theirs: *version });
    }
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(reply.not_ours(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(reply.not_ours(error.to_string())),
    }
}

/// The message of a JSON answer.
pub(crate) fn decode_json<T: DeserializeOwned>(reply: &Reply) -> Result<T, ClientError> {
    serde_json::from_slice(&reply.body).map_err(|error| reply.not_ours(error.to_string()))
}

/// A reply that is a success, or the error it carries.
pub(crate) fn expect_success(reply: Reply) -> Result<Reply, ClientError> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    match serde_json::from_slice::<ErrorBody>(&reply.body) {
        Ok(body) => Err(ClientError::refused(reply.status.as_u16(), body.error)),
        // a HEAD has no body to explain itself with
        Err(_) if matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(not_let_in(&reply)),
        Err(_) => Err(reply.not_ours(format!("it answers with status {}", reply.status))),
    }
}

fn not_let_in(reply: &Reply) -> ClientError {
    ClientError::Refused {
        status: reply.status.as_u16(),
        code: "token".to_owned(),
        message: format!("the {} at {} does not take this token, or needs one", reply.server, reply.address),
        hint: "set BUE_TOKEN, in the environment or in .env, to a token that `bue token new` printed".to_owned(),
    }
}
