//! Cancelling, resetting and deleting all runs that a filter matches: first the number of runs that would change, then the change.

use bue_model::bulk::BulkView;
use http::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::api::bulk::bulk;
use crate::api::bulk_request::BulkOperation;
use crate::http::reply::{Body, ErrorReply};
use crate::web::changing::changed;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::pages::runs::RunFilters;
use crate::web::parts::badges::run_badge;
use crate::web::parts::figures::empty_state;
use crate::web::parts::forms::{Confirmation, confirmation, notice};
use crate::web::parts::tables::{column, number, table};
use crate::web::parts::texts::{counted, grouped, short_text, visible};
use crate::web::visit::Visit;

/// Shows what would change; with `confirmed`, changes it. One request changes a thousand runs; the page says if there are more.
pub(in crate::web) async fn change(visit: &Visit, form: &Form) -> Result<Response<Body>, ErrorReply> {
    let (operation, verb) = match form.text("action") {
        "cancel" => (BulkOperation::Cancel, "Cancel"),
        "delete" => (BulkOperation::Delete, "Delete"),
        "reset" => (BulkOperation::Reset, "Reset"),
        _ => return Err(ErrorReply::bad_request("there is no such action", "go back and press one of the buttons")),
    };
    let filters = RunFilters::of(form);
    let is_confirmed = form.flag("confirmed");
    let (answer, _) =
        changed(visit, "", &request(&filters, !is_confirmed), move |request| Box::pin(bulk(request, operation)))
            .await?;
    let view: BulkView = serde_json::from_value(answer).unwrap_or_default();
    let back = with_query("/runs", filters.pairs());
    let body = match (is_confirmed, view.runs) {
        (true, _) => done(verb, &view, &back),
        (false, 0) => {
            html! { (empty_state("No run matches that this could change.", "")) p { a href=(back) { "Back to the runs" } } }
        }
        (false, _) => asked(form.text("action"), verb, &filters, &view, &back),
    };
    Ok(Page::new(Section::Runs, format!("{verb} runs"), body).under("Runs", back).into_response(visit))
}

/// The body of the API's request.
fn request(filters: &RunFilters, dry_run: bool) -> Value {
    let texts = [
        ("state", &filters.state),
        ("pipeline", &filters.pipeline),
        ("name", &filters.name),
        ("since", &filters.since),
        ("until", &filters.until),
    ];
    let texts = texts.into_iter().filter(|(_, value)| !value.is_empty());
    let mut filter: Map<_, _> = texts.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    if let Some((name, value)) = filters.parameter() {
        filter.insert("params".to_owned(), json!({ name: value }));
    }
    let all = filter.is_empty();
    json!({ "filter": filter, "all": all, "dry_run": dry_run })
}

fn asked(action: &str, verb: &str, filters: &RunFilters, view: &BulkView, back: &str) -> Markup {
    let more = if view.next.is_some() { "more than " } else { "" };
    let runs = format!("{more}{}", counted(view.runs, "run", "runs"));
    let button = format!("{verb} {runs}");
    let fields = filters.pairs().into_iter().chain([("action", action)]).collect();
    confirmation(&Confirmation {
        question: format!("{verb} {runs} with {}?", counted(view.jobs, "job", "jobs")),
        details: examples(view),
        path: "/runs/change",
        fields,
        button: &button,
        back,
    })
}

fn done(verb: &str, view: &BulkView, back: &str) -> Markup {
    let what =
        format!("{verb}: done for {} with {}.", counted(view.runs, "run", "runs"), counted(view.jobs, "job", "jobs"));
    html! {
        (notice("good", &what))
        @if view.next.is_some() { (notice("bad", "There are more runs: one request changes a thousand. Go back and press the button again.")) }
        (examples(view))
        p { a.button href=(back) { "Back to the runs" } }
    }
}

/// The first runs that change, and those that cannot.
pub(super) fn examples(view: &BulkView) -> Markup {
    let row = |run: &bue_model::bulk::BulkExample| {
        vec![
            html! { a href=(format!("/runs/{}", run.run)) { (short_text(&run.name)) } },
            run_badge(run.state),
            html! { (grouped(run.jobs)) },
        ]
    };
    let rows: Vec<_> = view.examples.iter().map(row).collect();
    let columns = [column("run"), column("state before"), number("jobs", "Jobs of the run that change.")];
    html! {
        @if !rows.is_empty() { (table("The first runs that change", &columns, &rows)) }
        @if view.skipped > 0 {
            p { (counted(view.skipped, "run", "runs")) " cannot be changed:" }
            ul { @for problem in &view.problems { li { a href=(format!("/runs/{}", problem.run)) { code { (problem.run) } } ": " (visible(&problem.message)) } } }
        }
    }
}
