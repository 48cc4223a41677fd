//! A pipeline: its parameters with a form that starts a run, its versions and its latest runs.

use bue_model::param::ParamView;
use bue_model::pipeline::{PipelineRun, PipelineVersion, PipelineView};
use maud::{Markup, html};

use crate::api::dispatch::expect_pipeline;
use crate::api::pipelines;
use crate::api::routes::Operation;
use crate::auth::role::Permission;
use crate::http::reply::ErrorReply;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::pages::new_run::start_form;
use crate::web::parts::badges::run_badge;
use crate::web::parts::figures::{card, definitions, empty_state};
use crate::web::parts::forms::copyable;
use crate::web::parts::param_fields::{range, value_text};
use crate::web::parts::run_cells::{RunCell, run_cells};
use crate::web::parts::tables::{column, number, table};
use crate::web::parts::texts::{counted, short_text, text};
use crate::web::parts::times::{between, when};
use crate::web::visit::Visit;

/// Versions in the table.
const VERSIONS: usize = 20;

pub(in crate::web) async fn page(visit: &Visit, name: &str) -> Result<Page, ErrorReply> {
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::GetPipeline, name).await?;
    let pipeline = pipelines::get(&visit.hub, name).await?;
    let body = html! {
        (card("summary", "In short", &summary(visit, &pipeline)))
        div.columns {
            @if visit.may(Permission::Invoke) {
                section #start aria-label="Start a run" { (start(visit, &pipeline)) }
            }
            (card("parameters", "Parameters", &parameters(&pipeline.params)))
        }
        (card("runs", "Latest runs", &runs(visit, &pipeline)))
        (card("versions", "Versions", &versions(visit, &pipeline)))
    };
    let page = Page::new(Section::Pipelines, pipeline.name.clone(), body).with_tools(tools(visit, &pipeline)).live();
    Ok(if visit.may(Permission::Read) { page.under("Pipelines", "/pipelines") } else { page })
}

fn tools(visit: &Visit, pipeline: &PipelineView) -> Markup {
    let all = with_query("/runs", [("pipeline", pipeline.name.as_str())]);
    html! { @if visit.may(Permission::Read) { a.button href=(all) { "All runs" } } }
}

fn summary(visit: &Visit, pipeline: &PipelineView) -> Markup {
    let current = pipeline.versions.iter().find(|version| version.version == pipeline.version);
    let cell = |run: &PipelineRun| RunCell { run: run.run, state: run.state, at: run.created_at };
    let cells: Vec<_> = pipeline.runs.iter().map(cell).collect();
    let mut facts = vec![(html! { "Version" }, html! { (pipeline.version) " " span.hint { "for new runs" } })];
    if let Some(current) = current {
        facts.push((html! { "Script" }, text(&current.script)));
        facts.push((html! { "Published" }, when(visit.now, current.published_at)));
    }
    if !cells.is_empty() {
        facts.push((html! { "Latest runs" }, run_cells(visit.now, &cells)));
    }
    facts.push((html! { "In a terminal" }, copyable(&command(pipeline))));
    definitions(&facts)
}

/// What starts a run in a terminal, with the parameters that have no default.
fn command(pipeline: &PipelineView) -> String {
    let required = pipeline.params.iter().filter(|param| param.required);
    let values: String = required.map(|param| format!(" {}=…", param.name)).collect();
    format!("bue invoke {}{values}", pipeline.name)
}

fn start(visit: &Visit, pipeline: &PipelineView) -> Markup {
    let form = Form::parse(visit.query().unwrap_or_default().as_bytes());
    start_form(&pipeline.name, &pipeline.params, &form, &[])
}

fn parameters(params: &[ParamView]) -> Markup {
    if params.is_empty() {
        return empty_state(
            "It has no parameters. A line such as `param day: date = yesterday` in the script adds one.",
            "",
        );
    }
    let rows: Vec<_> = params.iter().map(parameter).collect();
    let columns = [column("parameter"), column("type"), column("default"), column("allowed")];
    table("Parameters in the order of the script", &columns, &rows)
}

fn parameter(param: &ParamView) -> Vec<Markup> {
    let default = param.default.as_ref().map(value_text).unwrap_or_default();
    let choices: Vec<_> = param.one_of.iter().map(value_text).collect();
    vec![
        text(&param.name),
        html! { (param.kind) },
        html! {
            @if param.required { span.hint { "required" } } @else { (short_text(&default)) }
            @if param.default_is_time { " " span.hint { "of the run" } }
        },
        html! {
            @if !choices.is_empty() { (short_text(&choices.join(", "))) }
            @else if let Some(range) = range(param) { (range) }
        },
    ]
}

fn runs(visit: &Visit, pipeline: &PipelineView) -> Markup {
    if pipeline.runs.is_empty() {
        return empty_state("It has no runs that are kept.", &command(pipeline));
    }
    let columns = [
        column("run"),
        column("state"),
        number("version", "The version of the pipeline that the run has."),
        column("parameters given"),
        column("started"),
        number("took", "From the start of the run to its end, or until now."),
    ];
    let row = |run: &PipelineRun| {
        let id = run.run.to_string();
        vec![
            html! { a.row-link href=(format!("/runs/{id}")) title=(id) { (id.get(..8).unwrap_or(&id)) } },
            run_badge(run.state),
            html! { (run.version) },
            html! { code { (short_text(&run.params)) } },
            when(visit.now, run.created_at),
            html! { (between(run.created_at, run.finished_at.unwrap_or(visit.now))) },
        ]
    };
    let rows: Vec<_> = pipeline.runs.iter().map(row).collect();
    table("Latest runs, newest first", &columns, &rows)
}

fn versions(visit: &Visit, pipeline: &PipelineView) -> Markup {
    let row = |version: &PipelineVersion| {
        vec![
            html! { (version.version) @if version.version == pipeline.version { " " span.tag { "current" } } },
            text(&version.script),
            when(visit.now, version.published_at),
        ]
    };
    let rows: Vec<_> = pipeline.versions.iter().take(VERSIONS).map(row).collect();
    let hidden = pipeline.versions.len().saturating_sub(rows.len());
    html! {
        (table("Versions, newest first", &[column("version"), column("script"), column("published first")], &rows))
        @if hidden > 0 { p.hint { (counted(hidden as u64, "older version is", "older versions are")) " not shown: " code { "bue pipeline " (pipeline.name) } } }
        p.hint { "Runs keep the version that they began with. The same content published again is the same version." }
    }
}
