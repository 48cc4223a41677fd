//! [`Theme`]: light, dark, or as the system has it. A cookie keeps the choice, so that it works without scripts.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::api::sessions::cookie;
use crate::auth::browser::expect_own_page;
use crate::http::reply::{Body, ErrorReply};
use crate::web::form::Form;
use crate::web::links::{local_path, see_other};

const COOKIE: &str = "bue-theme";
/// Seconds that the choice is kept: a year.
const MAX_AGE: u32 = 31_536_000;

/// The colours of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// What the system prefers.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        cookie(headers, COOKIE).and_then(Self::named).unwrap_or_default()
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

/// Keeps the choice and goes back to the page.
pub(super) async fn set_theme(headers: &HeaderMap, body: Incoming) -> Result<Response<Body>, ErrorReply> {
    expect_own_page(headers)?;
    let form = Form::read(headers, body).await?;
    let theme = Theme::named(form.text("theme")).unwrap_or_default();
    let back = form.raw("back").or_else(|| referring_path(headers)).map_or("/", local_path);
    let mut response = see_other(back, StatusCode::SEE_OTHER);
    let text = format!("{COOKIE}={}; Path=/; Max-Age={MAX_AGE}; SameSite=Lax; HttpOnly", theme.name());
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// The path and the query of the page that sent a form, as the browser tells it.
fn referring_path(headers: &HeaderMap) -> Option<&str> {
    let (_, address) = headers.get(header::REFERER)?.to_str().ok()?.split_once("://")?;
    address.find('/').and_then(|at| address.get(at..))
}
