//! A run: its counts, its steps, and under tabs its jobs, results, parameters and what people did to it.

mod jobs;
mod steps;
mod summary;
mod tab;
mod values;

use bue_model::wire::RunView;
use bue_model::{RunId, RunState};
use maud::{Markup, html};

use self::steps::MAX_STEPS;
use self::tab::{Tab, path};
use crate::api::dispatch::expect_pipeline;
use crate::api::long_poll::wait_for_run;
use crate::api::routes::Operation;
use crate::auth::role::Permission;
use crate::http::reply::ErrorReply;
use crate::http::request::parse_parameter;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::pages::diff::CHOOSE;
use crate::web::parts::figures::card;
use crate::web::parts::forms::action_button;
use crate::web::parts::texts::visible;
use crate::web::visit::Visit;

pub(in crate::web) async fn page(visit: &Visit, id: &str) -> Result<Page, ErrorReply> {
    let run = parse_parameter::<RunId>(id, "run id")?;
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::GetRun, id).await?;
    let view = wait_for_run(&visit.hub, None, run).await?;
    let form = Form::parse(visit.query().unwrap_or_default().as_bytes());
    let tab = Tab::of(visit, form.text("tab"));
    let body = html! {
        (summary::summary(visit, &view))
        @if visit.may(Permission::Read) { (card("steps", "Steps", &steps::steps(&view))) }
        (tabs(visit, &view, tab))
        section #tab data-live[tab.is_live()] {
            // the module leaves the other tabs as they are
            @if tab.is_live() || !visit.is_refresh { (tab_body(visit, &view, tab, &form).await?) }
        }
    };
    let page = Page::new(Section::Runs, view.name.clone(), body).under("Runs", "/runs").with_tools(tools(visit, &view));
    Ok(page.with_failures(view.counts.failed).live_for(run))
}

fn tabs(visit: &Visit, view: &RunView, current: Tab) -> Markup {
    html! {
        nav.tabs aria-label="Parts of the run" {
            @for tab in Tab::ALL.into_iter().filter(|tab| tab.is_for(visit)) {
                a href=(with_query(&path(view.id), [("tab", tab.name())])) aria-current=[(tab == current).then_some("true")] { (tab.name()) }
            }
        }
    }
}

async fn tab_body(visit: &Visit, view: &RunView, tab: Tab, form: &Form) -> Result<Markup, ErrorReply> {
    match tab {
        Tab::Jobs | Tab::Timeline => jobs::jobs(visit, view, tab, form).await,
        Tab::Plan => steps::plan(visit, view).await,
        Tab::Results => values::results(visit, view.id, form).await,
        Tab::Parameters => values::parameters(visit, view.id).await,
        Tab::Activity => values::activity(visit, view.id, form).await,
    }
}

fn tools(visit: &Visit, view: &RunView) -> Markup {
    let (path, counts) = (path(view.id), &view.counts);
    let has_ended = view.state != RunState::Running;
    let can_reset = counts.failed > 0 || view.state == RunState::Cancelled;
    html! {
        @if visit.may(Permission::Read) { a.button href=(format!("{path}/diff/{CHOOSE}")) title="what this run and another one differ in" { "Compare…" } }
        @if visit.may(Permission::Operate) {
            @if !has_ended { (action_button(&format!("{path}/cancel"), "Cancel…", "", "stops what has not ended")) }
            @if can_reset { (action_button(&format!("{path}/reset"), "Reset", "", "runs failed jobs again, with fresh attempts")) }
            @if has_ended { (action_button(&format!("{path}/delete"), "Delete…", "", "removes the run with its results")) }
        }
        @if visit.may(Permission::Invoke) && has_ended {
            form.action.rerun method="post" action=(format!("{path}/rerun")) {
                @if visit.may(Permission::Read) && !view.steps.is_empty() {
                    select name="from" aria-label="Run again from this step on" {
                        option value="" { "what is missing" }
                        @for step in view.steps.iter().take(MAX_STEPS) { option value=(step.name) { "from " (visible(&step.name)) } }
                    }
                }
                button type="submit" title="starts a new run that reuses the results of which nothing has changed" { "Rerun" }
            }
            a.button href=(format!("{path}/rerun")) title="starts a new run with other values of parameters" { "Rerun with…" }
        }
    }
}
