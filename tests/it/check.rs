//! Diagnostics before anything runs: `bue check`, `bue plan`, `bue fmt` and `bue explain`.

use bue_test_support::process;
use serde_json::{Value, json};

use crate::project::Project;

const GOOD: &str = "a:\n    python\n    a\n    a.py\nfor x in a():\n    a(x)\n";

#[test]
fn a_script_without_problems_prints_nothing() {
    let output =
        Project::new(&[("x.bue", GOOD), ("a.py", "def a(*args):\n    pass\n")]).bue(&["check", "x.bue"]).expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
}

#[test]
fn all_errors_of_all_files_are_shown() {
    let project =
        Project::new(&[("x.bue", "b()\nc()\n"), ("y.bue", "d()\n"), ("z.bue", ""), ("good.bue", "# nothing\n")]);
    let output = project.bue(&["check", "x.bue", "y.bue", "z.bue", "good.bue", "no.bue"]).expect_code(1);
    output.expect_stderr(&["x.bue:1:1", "x.bue:2:1", "y.bue:1:1", "no.bue"]);
    assert_eq!(output.stdout, "");
}

#[test]
fn diagnostics_are_printed_as_json() {
    let project = Project::new(&[("x.bue", "b()\n"), ("y.bue", GOOD), ("a.py", "def other():\n    pass\n")]);
    let json = project.bue(&["check", "--json", "x.bue", "y.bue"]).expect_code(1).json();
    let complaints = json["complaints"].as_array().expect("a list");
    assert_eq!(complaints.len(), 2, "{json}");
    assert_eq!(complaints[0]["file"], "x.bue");
    assert_eq!((&complaints[0]["line"], &complaints[0]["column"]), (&json!(1), &json!(1)));
    assert!(complaints[0]["code"].as_str().is_some_and(|code| code.starts_with('E')));
    assert!(complaints[0]["message"].is_string());
    assert_eq!(complaints[1]["file"], "y.bue");
}

#[test]
fn check_exits_with_the_code_of_run_and_prints_the_same() {
    let inline = |code: &str| format!("a:\n    python\n    a\n    `\n    {code}\n    `\na()\n");
    let (broken, sql) = (inline("def a(:"), "a:\n    sqlite3\n    a\n    `\n    selec 1\n    `\na()\n");
    let unlocked = format!("!requires six\n{}", inline("def a(): pass"));
    for (script, code, positions) in [
        (GOOD, "E0050", ["x.bue:4:5", "a.py"]),
        (&broken, "E0052", ["x.bue:5:11", "def a(:"]),
        (sql, "E0055", ["x.bue:5:5", "selec"]),
        (&unlocked, "E0060", ["x.bue:2:1", "bue deps lock x.bue"]),
    ] {
        let project = Project::script(script);
        let check = project.bue(&["check", "x.bue"]).expect_code(1);
        check.expect_stderr(&[&format!("error[{code}]"), positions[0], positions[1]]);
        let run = project.bue(&["run", "x.bue"]).expect_code(1);
        assert_eq!(check.stderr, run.stderr, "{code}");
    }
}

#[test]
fn a_mistake_in_the_file_of_a_step_is_shown_in_that_file() {
    let script = "import python (f) steps/s.py\nimport sqlite3 (t as q) q.sql\nf()\nq()\n";
    let python = "def f():\n    print \"x\"\n";
    let files = [("jobs/x.bue", script), ("jobs/steps/s.py", python), ("jobs/q.sql", "select 1;\nselct 2")];
    let project = Project::new(&files);
    let output = project.bue(&["check", "jobs/x.bue"]).expect_code(1);
    output.expect_stderr(&[
        "jobs/steps/s.py:2:5",
        "2 |     print \"x\"",
        "Missing parentheses in call to 'print'",
        "jobs/x.bue:1:19",
        "jobs/q.sql:2:1",
        "jobs/x.bue:2:25",
    ]);
    let json = project.bue(&["check", "--json", "jobs/x.bue"]).expect_code(1).json();
    let [python, sql] = json["complaints"].as_array().expect("a list").as_slice() else { panic!("{json}") };
    assert_eq!((&python["file"], &python["line"]), (&json!("jobs/steps/s.py"), &json!(2)));
    assert_eq!((&sql["file"], &sql["line"]), (&json!("jobs/q.sql"), &json!(2)));
}

#[test]
fn a_script_on_stdin_is_refused_with_what_to_type() {
    let project = Project::new(&[]);
    for verb in ["check", "run"] {
        project.bue(&[verb, "-"]).expect_code(1).expect_stderr(&["not from stdin", "`bue run FILE`"]);
    }
}

#[test]
fn an_unknown_function_is_reported_with_those_that_there_are() {
    let project = Project::new(&[("x.bue", "import python (f2) s.py\nf2()\n"), ("s.py", "import os\ndef f(): pass\n")]);
    project.bue(&["check", "x.bue"]).expect_code(1).expect_stderr(&["E0051", "the code defines `f`"]);
}

