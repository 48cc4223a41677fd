//! Fields for the values of parameters, and what a person typed into them.

use bue_model::param::{ParamView, read_json};
use bue_model::wire::FieldError;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::web::form::Form;
use crate::web::parts::texts::{text, visible};

/// What the names of the fields begin with that have values of parameters.
const PARAM: &str = "param.";

/// What was sent for a parameter; `None` if the form had no field for it.
pub(in crate::web) fn sent<'a>(form: &'a Form, param: &ParamView) -> Option<&'a str> {
    form.raw(&format!("{PARAM}{}", param.name))
}

/// Whether a problem is one of this parameter.
pub(in crate::web) fn is_about(problem: &FieldError, param: &str) -> bool {
    problem.field == param || problem.field.strip_prefix("params.") == Some(param)
}

/// A field with a value, and what is wrong with it. Left empty, it has the parameter's default, if there is one.
pub(in crate::web) fn param_field(param: &ParamView, value: Option<&str>, problems: &[FieldError]) -> Markup {
    let problem = problems.iter().find(|problem| is_about(problem, &param.name));
    let name = format!("{PARAM}{}", param.name);
    // a field of one line loses line breaks
    let has_lines = value.is_some_and(|value| value.contains(['\n', '\r']));
    let is_long = has_lines || ["list", "map", "json"].contains(&param.kind.as_str());
    let default = param.default.as_ref().map(value_text).unwrap_or_default();
    let is_invalid = problem.is_some();
    html! {
        label.field {
            span { (text(&param.name)) " " span.hint { (param.kind) @if param.required { ", required" } @if let Some(range) = range(param) { ", " (range) } } }
            @if !param.one_of.is_empty() {
                select name=(name) aria-invalid=[is_invalid.then_some("true")] {
                    @if param.default.is_some() { option value="" { "default: " (visible(&default)) } }
                    @for choice in &param.one_of {
                        option value=(value_text(choice)) selected[value == Some(&value_text(choice))] { (visible(&value_text(choice))) }
                    }
                }
            } @else if param.kind == "bool" {
                select name=(name) aria-invalid=[is_invalid.then_some("true")] {
                    @if param.default.is_some() { option value="" { "default: " (default) } }
                    @for choice in ["true", "false"] { option value=(choice) selected[value == Some(choice)] { (choice) } }
                }
            } @else if is_long {
                textarea name=(name) rows="3" spellcheck="false" placeholder=(default) required[param.required]
                    aria-invalid=[is_invalid.then_some("true")] { "\n" (value.unwrap_or_default()) }
            } @else {
                input name=(name) type=(input_type(&param.kind)) step=[(param.kind == "float").then_some("any")] value=(value.unwrap_or_default())
                    placeholder=(default) required[param.required] spellcheck="false" autocomplete="off"
                    aria-invalid=[is_invalid.then_some("true")];
            }
            @if let Some(problem) = problem { span.bad { (visible(&problem.message)) } }
        }
    }
}

fn input_type(kind: &str) -> &'static str {
    match kind {
        "int" | "float" => "number",
        "date" => "date",
        _ => "text",
    }
}

/// The smallest and the largest value of a parameter, as scripts write them: `1..10`. `None` if it has no limits.
pub(in crate::web) fn range(param: &ParamView) -> Option<String> {
    let bound = |value: &Option<Value>| value.as_ref().map(value_text).unwrap_or_default();
    let has_limits = param.min.is_some() || param.max.is_some();
    has_limits.then(|| format!("{}..{}", bound(&param.min), bound(&param.max)))
}

/// A value as it is typed: a text as it is, everything else as JSON.
pub(in crate::web) fn value_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The value that a person typed: texts and dates as they are, everything else as JSON.
///
/// # Errors
/// It is not JSON.
pub(in crate::web) fn typed_value(kind: &str, sent: &str) -> Result<Value, String> {
    if ["text", "date", "datetime"].contains(&kind) {
        return Ok(json!(sent));
    }
    // also rejects what the API would: it reads JSON more strictly
    read_json(sent).map_err(|error| format!("it is not JSON: {error}"))?;
    serde_json::from_str(sent).map_err(|error| format!("it is not JSON: {error}"))
}
