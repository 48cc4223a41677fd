//! What two runs differ in, side by side.

use std::collections::BTreeMap;

use bue_model::{JobId, JobState};
use maud::{Markup, html};
use serde_json::Value;

use crate::reruns::difference::{JobDifference, JobsDifference, ParamDifference, StepDifference};
use crate::web::parts::badges::job_badge;
use crate::web::parts::figures::empty_state;
use crate::web::parts::json_tree::json_tree;
use crate::web::parts::tables::{column, column_help, number, table};
use crate::web::parts::texts::{block, counted, grouped, short_text, text};

/// The code of steps that is in the script itself, by the step's name.
pub(in crate::web) type InlineCode = BTreeMap<String, String>;

/// Steps, and calls, that a page shows.
const MAX_SHOWN: usize = 100;
/// Bytes of the code of a step.
const MAX_CODE: usize = 16 * 1024;

/// The parameters with different values.
pub(in crate::web) fn param_differences(params: &[ParamDifference]) -> Markup {
    if params.is_empty() {
        return same("All parameters have the same values.");
    }
    let value = |value: &Option<Value>| match value {
        Some(value) => json_tree(value),
        None => html! { span.hint { "none" } },
    };
    let row = |param: &ParamDifference| vec![text(&param.name), value(&param.run1), value(&param.run2)];
    let rows: Vec<_> = params.iter().take(MAX_SHOWN).map(row).collect();
    let columns = [column("parameter"), column("first run"), column("second run")];
    html! { (table("Parameters with different values", &columns, &rows)) (left_out(params.len())) }
}

/// The steps that differ. Of code that is in the script itself, both texts.
pub(in crate::web) fn step_differences(steps: &[StepDifference], code: &[InlineCode; 2]) -> Markup {
    if steps.is_empty() {
        return same("All steps have the same code and settings.");
    }
    let mut rows = Vec::new();
    for step in steps.iter().take(MAX_SHOWN) {
        for (what, [first, second]) in &step.differences {
            let cells = [first, second].map(|value| step_value(what, value));
            let [first, second] = cells;
            rows.push(vec![text(&step.name), html! { (what_text(what)) }, first, second]);
        }
    }
    let columns = [column("step"), column("what"), column("first run"), column("second run")];
    html! {
        (table("Steps that differ", &columns, &rows))
        (left_out(steps.len()))
        @for step in steps.iter().take(MAX_SHOWN).filter(|step| step.differences.contains_key("code")) { (code_of(&step.name, code)) }
    }
}

fn what_text(what: &str) -> &str {
    match what {
        "step" => "is in the run",
        what => what,
    }
}

fn step_value(what: &str, value: &Value) -> Markup {
    match (what, value) {
        ("step", Value::Bool(true)) => html! { "yes" },
        ("step", _) => html! { "no" },
        // of a hash, the beginning tells enough: that it is another one
        ("code", Value::String(hash)) => html! { code title=(hash) { (hash.get(..12).unwrap_or(hash)) } },
        (_, Value::Null) => html! { span.hint { "not set" } },
        (_, Value::String(value)) => short_text(value),
        (_, value) => short_text(&value.to_string()),
    }
}

fn code_of(step: &str, code: &[InlineCode; 2]) -> Markup {
    let [first, second] = code.each_ref().map(|code| code.get(step));
    let side = |code: Option<&String>| match code {
        Some(code) => block(code, MAX_CODE),
        None => html! { p.hint { "It is in a file, and in the bucket." } },
    };
    html! {
        @if first.is_some() || second.is_some() {
            details { summary { "Code of " (text(step)) } div.columns { div { (side(first)) } div { (side(second)) } } }
        }
    }
}

/// The results of calls, as the API returns them, in pairs of the same name or, without one, of the same place.
pub(in crate::web) fn call_differences(calls: &[Vec<Value>; 2]) -> Markup {
    let [first, second] = calls.each_ref().map(|calls| by_key(calls));
    let keys: Vec<&String> = first.keys().chain(second.keys().filter(|key| !first.contains_key(*key))).collect();
    let value = |calls: &BTreeMap<String, &Value>, key: &String| calls.get(key).map(|call| outcome(call));
    let pairs = keys.iter().map(|key| (*key, value(&first, key), value(&second, key)));
    let (equal, different): (Vec<_>, Vec<_>) = pairs.partition(|(_, first, second)| first == second);
    html! {
        @if different.is_empty() { (same("The results of all calls on the first page are the same.")) }
        @for (key, first, second) in different.iter().take(MAX_SHOWN) {
            section.pair {
                h3 { (text(key)) }
                div.columns { div { (side(first.as_ref())) } div { (side(second.as_ref())) } }
            }
        }
        (left_out(different.len()))
        @if !equal.is_empty() && !different.is_empty() { p.hint { (counted(equal.len() as u64, "other call has", "other calls have")) " the same result." } }
        p.hint { "Of long results, the beginning is compared here; the jobs below are compared as a whole." }
    }
}

