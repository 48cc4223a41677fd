//! One of the schedules.

use maud::html;

use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::visit::Visit;

#[expect(clippy::unused_async, reason = "pages read from the store")]
pub(in crate::web) async fn page(_visit: &Visit, name: &str) -> Result<Page, ErrorReply> {
    Ok(Page::new(Section::Schedules, name, html! {}).under("Schedules", "/schedules"))
}
