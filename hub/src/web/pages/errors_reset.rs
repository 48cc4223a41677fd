//! Resetting all failed jobs of a group: first a page that says how many they are, then the reset.

use bue_model::bulk::BulkView;
use http::Response;
use maud::{Markup, html};
use serde_json::json;

use crate::api::bulk::bulk;
use crate::api::bulk_request::BulkOperation;
use crate::http::reply::{Body, ErrorReply};
use crate::web::changing::changed;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::local_path;
use crate::web::pages::runs_change::examples;
use crate::web::parts::figures::empty_state;
use crate::web::parts::forms::{Confirmation, confirmation, notice};
use crate::web::parts::texts::{counted, short_text};
use crate::web::visit::Visit;

/// A group of failed jobs.
struct Group<'a> {
    step: &'a str,
    /// As the list of errors has it.
    message: &'a str,
    /// The page that it was chosen on.
    back: &'a str,
}

impl<'a> Group<'a> {
    fn of(form: &'a Form) -> Self {
        Self {
            step: form.raw("step").unwrap_or_default(),
            message: form.raw("group").unwrap_or_default(),
            back: form.raw("from").map_or("/errors", local_path),
        }
    }
}

/// Shows which jobs would run again.
pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let form = Form::parse(visit.query().unwrap_or_default().as_bytes());
    let group = Group::of(&form);
    let view = carry_out(visit, &group, true).await?;
    let is_empty = view.jobs == 0 && view.next.is_none();
    Ok(page_with(&group, if is_empty { nothing(&group) } else { asked(&view, &group) }))
}

/// Resets the jobs.
pub(in crate::web) async fn reset(visit: &Visit, form: &Form) -> Result<Response<Body>, ErrorReply> {
    let group = Group::of(form);
    let view = carry_out(visit, &group, false).await?;
    Ok(page_with(&group, done(&view, &group)).into_response(visit))
}

async fn carry_out(visit: &Visit, group: &Group<'_>, dry_run: bool) -> Result<BulkView, ErrorReply> {
    let request = json!({ "filter": { "step": group.step, "group": group.message }, "dry_run": dry_run });
    let (answer, _) = changed(visit, "", &request, |request| Box::pin(bulk(request, BulkOperation::Reset))).await?;
    Ok(serde_json::from_value(answer).unwrap_or_default())
}

fn page_with(group: &Group<'_>, body: Markup) -> Page {
    Page::new(Section::Errors, "Reset failed jobs", body).under("Errors", group.back)
}

fn nothing(group: &Group<'_>) -> Markup {
    html! {
        (empty_state("None of these jobs can be reset now: they were reset, or their runs were cancelled or deleted.", ""))
        p { a href=(group.back) { "Back to the errors" } }
    }
}

fn asked(view: &BulkView, group: &Group<'_>) -> Markup {
    let more = if view.next.is_some() { "more than " } else { "" };
    let jobs = format!("{more}{}", counted(view.jobs, "failed job", "failed jobs"));
    let button = format!("Reset {jobs}");
    let details = html! {
        p { "Step " strong { (short_text(group.step)) } ", message " (short_text(group.message)) }
        p.hint { "They run again with fresh attempts, and then what waits for them. Failed jobs of this group count whenever they failed, also on other pages." }
        (examples(view))
    };
    confirmation(&Confirmation {
        question: format!("Reset {jobs} of {}?", counted(view.runs, "run", "runs")),
        details,
        path: "/errors/reset",
        fields: vec![("step", group.step), ("group", group.message), ("from", group.back)],
        button: &button,
        back: group.back,
    })
}

fn done(view: &BulkView, group: &Group<'_>) -> Markup {
    let (jobs, runs) = (counted(view.jobs, "job", "jobs"), counted(view.runs, "run", "runs"));
    html! {
        (notice("good", &format!("Reset {jobs} of {runs}.")))
        @if view.next.is_some() { (notice("bad", "There are more: one request takes at most ten seconds. Go back and press the button again.")) }
        (examples(view))
        p { a.button href=(group.back) { "Back to the errors" } }
    }
}
