//! Repeating a run with other values of its parameters: a form that has the values of the run, and what is sent of it.

use bue_model::RunId;
use bue_model::param::ParamView;
use bue_model::wire::FieldError;
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::api::dispatch::expect_pipeline;
use crate::api::reruns::run_plan;
use crate::api::routes::Operation;
use crate::http::reply::{Body, ErrorReply};
use crate::http::request::parse_parameter;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::parts::forms::problem_notices;
use crate::web::parts::param_fields::{is_about, param_field, sent, typed_value};
use crate::web::parts::texts::{bytes, text, visible};
use crate::web::visit::Visit;

/// Bytes of a value that can be changed here. Larger ones keep their value.
const MAX_VALUE: usize = 64 * 1024;
/// Steps to choose from.
const MAX_STEPS: usize = 200;

pub(in crate::web) async fn page(visit: &Visit, id: &str) -> Result<Page, ErrorReply> {
    filled(visit, id, &Form::default(), &[]).await
}

/// The form again, with what is wrong beside each field.
pub(in crate::web) async fn again(
    visit: &Visit,
    id: &str,
    form: &Form,
    problems: &[FieldError],
) -> Result<Response<Body>, ErrorReply> {
    let page = filled(visit, id, form, problems).await?;
    Ok(page.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response(visit))
}

async fn filled(visit: &Visit, id: &str, form: &Form, problems: &[FieldError]) -> Result<Page, ErrorReply> {
    let run = parse_parameter::<RunId>(id, "run id")?;
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::RerunRun, id).await?;
    let plan = run_plan(&visit.hub, visit.principal.as_ref(), run).await?;
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.step.name.as_str()).collect();
    let body = rerun_form(run, &plan.params, &steps, form, problems);
    let page = Page::new(Section::Runs, format!("Rerun {}", plan.name), body).under("Runs", "/runs");
    Ok(page.under("Run", format!("/runs/{run}")))
}

fn rerun_form(run: RunId, params: &[ParamView], steps: &[&str], form: &Form, problems: &[FieldError]) -> Markup {
    let others = problems.iter().filter(|problem| !params.iter().any(|param| is_about(problem, &param.name)));
    let from = form.text("from");
    html! {
        form.card.start method="post" action=(format!("/runs/{run}/rerun")) {
            (problem_notices(others))
            @if params.is_empty() { p.hint { "The script of this run has no parameters." } }
            @for param in params { (field(param, form, problems)) }
            @if !steps.is_empty() {
                label.field {
                    span { "Run again" }
                    select name="from" {
                        option value="" { "what is missing or depends on a changed value" }
                        @for step in steps.iter().take(MAX_STEPS) { option value=(step) selected[*step == from] { "also from " (visible(step)) " on" } }
                    }
                }
            }
            p.hint { "The rerun is a new run. It reuses the results of which nothing has changed." }
            button.primary type="submit" { "Rerun" }
        }
    }
}

fn field(param: &ParamView, form: &Form, problems: &[FieldError]) -> Markup {
    let value = field_text(param);
    if value.len() > MAX_VALUE {
        let size = bytes(value.len() as u64);
        return html! { p.hint { (text(&param.name)) " keeps its value, which is too large to change here (" (size) ")." } };
    }
    // a parameter has the value of the run, and no default
    let param = &ParamView { required: false, default: None, ..param.clone() };
    param_field(param, Some(sent(form, param).unwrap_or(&value)), problems)
}

/// The value that the run has, as the field of the parameter shows it.
fn field_text(param: &ParamView) -> String {
    let value = param.default.as_ref().unwrap_or(&Value::Null);
    match value.as_str() {
        Some(text) if ["text", "date", "datetime"].contains(&param.kind.as_str()) => text.to_owned(),
        _ => value.to_string(),
    }
}

/// A text as a browser returns it: with other line breaks, and without characters that no page can contain.
fn as_returned(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}")
}

/// The values that differ from those of the run, as the API takes them. A field that was not touched is left out, so that no value
/// changes because a browser returned it in another form.
fn changed_values(params: &[ParamView], form: &Form) -> Result<Map<String, Value>, Vec<FieldError>> {
    let (mut values, mut problems) = (Map::new(), Vec::new());
    for param in params {
        let Some(sent) = sent(form, param).map(as_returned) else { continue };
        if sent == as_returned(&field_text(param)) {
            continue;
        }
        match typed_value(&param.kind, &sent) {
            Ok(value) => drop(values.insert(param.name.clone(), value)),
            Err(message) => problems.push(FieldError { field: param.name.clone(), message }),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// The body of the request that a filled form means.
///
/// # Errors
/// There is no such run. The inner error is what is wrong with single fields.
pub(in crate::web) async fn request(
    visit: &Visit,
    id: &str,
    form: &Form,
) -> Result<Result<Value, Vec<FieldError>>, ErrorReply> {
    let run = parse_parameter::<RunId>(id, "run id")?;
    let plan = run_plan(&visit.hub, visit.principal.as_ref(), run).await?;
    let from: Vec<&str> = Some(form.text("from")).filter(|step| !step.is_empty()).into_iter().collect();
    Ok(changed_values(&plan.params, form).map(|params| json!({ "from": from, "params": params })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(name: &str, kind: &str, value: Value) -> ParamView {
        ParamView { name: name.to_owned(), kind: kind.to_owned(), default: Some(value), ..ParamView::default() }
    }

    #[test]
    fn only_what_was_changed_is_sent() {
        let params = [
            param("day", "date", json!("2026-11-01")),
            param("n", "int", json!(3)),
            param("lines", "text", json!("a\r\nb\rc\0")),
            param("more", "json", json!("text")),
            param("note", "text", json!("old")),
        ];
        let unchanged = "param.day=2026-11-01&param.n=3&param.lines=a%0D%0Ab%0D%0Ac%EF%BF%BD&param.more=%22text%22";
        assert_eq!(changed_values(&params, &Form::parse(unchanged.as_bytes())), Ok(Map::new()));
        let form = Form::parse(b"param.day=2026-11-02&param.n=4&param.note=&other=1");
        let expected = json!({ "day": "2026-11-02", "n": 4, "note": "" });
        assert_eq!(changed_values(&params, &form).map(Value::Object), Ok(expected));
        let problems = changed_values(&params, &Form::parse(b"param.n=&param.more=text")).expect_err("two problems");
        assert_eq!(problems.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["n", "more"]);
    }

    #[test]
    fn fields_have_the_values_of_the_run_and_escape_them() {
        let params = [
            param("note", "text", json!("\n\"><script>")),
            param("big", "text", json!("x".repeat(MAX_VALUE + 1))),
            ParamView { one_of: vec![json!("a"), json!("b")], ..param("kind", "text", json!("b")) },
        ];
        let run = RunId(uuid::Uuid::nil());
        let markup = rerun_form(run, &params, &["<b>"], &Form::default(), &[]).into_string();
        assert!(
            markup.contains(">\n\n&quot;&gt;&lt;script&gt;</textarea>"),
            "the first line break is no part: {markup}"
        );
        assert!(markup.contains("<option value=\"b\" selected>") && !markup.contains("default:"), "{markup}");
        assert!(markup.contains("keeps its value") && markup.len() < 4_000, "{markup}");
        assert!(!markup.contains("<script") && !markup.contains("<b>"), "{markup}");
    }
}
