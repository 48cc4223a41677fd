//! Starting a run: the form that a pipeline's parameters make, and what is sent when it is filled in.

use bue_model::param::ParamView;
use bue_model::wire::FieldError;
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::api::dispatch::expect_pipeline;
use crate::api::pipelines;
use crate::api::routes::Operation;
use crate::auth::role::Permission;
use crate::http::reply::{Body, ErrorReply};
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::parts::figures::empty_state;
use crate::web::parts::forms::problem_notices;
use crate::web::parts::param_fields::{is_about, param_field, sent, typed_value};
use crate::web::parts::tables::{column, table};
use crate::web::parts::texts::text;
use crate::web::parts::times::when;
use crate::web::visit::Visit;

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let form = Form::parse(visit.query().unwrap_or_default().as_bytes());
    match form.text("pipeline") {
        "" if visit.may(Permission::Read) => choice(visit).await,
        "" => Ok(Page::new(Section::Runs, "Start a run", name_form()).under("Runs", "/runs")),
        _ => filled(visit, &form, &[]).await,
    }
}

/// The form again, with what is wrong beside each field.
pub(in crate::web) async fn again(
    visit: &Visit,
    form: &Form,
    problems: &[FieldError],
) -> Result<Response<Body>, ErrorReply> {
    let page = filled(visit, form, problems).await?;
    Ok(page.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response(visit))
}

async fn choice(visit: &Visit) -> Result<Page, ErrorReply> {
    let list = pipelines::list(&visit.hub).await?;
    let row = |pipeline: &bue_model::pipeline::PipelineSummary| {
        vec![
            html! { a.row-link href=(with_query("/runs/new", [("pipeline", pipeline.name.as_str())])) { (text(&pipeline.name)) } },
            html! { "v" (pipeline.version) },
            text(&pipeline.script),
            when(visit.now, pipeline.published_at),
        ]
    };
    let rows: Vec<_> = list.iter().map(row).collect();
    let columns = [column("pipeline"), column("version"), column("script"), column("published")];
    let body = match rows.is_empty() {
        true => empty_state("A run starts from a published pipeline, and there is none.", "bue publish -f report.bue"),
        false => table("Pipelines", &columns, &rows),
    };
    Ok(Page::new(Section::Runs, "Start a run", body).under("Runs", "/runs"))
}

/// For tokens that may not read the list of pipelines.
fn name_form() -> Markup {
    html! {
        form.card method="get" action="/runs/new" {
            label.field { span { "Pipeline" } input name="pipeline" required maxlength="100"; }
            button.primary type="submit" { "Next" }
        }
    }
}

async fn filled(visit: &Visit, form: &Form, problems: &[FieldError]) -> Result<Page, ErrorReply> {
    let name = form.text("pipeline");
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::GetPipeline, name).await?;
    let pipeline = pipelines::get(&visit.hub, name).await?;
    let body = start_form(&pipeline.name, &pipeline.params, form, problems);
    let page = Page::new(Section::Runs, format!("Start {}", pipeline.name), body).under("Runs", "/runs");
    Ok(page.under("Start a run", "/runs/new"))
}

/// The form that starts a run of a pipeline. `form` has the values that were sent before.
pub(in crate::web) fn start_form(name: &str, params: &[ParamView], form: &Form, problems: &[FieldError]) -> Markup {
    let others = problems.iter().filter(|problem| !params.iter().any(|param| is_about(problem, &param.name)));
    html! {
        form.card.start method="post" action="/runs/new" {
            input type="hidden" name="pipeline" value=(name);
            (problem_notices(others))
            @if params.is_empty() { p.hint { "This pipeline has no parameters." } }
            @for param in params { (param_field(param, sent(form, param), problems)) }
            label.field { span { "priority" } input name="priority" type="number" step="1" placeholder="0" value=(form.text("priority")); }
            button.primary type="submit" { "Start" }
        }
    }
}

/// The body of the request that a filled form means. Fields that are left empty have their defaults.
///
/// # Errors
/// What is wrong with single fields.
pub(in crate::web) fn invocation(params: &[ParamView], form: &Form) -> Result<Value, Vec<FieldError>> {
    let (mut values, mut problems) = (Map::new(), Vec::new());
    for param in params {
        let Some(sent) = sent(form, param).filter(|sent| !sent.is_empty()) else { continue };
        match typed_value(&param.kind, sent) {
            Ok(value) => drop(values.insert(param.name.clone(), value)),
            Err(message) => problems.push(FieldError { field: param.name.clone(), message }),
        }
    }
    let mut body = json!({ "params": values });
    match (form.text("priority"), form.text("priority").parse::<i64>()) {
        ("", _) => {}
        (_, Ok(priority)) => body = json!({ "params": body.get("params"), "priority": priority }),
        (_, Err(_)) => {
            problems.push(FieldError { field: "priority".to_owned(), message: "it is not an integer".to_owned() });
        }
    }
    if problems.is_empty() { Ok(body) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(name: &str, kind: &str) -> ParamView {
        ParamView { name: name.to_owned(), kind: kind.to_owned(), ..ParamView::default() }
    }

    #[test]
    fn a_form_becomes_typed_values_and_empty_fields_are_left_out() {
        let params =
            [param("day", "date"), param("n", "int"), param("x", "float"), param("all", "list"), param("t", "text")];
        let form =
            Form::parse(b"param.day=2026-11-01&param.n=7&param.x=&param.all=%5B1%5D&param.t=5&priority=-2&other=1");
        let expected = json!({ "params": { "day": "2026-11-01", "n": 7, "all": [1], "t": "5" }, "priority": -2 });
        assert_eq!(invocation(&params, &form), Ok(expected));
        let form = Form::parse(b"param.n=seven&param.all=%5B&priority=high");
        let problems = invocation(&params, &form).expect_err("three problems");
        assert_eq!(problems.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["n", "all", "priority"]);
    }

    #[test]
    fn hostile_names_and_values_are_escaped() {
        let param = ParamView { one_of: vec![json!("\"><script>")], ..param("<b>\"", "text") };
        let markup = start_form("p", &[param], &Form::default(), &[]).into_string();
        assert!(!markup.contains("<script") && !markup.contains("<b>"), "{markup}");
    }
}