#[test]
fn a_plan_has_three_formats() {
    let project = Project::new(&[("x.bue", GOOD)]);
    let plan = project.bue(&["plan", "x.bue", "--format", "json"]).expect_code(0).json();
    assert_eq!(plan["version"], 1);
    assert_eq!(plan["nodes"][0]["kind"], "job");
    assert_eq!(plan["nodes"][0]["source"], json!({"file": "a.py"}));
    assert_eq!(plan["nodes"][1]["kind"], "for_each");
    assert_eq!(plan["nodes"][1]["over"], json!({"node": 0}));
    assert_eq!(plan["nodes"][1]["body"][0]["inputs"], json!([{"loop": 1}]));
    assert!(project.bue(&["plan", "x.bue"]).expect_code(0).stdout.contains("for each x"));
    assert!(project.bue(&["plan", "x.bue", "--format", "mermaid"]).expect_code(0).stdout.starts_with("flowchart"));
}

#[test]
fn a_bad_script_has_no_plan() {
    let output = Project::script("b()\n").bue(&["plan", "x.bue", "--format", "json"]).expect_code(1);
    output.expect_stderr(&["x.bue:1:1"]);
    assert_eq!(output.stdout, "");
    assert_eq!(serde_json::from_str::<Value>(&output.stdout).ok(), None);
}

#[test]
fn a_script_is_formatted_in_place_and_only_if_necessary() {
    let project = Project::new(&[("x.bue", "a:\n    python\n    a\n    a.py\np=a|a\np( )\n"), ("bad.bue", "b(\n")]);
    assert_eq!(project.bue(&["fmt", "--check", "x.bue"]).expect_code(1).stdout, "x.bue\n");
    project.bue(&["fmt", "x.bue"]).expect_code(0);
    let formatted = std::fs::read_to_string(project.path("x.bue")).expect("a file");
    assert!(formatted.ends_with("p = a | a\np()\n"), "{formatted}");
    assert_eq!(project.bue(&["fmt", "--check", "x.bue"]).expect_code(0).stdout, "");
    project.bue(&["fmt", "bad.bue", "no.bue"]).expect_code(1).expect_stderr(&["bad.bue:1", "no.bue"]);
    assert_eq!(std::fs::read_to_string(project.path("bad.bue")).expect("a file"), "b(\n");
}

#[test]
fn every_code_is_explained() {
    let project = Project::new(&[]);
    assert!(project.bue(&["explain", "e0012"]).expect_code(0).stdout.starts_with("E0012 unknown language"));
    assert!(project.bue(&["explain"]).expect_code(0).stdout.contains("W0001"));
    project.bue(&["explain", "E9999"]).expect_code(1).expect_stderr(&["E9999", "bue explain"]);
}

#[test]
fn invalid_sql_is_reported_before_anything_runs() {
    let script = "a:\n    sqlite3\n    t\n    `\n    select 1;\n    select {{priority}} form t x\n    `\na()\n";
    let project =
        Project::new(&[("x.bue", script), ("y.bue", "import sqlite3 (t as q) q.sql\nq()\n"), ("q.sql", "selct 1")]);
    project.bue(&["check", "x.bue", "y.bue"]).expect_code(1).expect_stderr(&["E0055", "x.bue:6:", "q.sql:1:1"]);
    project.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&["E0055", "x.bue:6:"]);
}

#[test]
fn the_pages_on_sql_and_on_building_show_what_happens() {
    let pages = include_str!("../../docs/errors.md");
    let example = |code: &str, kind: &str| {
        let (_, page) = pages.split_once(&format!("\n## {code} ")).expect("a page");
        let (_, rest) = page.split_once(&format!("```bue {kind}\n")).expect("an example");
        rest.split_once("\n```").expect("an end").0.to_owned()
    };
    for code in ["E0055", "E0056", "E0057"] {
        let (wrong, right) = (example(code, "wrong"), example(code, "right"));
        let steps = "def load():\n    return [1, 2, 3]\n";
        let project = Project::new(&[("wrong.bue", &wrong), ("right.bue", &right), ("steps.py", steps)]);
        project.bue(&["check", "wrong.bue"]).expect_code(1).expect_stderr(&[code]);
        let right = project.bue(&["check", "right.bue"]).expect_code(0);
        assert_eq!(right.stderr, "", "{code}");
    }
}

#[test]
fn a_scope_no_worker_serves_is_a_warning() {
    let script = format!("!scope prodution\n{GOOD}");
    let project = Project::new(&[("x.bue", &script), ("a.py", "def a(*args):\n    pass\n")]);
    assert_eq!(project.bue(&["check", "x.bue"]).expect_code(0).stderr, "", "the scopes of workers are unknown");
    let output = project.bue(&["check", "--scopes", "production,default", "x.bue"]).expect_code(0);
    output.expect_stderr(&["W0012", "did you mean `!scope production`?", "x.bue:2:1"]);
    assert_eq!(project.bue(&["check", "--scopes", "prodution", "x.bue"]).expect_code(0).stderr, "");
    project.bue(&["check", "--scopes", "a,,b", "x.bue"]).expect_code(2);
    let mut command = project.command(&["check", "--json", "x.bue"]);
    let stdout = process::output(command.env("PIPE_WORKER_SCOPES", "testing")).expect("bue runs").stdout;
    assert!(String::from_utf8_lossy(&stdout).contains("W0012"), "the setting has the same effect");
}
