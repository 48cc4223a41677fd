//! The collected scripts of both original systems, if the folder `shared/cases` exists beside the project.

use std::path::{Path, PathBuf};

use bue_lang::{Diagnostic, FileContents, Script, check_sources};
use serde_json::Value;

use crate::common::{here, programs};

/// Scripts that may be accepted or refused, and that we refuse: `a: b:` has a name that no other rule allows.
const REFUSED: &[&str] = &["n94_colon_in_line"];

#[test]
fn collected_scripts_give_the_recorded_plans() {
    let folder = here().join("../../shared/cases");
    let wrong: Vec<String> = programs(&folder).iter().filter_map(|path| difference(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str()?;
    let text = std::fs::read_to_string(path).expect("a script");
    let notes: Value = serde_json::from_str(&std::fs::read_to_string(beside(path)).expect("notes")).expect("JSON");
    let script = Script { path: name, text: &text };
    let compiled = bue_lang::compile(script);
    let expected = match notes["wanted"].as_str() {
        Some("accept") => true,
        Some("refuse") => false,
        _ => !REFUSED.contains(&name),
    };
    let files = |file: &str| match std::fs::read_to_string(path.with_file_name(file)) {
        Ok(text) => FileContents::Text(text.into()),
        Err(_) => FileContents::Missing,
    };
    let file_diagnostics = check_sources(script, &compiled, files);
    // the notes are about scripts alone: some name files that were never collected
    let is_about_files = |one: &Diagnostic| ["E0050", "E0052"].contains(&one.code);
    let accepted =
        compiled.plan.is_some() && !file_diagnostics.iter().any(|one| one.is_error() && !is_about_files(one));
    let all = || compiled.diagnostics.iter().chain(&file_diagnostics);
    let rendered = || all().map(|one| bue_lang::render(one, script, false)).collect::<Vec<_>>().join("\n");
    if accepted != expected {
        return Some(format!("{name}: accepted {}, but {expected} is recorded\n{}", !expected, rendered()));
    }
    let plan = bue_lang::plan_json(compiled.plan.as_ref()?);
    let recorded = notes["jobs"].as_array()?;
    let jobs = plan["nodes"].as_array()?;
    let same = recorded.len() == jobs.len() && recorded.iter().zip(jobs).all(|(want, job)| same_job(want, job));
    (!same).then(|| format!("{name}: the jobs are\n{plan:#}\nbut should be\n{:#}", notes["jobs"]))
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// Returns whether everything that the notes record about a job is true of ours. The originals number the parents of a job; our
/// plan names their kind, too.
fn same_job(want: &Value, job: &Value) -> bool {
    let fields = want.as_object().expect("an object");
    fields.iter().all(|(key, value)| match key.as_str() {
        "inputs" => {
            let ours: Vec<&Value> =
                job["inputs"].as_array().expect("inputs").iter().map(|input| &input["node"]).collect();
            ours == value.as_array().expect("inputs").iter().collect::<Vec<_>>()
        }
        "source" => same_source(value, &job["source"]),
        "timeout_s" => job[key].as_f64() == value.as_f64(),
        _ => job[key] == *value,
    })
}

/// One original kept quotes as part of the path; the other one and we remove them.
fn same_source(want: &Value, ours: &Value) -> bool {
    let path = |value: &Value| value["file"].as_str().map(|path| path.trim_matches('"').to_owned());
    let code = |value: &Value| value["inline"].as_str().map(dedented);
    path(want) == path(ours) && code(want) == code(ours)
}

fn dedented(code: &str) -> String {
    let code = code.strip_prefix('\n').unwrap_or(code);
    let code = code.strip_suffix('\n').unwrap_or(code);
    let full = || code.lines().filter(|line| !line.trim().is_empty());
    let margin = full().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    code.lines().map(|line| line.get(margin..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}
