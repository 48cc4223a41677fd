//! What two runs differ in.

use bue_model::RunId;
use maud::html;

use crate::http::reply::ErrorReply;
use crate::http::request::parse_parameter;
use crate::web::layout::{Page, Section};
use crate::web::visit::Visit;

#[expect(clippy::unused_async, reason = "pages read from the store")]
pub(in crate::web) async fn page(_visit: &Visit, one: &str, other: &str) -> Result<Page, ErrorReply> {
    let (one, _) = (parse_parameter::<RunId>(one, "run id")?, parse_parameter::<RunId>(other, "run id")?);
    Ok(Page::new(Section::Runs, "Difference", html! {}).under("Runs", "/runs").under("Run", format!("/runs/{one}")))
}
