//! The published pipelines, with their latest runs.

use bue_model::pipeline::{PipelineRun, PipelineSummary, PipelineView};
use maud::{Markup, html};

use crate::api::pipelines;
use crate::auth::role::Permission;
use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::parts::figures::empty_state;
use crate::web::parts::run_cells::{RunCell, run_cells};
use crate::web::parts::tables::{column, number, pager, table};
use crate::web::parts::texts::{counted, short_text, text};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

/// Pipelines on a page. The runs of each are a query of their own.
const LIMIT: usize = 25;
/// Cells of a row.
const CELLS: usize = 12;

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let after = visit.parameter("after");
    let all = pipelines::list(&visit.hub).await?;
    let rest: Vec<&PipelineSummary> = all.iter().filter(|one| one.name.as_str() > after.as_str()).collect();
    let shown = rest.get(..LIMIT).unwrap_or(&rest);
    let mut rows = Vec::with_capacity(shown.len());
    for summary in shown {
        // it may have been removed since the list was read
        let view = pipelines::find(&visit.hub, &summary.name).await?;
        rows.push(row(visit, summary, view.as_ref()));
    }
    let next = shown.last().filter(|_| rest.len() > shown.len()).map(|last| last.name.as_str());
    let body = html! {
        @if rows.is_empty() { (nothing(&after)) } @else { section #pipelines data-live { (pipeline_table(&rows)) } }
        p.hint { (counted(all.len() as u64, "pipeline is", "pipelines are")) " published. A cell is a run, the newest on the right." }
        (pager(if after.is_empty() { "" } else { "/pipelines" }, &next.map(page_after).unwrap_or_default()))
    };
    Ok(Page::new(Section::Pipelines, "Pipelines", body).live())
}

fn page_after(name: &str) -> String {
    with_query("/pipelines", [("after", name)])
}

fn nothing(after: &str) -> Markup {
    match after {
        "" => empty_state(
            "A published pipeline is a script that the hub keeps, so that it can be run by its name. There is none.",
            "bue publish report.bue",
        ),
        _ => empty_state("There are no further pipelines.", ""),
    }
}

fn pipeline_table(rows: &[Vec<Markup>]) -> Markup {
    let columns = [
        column("pipeline"),
        number("version", "The version that new runs get."),
        column("script"),
        column("published"),
        column("latest runs"),
        column("last run"),
        column(""),
    ];
    table("Pipelines by name", &columns, rows)
}

fn row(visit: &Visit, summary: &PipelineSummary, view: Option<&PipelineView>) -> Vec<Markup> {
    let runs = view.map(|view| view.runs.as_slice()).unwrap_or_default();
    vec![
        html! { a.row-link href=(format!("/pipelines/{}", summary.name)) { (text(&summary.name)) } },
        html! { (summary.version) },
        short_text(&summary.script),
        when(visit.now, summary.published_at),
        html! { @if runs.is_empty() { span.hint { "none" } } @else { (cells(visit, runs)) } },
        html! { @if let Some(run) = runs.first() { (when(visit.now, run.created_at)) } },
        html! {
            @if visit.may(Permission::Invoke) {
                a href=(with_query("/runs/new", [("pipeline", summary.name.as_str())])) { "Start…" }
            }
        },
    ]
}

fn cells(visit: &Visit, runs: &[PipelineRun]) -> Markup {
    let cell = |run: &PipelineRun| RunCell { run: run.run, state: run.state, at: run.created_at };
    let cells: Vec<_> = runs.iter().take(CELLS).map(cell).collect();
    run_cells(visit.now, &cells)
}
