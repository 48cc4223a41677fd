//! `lang/suite`: programs, and beside each what is said of it and the plan it makes.
//!
//! `BUE_BLESS=1 cargo test -p bue-lang suite` writes what comes out; read the difference before it is committed.

use std::fmt::Write as _;
use std::path::Path;

use bue_lang::{CODES, Compiled, Script, compile, format, plan_json, plan_mermaid, plan_text};

use bue_model::Plan;
use serde_json::Value;

use crate::common::{here, programs};

/// Codes that need files beside the script, or more text than a program of the suite should have.
const ELSEWHERE: &[&str] = &[
    "E0001", "E0002", "E0041", "E0050", "E0051", "E0052", "E0053", "E0054", "E0055", "E0056", "E0057", "E0060",
    "E0061", "E0062", "W0009", "W0010", "W0011", "W0012", "W0013",
];

#[test]
fn programs_come_out_as_noted_beside_them() {
    let bless = std::env::var_os("BUE_BLESS").is_some();
    let programs = programs(&here().join("suite"));
    assert!(programs.len() >= 250, "the suite is gone: {} programs", programs.len());
    let mut wrong = String::new();
    for path in &programs {
        let found = outcome(&read(path));
        let notes = path.with_extension("txt");
        if bless {
            std::fs::write(&notes, &found).expect("to write");
        }
        let expected = std::fs::read_to_string(&notes).unwrap_or_default();
        if found != expected {
            let _ = write!(wrong, "{}\n-- expected\n{expected}-- found\n{found}\n", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_code_occurs_in_the_suite() {
    let notes: String = programs(&here().join("suite")).iter().map(|path| read(&path.with_extension("txt"))).collect();
    let missing: Vec<_> = CODES.iter().map(|(code, _)| *code).filter(|code| !notes.contains(code)).collect();
    assert_eq!(missing, ELSEWHERE);
}

#[test]
fn plans_of_the_suite_survive_storage_and_printing() {
    for path in programs(&here().join("suite")) {
        let text = read(&path);
        let Some(plan) = compile(Script { path: "x.bue", text: &text }).plan else { continue };
        let stored = serde_json::to_string(&plan).expect("a plan is plain data");
        assert_eq!(serde_json::from_str::<Plan>(&stored).expect("what was stored"), plan, "{}", path.display());
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
    for path in programs(&here().join("suite")) {
        let text = read(&path);
        let Some(plan) = compile(Script { path: "x.bue", text: &text }).plan else { continue };
        let once = formatted(&text);
        assert_eq!(formatted(&once), once, "{}", path.display());
        let again = compile(Script { path: "x.bue", text: &once }).plan.expect("a script still");
        assert_eq!(without_lines(&again), without_lines(&plan), "{}\n{once}", path.display());
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

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Each diagnostic with its hint and further places, then the plan.
fn outcome(text: &str) -> String {
    let compiled = compile(Script { path: "x.bue", text });
    let mut found = diagnostics(&compiled);
    if let Some(plan) = &compiled.plan {
        if !found.is_empty() {
            found.push('\n');
        }
        found.push_str(&plan_text(plan));
    }
    found
}

fn diagnostics(compiled: &Compiled) -> String {
    let mut found = String::new();
    for diagnostic in &compiled.diagnostics {
        for (at, label) in diagnostic.labels.iter().enumerate() {
            let place = format!("{}:{}-{}:{}", label.start.line, label.start.column, label.end.line, label.end.column);
            let _ = match at {
                0 if label.text.is_empty() => writeln!(found, "{} {place} {}", diagnostic.code, diagnostic.message),
                0 => writeln!(found, "{} {place} {} ({})", diagnostic.code, diagnostic.message, label.text),
                _ => writeln!(found, "      {place} {}", label.text),
            };
        }
        if let Some(hint) = &diagnostic.hint {
            let _ = writeln!(found, "      = {hint}");
        }
    }
    found
}
