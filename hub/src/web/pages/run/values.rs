//! The results and the parameters of a run, and what people did to it.

use bue_model::RunId;
use maud::{Markup, html};

use super::tab::path;
use crate::api::job_reads::results_as_json;
use crate::api::records::run_audit;
use crate::api::reruns::run_plan;
use crate::http::reply::ErrorReply;
use crate::web::form::Form;
use crate::web::links::{api_query, with_query};
use crate::web::parts::figures::empty_state;
use crate::web::parts::json_tree::json_tree;
use crate::web::parts::tables::{column, pager, table};
use crate::web::parts::texts::{short_text, text};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

pub(super) async fn results(visit: &Visit, run: RunId, form: &Form) -> Result<Markup, ErrorReply> {
    let query = api_query([("after", form.text("after"))]);
    let page = results_as_json(&visit.hub, Some(&query), run).await?;
    let file = |ending: &str| format!("{}/results.{ending}", path(run));
    let next = page.next.as_deref().map(|next| with_query(&path(run), [("tab", "results"), ("after", next)]));
    Ok(html! {
        p.buttons title="all results, also those on other pages" {
            a.button href=(file("json")) download { "JSON" } " " a.button href=(file("csv")) download { "CSV" }
        }
        @if page.results.is_empty() { (empty_state("There are no results.", "")) }
        @for call in &page.results {
            @match serde_json::to_value(call) {
                Ok(call) => (call_result(&call)),
                // deeper than readers of JSON go
                Err(_) => { p.hint { "A result is nested too deeply for this page. Download it as JSON." } },
            }
        }
        (pager("", &next.unwrap_or_default()))
    })
}

fn call_result(call: &serde_json::Value) -> Markup {
    let field = |name: &str| call.get(name).cloned().unwrap_or_default();
    let (name, line, state) = (field("name"), field("line"), field("state"));
    html! {
        section.card.result {
            h3 {
                @if let Some(name) = name.as_str() { (text(name)) " " } span.hint { "line " (line) }
                " " span.hint { (state.as_str().unwrap_or_default()) }
            }
            (json_tree(&field("value")))
        }
    }
}

pub(super) async fn parameters(visit: &Visit, run: RunId) -> Result<Markup, ErrorReply> {
    let plan = run_plan(&visit.hub, visit.principal.as_ref(), run).await?;
    if plan.params.is_empty() {
        return Ok(empty_state("The script of this run has no parameters.", ""));
    }
    let row = |param: &bue_model::param::ParamView| {
        vec![
            text(&param.name),
            html! { (param.kind) },
            json_tree(param.default.as_ref().unwrap_or(&serde_json::Value::Null)),
        ]
    };
    let rows: Vec<_> = plan.params.iter().map(row).collect();
    Ok(table("Parameters", &[column("parameter"), column("type"), column("value")], &rows))
}

pub(super) async fn activity(visit: &Visit, run: RunId, form: &Form) -> Result<Markup, ErrorReply> {
    let query = api_query([("after", form.text("after")), ("limit", "50")]);
    let page = run_audit(&visit.hub, Some(&query), run).await?;
    if page.entries.is_empty() {
        return Ok(empty_state("No changes of this run are recorded.", ""));
    }
    let row = |entry: &bue_model::audit::AuditView| {
        vec![
            when(visit.now, entry.at),
            html! { (entry.action) },
            html! { (text(&entry.actor)) @if let Some(role) = &entry.role { " " span.tag { (role) } } },
            short_text(&entry.detail.to_string()),
        ]
    };
    let rows: Vec<_> = page.entries.iter().map(row).collect();
    let next = page
        .next
        .map(|next| with_query(&path(run), [("tab", "activity"), ("after", next.as_str())]))
        .unwrap_or_default();
    let columns = [column("when"), column("what"), column("who"), column("more")];
    Ok(html! { (table("What people did to this run", &columns, &rows)) (pager("", &next)) })
}
