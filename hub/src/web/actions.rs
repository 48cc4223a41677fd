//! What the buttons of the pages do. Each action is the same change as that of a route of `/v1`: it is recorded in the audit, and refused
//! for the same reasons. A dangerous one first shows what it would change.

use bue_model::RunId;
use bue_model::wire::RunView;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use maud::html;
use serde_json::Value;

use crate::api::change::ChangeRequest;
use crate::api::dispatch::expect_pipeline;
use crate::api::long_poll::wait_for_run;
use crate::api::routes::Operation;
use crate::api::{pipelines, reruns, runs};
use crate::auth::browser::expect_own_page;
use crate::http::reply::{Body, ErrorReply};
use crate::http::request::parse_parameter;
use crate::schedules::request::ScheduleAction;
use crate::web::changing::{Changing, changed, page_of_run};
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::see_other;
use crate::web::pages::{errors_reset, new_run, rerun, runs_change, schedule_actions};
use crate::web::parts::badges::{counts_of, run_badge, summary};
use crate::web::parts::forms::{Confirmation, confirmation};
use crate::web::parts::texts::{counted, text};
use crate::web::visit::Visit;

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    StartRun,
    ChangeRuns,
    CancelRun,
    ResetRun,
    DeleteRun,
    RerunRun,
    CancelJob,
    ResetJob,
    ResetErrors,
    PauseSchedule,
    ResumeSchedule,
    RemoveSchedule,
    RunSchedule,
    BackfillSchedule,
    StopBackfill,
}

/// Carries out an action and sends the browser to the page that shows it.
pub(super) async fn act(visit: &Visit, action: Action, id: &str, body: Incoming) -> Result<Response<Body>, ErrorReply> {
    expect_own_page(&visit.head.headers)?;
    let form = Form::read(&visit.head.headers, body).await?;
    match action {
        Action::StartRun => return start_run(visit, &form).await,
        Action::ChangeRuns => return runs_change::change(visit, &form).await,
        Action::RerunRun => return rerun_run(visit, id, &form).await,
        Action::ResetErrors => return errors_reset::reset(visit, &form).await,
        Action::RemoveSchedule if !form.flag("confirmed") => return schedule_actions::confirm_removal(visit, id).await,
        Action::RunSchedule => return schedule_actions::run(visit, id).await,
        Action::BackfillSchedule => return schedule_actions::backfill(visit, id, &form).await,
        Action::StopBackfill => schedule_actions::stop_backfill(visit, id).await?,
        Action::PauseSchedule => schedule_actions::change(visit, id, ScheduleAction::Pause).await?,
        Action::ResumeSchedule => schedule_actions::change(visit, id, ScheduleAction::Resume).await?,
        Action::RemoveSchedule => schedule_actions::change(visit, id, ScheduleAction::Remove).await?,
        Action::CancelRun | Action::DeleteRun if !form.flag("confirmed") => return confirm(visit, action, id).await,
        Action::CancelRun => apply(visit, id, |request| Box::pin(runs::cancel_run(request))).await?,
        Action::ResetRun => apply(visit, id, |request| Box::pin(runs::reset_run(request))).await?,
        Action::DeleteRun => apply(visit, id, |request| Box::pin(runs::delete_run(request))).await?,
        Action::CancelJob => apply(visit, id, |request| Box::pin(runs::cancel_job(request))).await?,
        Action::ResetJob => apply(visit, id, |request| Box::pin(runs::reset_job(request))).await?,
    }
    let page = match action {
        Action::DeleteRun => "/runs".to_owned(),
        Action::CancelJob | Action::ResetJob => format!("/jobs/{id}"),
        Action::RemoveSchedule => "/schedules".to_owned(),
        Action::PauseSchedule | Action::ResumeSchedule | Action::StopBackfill => format!("/schedules/{id}"),
        _ => format!("/runs/{id}"),
    };
    Ok(see_other(&page, StatusCode::SEE_OTHER))
}

/// Makes a change that needs no more than the id.
async fn apply(visit: &Visit, id: &str, change: fn(ChangeRequest) -> Changing) -> Result<(), ErrorReply> {
    changed(visit, id, &Value::Null, change).await.map(|_| ())
}

async fn start_run(visit: &Visit, form: &Form) -> Result<Response<Body>, ErrorReply> {
    let name = form.text("pipeline");
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::Invoke, name).await?;
    let body = match new_run::invocation(&pipelines::get(&visit.hub, name).await?.params, form) {
        Ok(body) => body,
        Err(problems) => return new_run::again(visit, form, &problems).await,
    };
    match changed(visit, name, &body, |request| Box::pin(pipelines::invoke(request))).await {
        Ok((_, location)) => Ok(see_other(&page_of_run(location.as_deref()), StatusCode::SEE_OTHER)),
        Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            new_run::again(visit, form, error.fields()).await
        }
        Err(error) => Err(error),
    }
}

/// Runs a run again, with other values of parameters, from a step on, or what is not there yet.
async fn rerun_run(visit: &Visit, id: &str, form: &Form) -> Result<Response<Body>, ErrorReply> {
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::RerunRun, id).await?;
    let body = match rerun::request(visit, id, form).await? {
        Ok(body) => body,
        Err(problems) => return rerun::again(visit, id, form, &problems).await,
    };
    match changed(visit, id, &body, |request| Box::pin(reruns::rerun(request))).await {
        Ok((_, location)) => Ok(see_other(&page_of_run(location.as_deref()), StatusCode::SEE_OTHER)),
        Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            rerun::again(visit, id, form, error.fields()).await
        }
        Err(error) => Err(error),
    }
}

/// Shows what cancelling or deleting a run would change.
async fn confirm(visit: &Visit, action: Action, id: &str) -> Result<Response<Body>, ErrorReply> {
    let run = parse_parameter::<RunId>(id, "run id")?;
    let view = wait_for_run(&visit.hub, None, run).await?;
    let (path, back) = (visit.head.uri.path(), format!("/runs/{run}"));
    let (question, button) = question_about(action, &view);
    let details = html! {
        p { (text(&view.name)) " " (run_badge(view.state)) " " (summary(&counts_of(&view.counts))) }
        @if action == Action::DeleteRun { p { "Its results, logs and errors are gone for good." } }
    };
    let asked = Confirmation { question, details, path, fields: Vec::new(), button, back: &back };
    let page = Page::new(Section::Runs, button, confirmation(&asked)).under("Runs", "/runs");
    Ok(page.under("Run", back.clone()).into_response(visit))
}

fn question_about(action: Action, view: &RunView) -> (String, &'static str) {
    let all = view.counts.open() + view.counts.finished();
    match action {
        Action::DeleteRun => (format!("Delete this run with {}?", counted(all, "job", "jobs")), "Delete run"),
        _ => (format!("Cancel {} of this run?", counted(view.counts.open(), "open job", "open jobs")), "Cancel run"),
    }
}
