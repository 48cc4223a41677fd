//! Logging in with a token or the code of a link, and logging out.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use maud::{Markup, html};
use tokio::time::Instant;

use crate::api::sessions::{holder, later, random_number};
use crate::auth::access::Principal;
use crate::auth::browser::{expect_own_page, is_followed_link};
use crate::auth::session::{Seal, SealPurpose};
use crate::http::reply::{Body, ErrorReply};
use crate::http::server::Peer;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::{local_path, see_other};
use crate::web::login_limiter::LoginLimiter;
use crate::web::visit::Visit;

/// How long a session lasts: a week of work. It ends earlier with its token.
const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What the form says about the attempt before.
enum Notice {
    None,
    WrongToken,
    WrongCode,
    /// Another site has the link with the code: it may want the visitor to work under somebody else's token.
    ForeignLink,
    /// The address has to wait.
    TooMany(Duration),
}

/// Shows the form. With a code in the query, logs in.
pub(super) async fn login_form(visit: &Visit, limiter: &LoginLimiter) -> Result<Response<Body>, ErrorReply> {
    let query = Form::parse(visit.query().unwrap_or_default().as_bytes());
    let next = local_path(query.text("next"));
    if visit.hub.access.is_open() || (visit.principal.is_some() && !query.flag("code")) {
        return Ok(see_other(next, StatusCode::SEE_OTHER));
    }
    match query.raw("code") {
        Some(_) if is_followed_link(&visit.head.headers) => {
            Ok(refused(visit, next, &Notice::ForeignLink, StatusCode::FORBIDDEN))
        }
        Some(code) => log_in_with_code(visit, limiter, code).await,
        None => Ok(form_page(next, &Notice::None).into_response(visit)),
    }
}

/// Logs in with a token that was pasted.
pub(super) async fn log_in(
    visit: &Visit,
    limiter: &LoginLimiter,
    body: Incoming,
) -> Result<Response<Body>, ErrorReply> {
    let headers = &visit.head.headers;
    expect_own_page(headers)?;
    let form = Form::read(headers, body).await?;
    let next = local_path(form.text("next"));
    let (address, now) = (address_of(visit), Instant::now());
    if let Some(wait) = limiter.wait_of(address, now) {
        return Ok(refused(visit, next, &Notice::TooMany(wait), StatusCode::TOO_MANY_REQUESTS));
    }
    match visit.hub.access.holder_of(form.text("token"))? {
        Some(principal) => {
            limiter.forget(address);
            begin_session(visit, &principal, next).await
        }
        None => {
            limiter.record_wrong(address, now);
            Ok(refused(visit, next, &Notice::WrongToken, StatusCode::FORBIDDEN))
        }
    }
}

/// A code holds once. It needs no limit of attempts: nobody can guess one.
async fn log_in_with_code(visit: &Visit, limiter: &LoginLimiter, code: &str) -> Result<Response<Body>, ErrorReply> {
    let seal = Seal::read(code);
    let principal = match &seal {
        Some(seal) => holder(&visit.hub, SealPurpose::LoginCode, seal).await?,
        None => None,
    };
    let is_unused = |seal: &Seal| limiter.use_code(seal.nonce(), seal.expires_at(), visit.now);
    match principal.zip(seal).filter(|(_, seal)| is_unused(seal)) {
        Some((principal, _)) => begin_session(visit, &principal, "/").await,
        None => Ok(refused(visit, "/", &Notice::WrongCode, StatusCode::FORBIDDEN)),
    }
}

async fn begin_session(visit: &Visit, principal: &Principal, next: &str) -> Result<Response<Body>, ErrorReply> {
    let sealer = visit.hub.session_sealer().await?;
    let expires_at = later(visit.now, SESSION_LIFETIME);
    let value = sealer.seal(SealPurpose::Session, principal, expires_at, random_number());
    let cookie = session_cookie(visit, &sealer.cookie_name(), &value, SESSION_LIFETIME);
    tracing::info!(principal = principal.token_name, "logged in to the dashboard");
    Ok(with_cookie(see_other(next, StatusCode::SEE_OTHER), &cookie))
}

/// Ends the session in this browser.
pub(super) async fn log_out(visit: &Visit) -> Result<Response<Body>, ErrorReply> {
    expect_own_page(&visit.head.headers)?;
    let name = visit.hub.session_sealer().await?.cookie_name();
    let cookie = session_cookie(visit, &name, "", Duration::ZERO);
    Ok(with_cookie(see_other("/login", StatusCode::SEE_OTHER), &cookie))
}

/// The cookie of a session: not for scripts, not for other sites, and over TLS only if it came over TLS.
fn session_cookie(visit: &Visit, name: &str, value: &str, lifetime: Duration) -> String {
    // behind a proxy that speaks TLS for the hub, the page's own origin says so
    let origin = visit.head.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_secure = visit.hub.tls.is_some() || origin.is_some_and(|origin| origin.starts_with("https://"));
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}{secure}", lifetime.as_secs())
}

fn with_cookie(mut response: Response<Body>, cookie: &str) -> Response<Body> {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn address_of(visit: &Visit) -> Option<std::net::IpAddr> {
    visit.head.extensions.get::<Peer>().and_then(|peer| peer.0)
}

fn refused(visit: &Visit, next: &str, notice: &Notice, status: StatusCode) -> Response<Body> {
    let mut response = form_page(next, notice).with_status(status).into_response(visit);
    if let Notice::TooMany(wait) = notice {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    }
    response
}

fn form_page(next: &str, notice: &Notice) -> Page {
    Page::new(
        Section::Elsewhere,
        "Log in",
        html! {
            (notice_text(notice))
            form.card.login method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                label for="token" { "Token" }
                input #token name="token" type="password" required autocomplete="current-password" autofocus
                    spellcheck="false" maxlength="512";
                button.primary type="submit" { "Log in" }
                p.hint {
                    "Or type " code { "bue web" } " where you work with bue: it prints a link that logs you in. "
                    code { "bue token new --role viewer" } " on the hub's machine makes a token."
                }
            }
        },
    )
}

fn notice_text(notice: &Notice) -> Markup {
    let text = match notice {
        Notice::None => return html! {},
        Notice::WrongToken => {
            "The hub does not know this token. It was deleted, or belongs to another hub; paste the whole text that `bue token new` printed."
                .to_owned()
        }
        Notice::WrongCode => {
            "The code of this link was used already, or is older than a minute. Type `bue web` for a new one.".to_owned()
        }
        Notice::ForeignLink => {
            "This link came from another site, so it was not used. If it is yours, copy it into the address bar.".to_owned()
        }
        Notice::TooMany(wait) => {
            format!("There were several wrong tokens from your address. Try again in {} s, or use `bue web`.", wait.as_secs() + 1)
        }
    };
    html! { p.notice.bad role="alert" { (text) } }
}
