//! What a browser sees instead of a page: what happened, why, and what to do.

use http::StatusCode;
use maud::html;

use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::parts::texts::visible;
use crate::web::visit::Visit;

pub(in crate::web) fn page(visit: &Visit, error: &ErrorReply) -> Page {
    let what_to_do = advice(visit, error);
    let body = html! {
        div.card.error {
            p { (visible(error.message())) }
            @if !error.fields().is_empty() {
                ul { @for field in error.fields() { li { code { (visible(&field.field)) } ": " (visible(&field.message)) } } }
            }
            @if !what_to_do.is_empty() { p.hint { (what_to_do) } }
            p { a href="/runs" { "Runs" } " · " a href="/errors" { "Errors" } " · " a href="/" { "Overview" } }
        }
    };
    Page::new(Section::Elsewhere, title(error.status()), body).with_status(error.status())
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not permitted",
        StatusCode::CONFLICT => "That is not possible now",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "The request is not valid",
        StatusCode::SERVICE_UNAVAILABLE => "The hub cannot answer now",
        StatusCode::METHOD_NOT_ALLOWED => "This address is not a page",
        _ => "The request failed",
    }
}

/// What may have happened, in terms of pages; for the rest, the API's hint.
fn advice(visit: &Visit, error: &ErrorReply) -> String {
    match error.code() {
        "run_not_found" | "job_not_found" => {
            "A run that has ended is deleted with its jobs after seven days, or what `--keep` says, or by somebody; the audit says by whom \
             (bue audit). The list of runs has those that are there."
                .to_owned()
        }
        "no_such_route" => format!("There is no page {}.", visible(visit.head.uri.path())),
        "role" => "Log in with a token of another role: `bue token new --role operator` makes one.".to_owned(),
        _ => error.hint().to_owned(),
    }
}
