//! `lang/suite`: programs, and below the lines of each the diagnostics and the plan that it gets.
//!
//! `BUE_BLESS=1 cargo test -p bue-lang suite` rewrites the expectations in place; read the difference before you commit it.

mod case;
mod expectation;

use std::collections::HashSet;
use std::fmt::Write as _;

use bue_lang::{CODES, Script, compile, format, plan_json, plan_mermaid};

use bue_model::Plan;
use serde_json::Value;

use crate::common::here;
pub(crate) use case::Case;
use case::{ANNOTATION, SuiteFile, suite_files};
use expectation::case_text;

/// Programs of the suite. It changes with every program that is added, so that one that is no longer read is noticed.
const PROGRAMS: usize = 483;

/// Codes that need files beside the script, or more text than a program of the suite should have.
const ELSEWHERE: &[&str] = &[
    "E0001", "E0002", "E0041", "E0050", "E0051", "E0052", "E0053", "E0054", "E0055", "E0056", "E0057", "E0060",
    "E0061", "E0062", "E0063", "E0064", "E0065", "E0069", "E0070", "E0071", "E0072", "W0012",
];

#[test]
fn programs_get_the_diagnostics_and_plans_written_below_them() {
    let bless = std::env::var_os("BUE_BLESS").is_some();
    let mut wrong = String::new();
    for file in files() {
        let texts: Vec<String> = file.cases.iter().map(case_text).collect();
        let expected = texts.join("\n");
        if bless && file.text != expected {
            std::fs::write(&file.path, &expected).expect("to write");
        } else if file.text != expected {
            let _ = write!(wrong, "{}\n{}", file.path.display(), difference(&file, &texts));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn difference(file: &SuiteFile, texts: &[String]) -> String {
    let cases = file.cases.iter().zip(texts).filter(|(case, text)| case.text != **text);
    let cases: String = cases.map(|(case, text)| format!("-- expected\n{}-- found\n{text}\n", case.text)).collect();
    if cases.is_empty() { "there should be one blank line between two programs\n".to_owned() } else { cases }
}

#[test]
fn the_suite_has_every_program_once() {
    let cases = programs();
    let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!((cases.len(), names.len()), (PROGRAMS, PROGRAMS), "programs and their names");
    let files = files();
    let empty: Vec<_> = files.iter().filter(|file| file.cases.is_empty()).map(|file| &file.path).collect();
    assert!(empty.is_empty(), "files without a program: {empty:?}");
}

#[test]
fn attributes_make_the_bytes_that_a_file_cannot_show() {
    let program = |name: &str| program(name).unwrap_or_else(|| panic!("{name} is not in the suite"));
    assert!(program("byte_order_mark").starts_with("\u{feff}import"));
    assert!(program("crlf").ends_with("p()\r\n"));
    assert_eq!(program("carriage_returns_alone").matches('\n').count(), 0);
    assert!(program("carriage_returns_alone").ends_with("f()\r"));
    assert!(program("no_newline_at_the_end").ends_with("f()"));
    assert_eq!(program("empty"), "");
}

#[test]
fn every_code_occurs_in_the_suite() {
    let cases = programs();
    let annotations = cases.iter().flat_map(|case| case.text.lines()).filter_map(|line| line.strip_prefix(ANNOTATION));
    let codes: HashSet<&str> = annotations.filter_map(|text| text.split(' ').nth(1)).collect();
    let missing: Vec<_> = CODES.iter().map(|(code, _)| *code).filter(|code| !codes.contains(code)).collect();
    assert_eq!(missing, ELSEWHERE);
}

#[test]
fn plans_of_the_suite_survive_storage_and_printing() {
    for case in programs() {
        let text = case.program();
        let Some(plan) = compile(Script { path: "x.bue", text: &text }).plan else { continue };
        let stored = serde_json::to_string(&plan).expect("a plan is plain data");
        assert_eq!(serde_json::from_str::<Plan>(&stored).expect("what was stored"), plan, "{}", case.name);
        let jobs = plan_json(&plan).to_string().matches("\"kind\":\"job\"").count();
        assert_eq!(
            plan_mermaid(&plan)
                .lines()
                .filter(|line| line.trim().ends_with("\"]") && !line.contains("subgraph"))
                .count(),
            jobs
        );
    }
}

#[test]
fn formatting_is_stable_and_changes_no_meaning() {
    for case in programs() {
        let text = case.program();
        let Some(plan) = compile(Script { path: "x.bue", text: &text }).plan else { continue };
        let once = formatted(&text);
        assert_eq!(formatted(&once), once, "{}", case.name);
        let again = compile(Script { path: "x.bue", text: &once }).plan.expect("a script still");
        assert_eq!(without_lines(&again), without_lines(&plan), "{}\n{once}", case.name);
    }
}

fn formatted(text: &str) -> String {
    format(Script { path: "x.bue", text }).expect("a script without errors")
}

/// Formatting moves lines, and nothing else may change.
fn without_lines(plan: &Plan) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("line");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(plan).expect("plain data");
    strip(&mut value);
    value
}

fn files() -> Vec<SuiteFile> {
    suite_files(&here().join("suite"))
}

/// Every program of the suite.
pub(crate) fn programs() -> Vec<Case> {
    files().into_iter().flat_map(|file| file.cases).collect()
}

/// The text of the program of this name.
pub(crate) fn program(name: &str) -> Option<String> {
    programs().iter().find(|case| case.name == name).map(Case::program)
}
