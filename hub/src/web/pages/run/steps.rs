//! The steps of a run, as a table and as a diagram of its plan.

use bue_model::RunId;
use bue_model::wire::{RunView, StepView};
use maud::{Markup, html};

use super::tab::path;
use crate::api::reruns::stored_plan;
use crate::http::reply::ErrorReply;
use crate::web::links::with_query;
use crate::web::parts::badges::state_bar;
use crate::web::parts::figures::empty_state;
use crate::web::parts::graph::drawing::plan_picture;
use crate::web::parts::graph::plan_graph::PlanGraph;
use crate::web::parts::tables::{column, column_help, number, table};
use crate::web::parts::texts::{bytes, counted, grouped, short_text, text};
use crate::web::parts::times::duration;
use crate::web::visit::Visit;

/// Steps in the table, and to choose from. The filter of jobs takes the others by name.
pub(super) const MAX_STEPS: usize = 200;

pub(super) fn steps(view: &RunView) -> Markup {
    if view.steps.is_empty() {
        return empty_state("This run has no steps.", "");
    }
    let columns = [
        column("step"),
        column("jobs"),
        number("done", "Jobs that have ended, of all that there are so far."),
        number("failed", "Jobs that failed for good."),
        number("retries", "Attempts that failed and were made again."),
        number("pending", "Answers `pending`: the step asked to be called again later."),
        number(
            "p50",
            "Half of the attempts took at most this long, including the time they waited. Accurate to a third.",
        ),
        number("p95", "95 of 100 attempts took at most this long. Accurate to a third."),
        number("CPU", "What all attempts together computed."),
        number("memory", "The most memory that one attempt had, including what it shared."),
    ];
    let rows: Vec<_> = view.steps.iter().take(MAX_STEPS).map(|step| step_row(view.id, step)).collect();
    let hidden = view.step_count.saturating_sub(rows.len() as u64);
    html! {
        (table("Steps in the order of the script", &columns, &rows))
        @if hidden > 0 { p.hint { (counted(hidden, "further step is", "further steps are")) " not shown; filter the jobs by the name of the step." } }
        (column_help(&columns))
    }
}

fn step_row(run: RunId, step: &StepView) -> Vec<Markup> {
    let link = |state: &str| with_query(&path(run), [("tab", "jobs"), ("step", step.name.as_str()), ("state", state)]);
    vec![
        html! { a href=(link("")) { (short_text(&step.name)) } @if step.scope != "default" { " " span.tag title="scope" { (text(&step.scope)) } } },
        state_bar(&step.by_state()),
        html! { (grouped(step.finished())) " / " (grouped(step.finished() + step.open())) },
        html! { @if step.failed > 0 { a.bad href=(link("failed")) { (grouped(step.failed)) } } @else { "0" } },
        html! { (grouped(step.retries)) },
        html! { (grouped(step.pendings)) },
        html! { @if let Some(ms) = step.usage.p50_ms { (duration(ms)) } },
        html! { @if let Some(ms) = step.usage.p95_ms { (duration(ms)) } },
        html! { @if step.usage.attempts > 0 { (duration(step.usage.cpu_ms)) } },
        html! { @if let Some(peak) = step.usage.peak_memory { (bytes(peak)) } },
    ]
}

pub(super) async fn plan(visit: &Visit, view: &RunView) -> Result<Markup, ErrorReply> {
    let stored = stored_plan(&visit.hub, view.id).await?;
    let graph = PlanGraph::of(&stored.plan);
    let link = |step: &str| with_query(&path(view.id), [("tab", "jobs"), ("step", step)]);
    Ok(html! {
        @if graph.nodes.is_empty() { (empty_state("The script of this run calls nothing.", "")) }
        @else { (plan_picture(&graph, &view.steps, link)) }
        @if graph.is_folded { p.hint { "The plan is large, so each pipe is one box." } }
        @if graph.left_out > 0 { p.hint { (grouped(graph.left_out as u64)) " further boxes are not drawn; the table of steps has them." } }
        p.hint { "Each box is a step of a call, or a loop. Its bar shows the states of all jobs of the step, also of those in other boxes." }
    })
}
