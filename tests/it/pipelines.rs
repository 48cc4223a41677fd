//! Published pipelines: publish, list, invoke, unpublish.

use std::fs;

use serde_json::json;

use crate::project::step;
use crate::verbs::Services;

fn services() -> Services {
    let script = [
        "param day: date\nparam depth: int = 3 (1..10)\n".to_owned(),
        step("report", "def report(day, depth):\n    return f'{day}/{depth}'"),
        "report(day, depth)\n".to_owned(),
    ];
    Services::new(&script.concat())
}

#[test]
fn a_published_script_runs_by_name_with_parameters() {
    let services = services();
    let _worker = services.worker("default");
    let published = services.bue(&["publish", "x.bue", "--as", "report"]).expect_code(0);
    assert_eq!(published.stdout, "report version 1\n");
    let again = services.bue(&["publish", "x.bue", "--as", "report", "--json"]).expect_code(0).json();
    assert_eq!(again, json!({"pipeline": "report", "version": 1, "created": false}));
    let output = services.bue(&["invoke", "report", "day=2026-11-01", "--wait"]).expect_code(0);
    assert_eq!(output.stdout, "\"2026-11-01/3\"\n");
    let run = services.bue(&["invoke", "report", "day=2026-11-02", "depth=7", "--key", "k"]).expect_code(0).stdout;
    let same = services.bue(&["invoke", "report", "day=2026-11-02", "depth=7", "--key", "k"]).expect_code(0).stdout;
    assert_eq!(run, same);
    services.bue(&["wait", run.trim()]).expect_code(0);
    assert_eq!(services.bue(&["result", run.trim()]).expect_code(0).stdout, "\"2026-11-02/7\"\n");
    let view = services.bue(&["pipeline", "report", "--json"]).expect_code(0).json();
    assert_eq!((&view["version"], view["runs"].as_array().map(Vec::len)), (&json!(1), Some(2)));
    let text = services.bue(&["pipeline", "report"]).expect_code(0).stdout;
    for part in ["report version 1", "day", "date", "(required)", "1..10", "1 (current)", "completed"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let list = services.bue(&["pipelines"]).expect_code(0).stdout;
    assert!(list.contains("report") && list.contains("x.bue"), "{list}");
}

#[test]
fn a_file_of_parameters_starts_a_run_for_each_line() {
    let services = services();
    services.bue(&["publish", "x.bue"]).expect_code(0);
    fs::write(services.project.path("days.jsonl"), "{\"day\": \"2026-11-01\"}\n\n{\"day\": \"2026-11-02\"}\n")
        .expect("a file");
    let output = services.bue(&["invoke", "x", "--params", "@days.jsonl"]).expect_code(0);
    assert_eq!(output.stdout.lines().count(), 2);
    fs::write(services.project.path("days.jsonl"), "{\"day\": \"2026-11-01\"}\n{\"day\": 2}\n").expect("a file");
    let output = services.bue(&["invoke", "x", "--params", "@days.jsonl"]);
    let output = output.expect_code(1);
    output.expect_stderr(&["`runs[1].day`"]);
    let view = services.bue(&["pipeline", "x", "--json"]).expect_code(0).json();
    assert_eq!(view["runs"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_does_not_fit_says_what_to_type() {
    let services = services();
    services.bue(&["publish", "x.bue", "--as", "a b"]).expect_code(2).expect_stderr(&["--as NAME"]);
    services.bue(&["pipelines"]).expect_code(0).expect_stderr(&["`bue publish FILE`"]);
    services.bue(&["invoke", "x"]).expect_code(1).expect_stderr(&["no pipeline `x`", "bue pipelines"]);
    services.bue(&["publish", "x.bue"]).expect_code(0);
    services.bue(&["invoke", "x"]).expect_code(1).expect_stderr(&["`day`: it has no value"]);
    let wrong = services.bue(&["invoke", "x", "day=monday", "depth=x"]).expect_code(1);
    wrong.expect_stderr(&[
        "`monday` of the parameter `day` is not a date",
        "`x` of the parameter `depth` is not an int",
    ]);
    services.bue(&["invoke", "x", "dai=2026-11-01"]).expect_code(1).expect_stderr(&["`dai`: the pipeline has no such"]);
    services.bue(&["invoke", "x", "day"]).expect_code(2).expect_stderr(&["NAME=VALUE"]);
    services.bue(&["invoke", "x", "depth=1", "depth=2"]).expect_code(2).expect_stderr(&["depth is given twice"]);
    services.bue(&["unpublish", "x"]).expect_code(0);
    services.bue(&["unpublish", "x"]).expect_code(1).expect_stderr(&["no pipeline `x`"]);
}
