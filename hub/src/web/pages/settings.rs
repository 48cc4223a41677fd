//! Settings.

use maud::html;

use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::visit::Visit;

#[expect(clippy::unused_async, reason = "pages read from the store")]
pub(in crate::web) async fn page(_visit: &Visit) -> Result<Page, ErrorReply> {
    Ok(Page::new(Section::Settings, "Settings", html! {}))
}
