//! Sessions of browsers, and the links with which one begins.

use std::time::Duration;

use bue_model::Timestamp;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use uuid::Uuid;

use crate::api::hub::Hub;
use crate::auth::access::Principal;
use crate::auth::browser::expect_own_page;
use crate::auth::session::{Seal, SealPurpose};
use crate::http::reply::ErrorReply;

/// How long the code of a link holds: time enough to open it.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// A link that opens the dashboard.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct WebCode {
    /// The path at the hub. It contains a code that logs in the sender of the request, once; without tokens it contains none.
    path: String,
    /// Until when the code holds. `None` if there is none.
    expires_at: Option<Timestamp>,
}

/// Finds the holder of the session in a request's cookie; `None` if the request has no valid session, or has a token. A hub without
/// tokens has no sessions.
pub(crate) async fn session_of(hub: &Hub, headers: &HeaderMap) -> Result<Option<Principal>, ErrorReply> {
    let is_candidate = headers.contains_key(header::COOKIE) && !headers.contains_key(header::AUTHORIZATION);
    // pages of other sites get no cookie that is `SameSite=Strict`; one that comes with their name is refused all the same
    let is_foreign = headers.contains_key(header::ORIGIN) && expect_own_page(headers).is_err();
    if !hub.has_dashboard || !is_candidate || is_foreign || hub.access.is_open() {
        return Ok(None);
    }
    let sealer = hub.session_sealer().await?;
    let Some(seal) = cookie(headers, &sealer.cookie_name()).and_then(Seal::read) else { return Ok(None) };
    holder(hub, SealPurpose::Session, &seal).await
}

/// Finds the holder of a seal; `None` if it does not hold.
pub(crate) async fn holder(hub: &Hub, purpose: SealPurpose, seal: &Seal) -> Result<Option<Principal>, ErrorReply> {
    let (sealer, now) = (hub.session_sealer().await?, hub.now());
    let holders = hub.access.holders_named(&seal.name)?;
    Ok(holders.into_iter().find(|holder| sealer.holds(purpose, seal, holder, now)))
}

/// Returns the first value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Makes the code of a link that logs in as the sender. Where no token is needed, the link has none.
pub(super) async fn new_web_code(hub: &Hub, principal: Option<&Principal>) -> Result<WebCode, ErrorReply> {
    if !hub.has_dashboard {
        let hint = "start the hub without --no-web";
        return Err(ErrorReply::new(StatusCode::NOT_FOUND, "no_dashboard", "this hub serves no dashboard", hint));
    }
    let Some(principal) = principal else { return Ok(WebCode { path: "/".to_owned(), expires_at: None }) };
    let expires_at = later(hub.now(), CODE_LIFETIME);
    let code = hub.session_sealer().await?.seal(SealPurpose::LoginCode, principal, expires_at, random_number());
    Ok(WebCode { path: format!("/login?code={code}"), expires_at: Some(expires_at) })
}

/// This time, and a duration after it.
pub(crate) fn later(now: Timestamp, duration: Duration) -> Timestamp {
    now.plus_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A number that no other seal has.
#[expect(clippy::disallowed_methods, reason = "two seals of the same millisecond must differ, on all hubs of a store")]
pub(crate) fn random_number() -> u128 {
    Uuid::new_v4().as_u128()
}
