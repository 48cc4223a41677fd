//! Values as arguments, and parameters of scripts.

use std::fs;

use serde_json::json;

use crate::project::{Project, prepare, step};

const ECHO: &str = "def echo(*values):\n    return [repr(value) for value in values]";

#[test]
fn steps_get_the_values_of_the_script() {
    let script = [
        step("echo", ECHO),
        r#"echo(30, -1.5, "a \"b\" é", true, null, [1, [2.0]], {"deep": {"x": false}}, 12345678901234567890123)"#
            .to_owned(),
        "\n".to_owned(),
        step("pair", "def pair(row, limit):\n    return [row, limit]"),
        "for row in echo(1, 2):\n    pair(row, 7)\n".to_owned(),
    ];
    let values = Project::script(&script.concat()).run().expect_code(0).values();
    let echoed = [
        "30",
        "-1.5",
        "'a \"b\" é'",
        "True",
        "None",
        "[1, [2.0]]",
        "{'deep': {'x': False}}",
        "12345678901234567890123",
    ];
    assert_eq!(values[0], json!(echoed));
    assert_eq!(values.last(), Some(&json!([["1", 7], ["2", 7]])));
}

#[test]
fn a_sql_step_gets_a_list_of_maps_as_its_table() {
    let script = "total:\n    sqlite3\n    sales\n    `SELECT sum(amount) AS total FROM sales`\n\
                  total([{\"amount\": 2}, {\"amount\": 40}])\n";
    assert_eq!(Project::script(script).run().expect_code(0).values(), [json!([{"total": 42}])]);
}

const DECLARATIONS: &str = "\
param day: date = \"2026-11-01\"
param accounts: list
param depth: int = 3 (1..10)
param mode: text = \"fast\" (\"fast\", \"full\")
param at: datetime = scheduled_at
";

fn project() -> Project {
    prepare();
    let script =
        [DECLARATIONS.to_owned(), step("echo", ECHO), "echo(day, accounts, depth, mode)\necho(at)\n".to_owned()];
    Project::script(&script.concat())
}

#[test]
fn parameters_get_their_values_from_flags_and_files() {
    let project = project();
    fs::write(project.path("values.json"), r#"{"accounts": ["x", 1], "depth": 9, "day": "2025-01-31"}"#)
        .expect("a file");
    let output =
        project.bue(&["run", "x.bue", "--params", "@values.json", "--param", "depth=10", "--param", "mode=full"]);
    let first = output.expect_code(0).stdout.lines().next().map(str::to_owned).expect("a line");
    assert_eq!(first, r#"["datetime.date(2025, 1, 31)","['x', 1]","10","'full'"]"#);
    let output = project.bue(&["run", "x.bue", "--params", r#"{"accounts": []}"#]).expect_code(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], r#"["datetime.date(2026, 11, 1)","[]","3","'fast'"]"#);
    assert!(lines[1].contains("datetime.datetime(20") && lines[1].contains("timezone.utc"), "{}", lines[1]);
}

#[test]
fn values_that_do_not_fit_are_diagnostics_before_anything_runs() {
    let project = project();
    let given = ["--param", "day=2026-02-30", "--param", "depth=11", "--param", "mod=full"];
    let output = project.bue(&[&["run", "x.bue"], &given[..]].concat()).expect_code(1);
    for part in [
        "error[E0072]: the value `2026-02-30` of the parameter `day` is not a date",
        "x.bue:1:7",
        "error[E0070]: the parameter `accounts` has no value",
        "x.bue:2:7",
        "error[E0072]: the value `11` of the parameter `depth` is not in 1..10",
        "x.bue:3:7",
        "error[E0071]: there is no parameter `mod`",
        "did you mean `mode`?",
    ] {
        assert!(output.stderr.contains(part), "{part}\n{}", output.stderr);
    }
    assert_eq!(output.stdout, "");
}

#[test]
fn flags_without_a_value_say_what_to_type() {
    let project = project();
    for (flags, message) in [
        (["--param", "day"], "type --param NAME=VALUE"),
        (["--param", "=1"], "type --param NAME=VALUE"),
        (["--params", "[1]"], "--params is a list, not a JSON object"),
        (["--params", "{"], "--params is not JSON"),
        (["--params", "@missing.json"], "failed to read the parameters in missing.json"),
    ] {
        let output = project.bue(&[&["run", "x.bue"], &flags[..]].concat()).expect_code(2);
        assert!(output.stderr.contains(message), "{message}\n{}", output.stderr);
    }
    let output = project.bue(&["run", "x.bue", "--param", "depth=1", "--param", "depth=2"]).expect_code(2);
    assert!(output.stderr.contains("--param depth is given twice"), "{}", output.stderr);
}

#[test]
fn a_plan_lists_the_parameters() {
    let project = project();
    let text = project.bue(&["plan", "x.bue"]).expect_code(0).stdout;
    assert!(text.contains("  depth: int = 3 (1..10)\n"), "{text}");
    assert!(text.contains("  0  echo(day, accounts, depth, mode)\n"), "{text}");
    let output = project.bue(&["plan", "x.bue", "--format", "json"]).expect_code(0);
    let plan: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        plan["params"][2],
        json!({"name": "depth", "type": "int", "required": false, "default": 3, "min": 1, "max": 10})
    );
    assert_eq!(plan["nodes"][0]["inputs"][1], json!({"param": 1}));
}