/// The calls by their names; by their numbers if they have none.
fn by_key(calls: &[Value]) -> BTreeMap<String, &Value> {
    let field = |call: &Value, name: &str| call.get(name).cloned().unwrap_or_default();
    let key = |call: &Value| match field(call, "name") {
        Value::String(name) => name,
        _ => format!("call {}", field(call, "call")),
    };
    calls.iter().map(|call| (key(call), call)).collect()
}

/// The state and the value of a call.
fn outcome(call: &Value) -> (Value, Value) {
    let field = |name: &str| call.get(name).cloned().unwrap_or_default();
    (field("state"), field("value"))
}

fn side(outcome: Option<&(Value, Value)>) -> Markup {
    match outcome {
        Some((state, value)) => {
            html! { p.hint { (state.as_str().unwrap_or_default()) } (json_tree(value)) }
        }
        None => html! { p.hint { "no such call" } },
    }
}

/// The jobs by step, and the first of those that differ.
pub(in crate::web) fn job_differences(steps: &[JobsDifference]) -> Markup {
    if steps.iter().all(JobsDifference::is_same) {
        return same("All jobs have the same states and the same results.");
    }
    let columns = [
        column("step"),
        number("same", "Jobs with the same state and the same result, byte by byte."),
        number("other result", "Jobs that have completed in both runs, with different results."),
        number("other state", "Jobs in different states."),
        number("only in first", "Jobs that the second run does not have."),
        number("only in second", "Jobs that the first run does not have."),
    ];
    let row = |jobs: &&JobsDifference| {
        let counts = [jobs.same, jobs.different_results, jobs.different_states, jobs.only_in_run1, jobs.only_in_run2];
        let counts = counts.map(|count| html! { (grouped(count)) });
        std::iter::once(text(&jobs.step)).chain(counts).collect()
    };
    let different: Vec<_> = steps.iter().filter(|jobs| !jobs.is_same()).collect();
    let rows: Vec<_> = different.iter().take(MAX_SHOWN).map(row).collect();
    html! {
        p.hint { "Jobs are compared by their step and their rounds." }
        (table("Jobs by step", &columns, &rows))
        (left_out(different.len()))
        (column_help(&columns))
        @for jobs in different.iter().take(MAX_SHOWN) { (examples(jobs)) }
    }
}

fn examples(jobs: &JobsDifference) -> Markup {
    let row = |job: &JobDifference| {
        let [first, second] = job.jobs.map(job_link);
        vec![html! { (round_text(&job.rounds)) }, first, second]
    };
    let rows: Vec<_> = jobs.examples.iter().map(row).collect();
    let columns = [column("round"), column("first run"), column("second run")];
    html! {
        details {
            summary { "Jobs of " (text(&jobs.step)) " that differ" }
            (table("The first jobs that differ", &columns, &rows))
        }
    }
}

fn round_text(rounds: &[u64]) -> String {
    let rounds: Vec<_> = rounds.iter().map(u64::to_string).collect();
    if rounds.is_empty() { "not in a loop".to_owned() } else { rounds.join(".") }
}

fn job_link(job: Option<(JobId, JobState)>) -> Markup {
    match job {
        Some((job, state)) => html! { a href=(format!("/jobs/{job}")) { "job " (job) } " " (job_badge(state)) },
        None => html! { span.hint { "no such job" } },
    }
}

fn same(message: &str) -> Markup {
    empty_state(message, "")
}

fn left_out(count: usize) -> Markup {
    let hidden = count.saturating_sub(MAX_SHOWN) as u64;
    html! { @if hidden > 0 { p.hint { (counted(hidden, "further one is", "further ones are")) " not shown; " code { "bue diff" } " shows all." } } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_compared_by_name_and_hostile_values_are_texts() {
        let call = |name: Value, value: Value| json!({ "call": 1, "name": name, "state": "completed", "value": value });
        let first = vec![call(json!("<b>"), json!("<script>")), call(json!(null), json!(1))];
        let second = vec![call(json!("<b>"), json!(2)), call(json!(null), json!(1)), call(json!("new"), json!([]))];
        let markup = call_differences(&[first.clone(), second]).into_string();
        assert_eq!(markup.matches("<h3>").count(), 2, "{markup}");
        assert!(markup.contains("no such call") && markup.contains("1 other call has"), "{markup}");
        assert!(!markup.contains("<script") && !markup.contains("<b>"), "{markup}");
        assert!(call_differences(&[first.clone(), first]).into_string().contains("are the same"));
    }
}
