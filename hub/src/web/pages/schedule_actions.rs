//! What the buttons of a schedule do: pausing, resuming, removing, running it now, and backfills.

use http::{Response, StatusCode};
use maud::html;
use serde_json::{Map, Value, json};

use crate::api::schedules;
use crate::http::reply::{Body, ErrorReply, FieldError};
use crate::schedules::request::ScheduleAction;
use crate::web::changing::{changed, page_of_run};
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::see_other;
use crate::web::pages::schedule::again;
use crate::web::parts::due::rule;
use crate::web::parts::forms::{Confirmation, confirmation};
use crate::web::visit::Visit;

/// Pauses, resumes or removes a schedule.
pub(in crate::web) async fn change(visit: &Visit, name: &str, action: ScheduleAction) -> Result<(), ErrorReply> {
    changed(visit, name, &Value::Null, move |request| Box::pin(schedules::change(request, action))).await.map(drop)
}

/// Shows what a removal would end.
pub(in crate::web) async fn confirm_removal(visit: &Visit, name: &str) -> Result<Response<Body>, ErrorReply> {
    let schedule = schedules::get(&visit.hub, name).await?;
    let (path, back) = (visit.head.uri.path(), format!("/schedules/{name}"));
    let details = html! {
        p { "It is due " (rule(&schedule)) ". Its runs and their results stay. Due times that wait for a run to end are forgotten." }
    };
    let question = format!("Remove the schedule {name}?");
    let asked = Confirmation { question, details, path, fields: Vec::new(), button: "Remove schedule", back: &back };
    let page = Page::new(Section::Schedules, "Remove schedule", confirmation(&asked)).under("Schedules", "/schedules");
    Ok(page.under(name, back.clone()).into_response(visit))
}

/// Starts a run, and shows it.
pub(in crate::web) async fn run(visit: &Visit, name: &str) -> Result<Response<Body>, ErrorReply> {
    let (_, location) = changed(visit, name, &Value::Null, |request| Box::pin(schedules::run(request))).await?;
    Ok(see_other(&page_of_run(location.as_deref()), StatusCode::SEE_OTHER))
}

/// Starts a backfill, which the hub carries on.
pub(in crate::web) async fn backfill(visit: &Visit, name: &str, form: &Form) -> Result<Response<Body>, ErrorReply> {
    let body = match request(form) {
        Ok(body) => body,
        Err(problem) => return again(visit, name, form, &[problem]).await,
    };
    match changed(visit, name, &body, |request| Box::pin(schedules::begin_backfill(request))).await {
        Ok(_) => Ok(see_other(&format!("/schedules/{name}"), StatusCode::SEE_OTHER)),
        Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            again(visit, name, form, error.fields()).await
        }
        Err(error) => Err(error),
    }
}

/// Ends a backfill.
pub(in crate::web) async fn stop_backfill(visit: &Visit, name: &str) -> Result<(), ErrorReply> {
    changed(visit, name, &Value::Null, |request| Box::pin(schedules::stop_backfill(request))).await.map(drop)
}

/// The body of the request that a filled form means.
fn request(form: &Form) -> Result<Value, FieldError> {
    let mut body = Map::new();
    for name in ["from", "to"] {
        body.insert(name.to_owned(), json!(form.text(name)));
    }
    if form.flag("at_most") {
        let at_most: Result<i64, _> = form.text("at_most").parse();
        let at_most = at_most
            .map_err(|_| FieldError { field: "at_most".to_owned(), message: "it is not an integer".to_owned() })?;
        body.insert("at_most".to_owned(), json!(at_most));
    }
    Ok(Value::Object(body))
}
