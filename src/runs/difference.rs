//! What two runs differ in, as text for people.

use bue_hub::{JobsDifference, ParamDifference, RunDifference};
use bue_model::text::shortened;
use serde_json::Value;

use crate::process::table::{Column, TextTable};

/// Characters of a value that a line shows.
const MAX_VALUE: usize = 60;

/// Formats a difference, a line for each part of it and a table of the jobs of steps that have any.
pub(crate) fn difference_lines(difference: &RunDifference) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some([first, second]) = &difference.pipeline {
        lines.push(format!("pipeline  {first} -> {second}"));
    }
    for ParamDifference { name, run1, run2 } in &difference.params {
        lines.push(format!("param     {name}: {} -> {}", optional(run1.as_ref()), optional(run2.as_ref())));
    }
    for step in &difference.steps {
        let all = step.differences.iter().map(|(what, [first, second])| difference_text(what, first, second));
        lines.push(format!("step      {}: {}", step.name, all.collect::<Vec<_>>().join(", ")));
    }
    let different: Vec<&JobsDifference> = difference.jobs.iter().filter(|jobs| !jobs.is_same()).collect();
    if !different.is_empty() {
        lines.extend(job_table(&different).lines().map(str::to_owned));
    }
    lines
}

fn difference_text(what: &str, first: &Value, second: &Value) -> String {
    match what {
        // hashes tell people nothing
        "code" => "code".to_owned(),
        "step" if *first == Value::Bool(true) => "only in the first run".to_owned(),
        "step" => "only in the second run".to_owned(),
        what => format!("{what} {} -> {}", text(first), text(second)),
    }
}

fn optional(value: Option<&Value>) -> String {
    value.map_or_else(|| "(none)".to_owned(), text)
}

fn text(value: &Value) -> String {
    shortened(&value.to_string(), MAX_VALUE)
}

fn job_table(jobs: &[&JobsDifference]) -> String {
    let mut table = TextTable::new([
        Column::text("step", 0),
        Column::number("same", 0),
        Column::number("other result", 0),
        Column::number("other state", 0),
        Column::number("only in 1", 0),
        Column::number("only in 2", 0),
    ]);
    for jobs in jobs {
        table.add_row([
            jobs.step.clone(),
            jobs.same.to_string(),
            jobs.different_results.to_string(),
            jobs.different_states.to_string(),
            jobs.only_in_run1.to_string(),
            jobs.only_in_run2.to_string(),
        ]);
    }
    table.format(None)
}
