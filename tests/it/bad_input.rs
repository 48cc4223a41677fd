//! Errors of users: one clear message, exit code 1, other jobs unharmed, no panic, no stray files.

use serde_json::Value;

use crate::project::{CommandOutput, Project, prepare, python, step};

/// Runs one bad step beside a good one, and checks that the good one is unharmed.
#[track_caller]
fn bad_beside_good(settings: &str, code: &str) -> CommandOutput {
    let script = [
        settings,
        &step("bad", code),
        &step("good", "def good():\n    return 'fine'"),
        &step("more", "def more(x):\n    return x"),
        "bad()\np = good | more\np()\n",
    ];
    let output = Project::script(&script.concat()).run().expect_code(1);
    let json = output.json();
    assert_eq!(json["state"], "failed");
    assert_eq!(json["results"][0]["value"], Value::Null);
    assert_eq!(json["results"][1]["value"], "fine");
    assert_eq!(json["failed"].as_array().map(Vec::len), Some(1), "one clear failure: {json}");
    output
}

/// Checks that a script is refused before anything runs: nothing on stdout, and all of `parts` on stderr.
#[track_caller]
fn refused(files: &[(&str, &str)], parts: &[&str]) {
    let output = Project::new(files).bue(&["run", "x.bue", "--json"]).expect_code(1);
    assert_eq!(output.stdout, "");
    output.expect_stderr(parts);
}

#[test]
fn an_unknown_name_is_refused_with_its_place() {
    refused(&[("x.bue", "a()\n")], &["x.bue:1:1", "`a`"]);
}

#[test]
fn all_missing_names_are_reported_at_once() {
    let script = "a:\n    python\n    a\n    nowhere.py\nimport python (gone, there) some.py\n\
                  b:\n    python\n    b\n    broken.py\np = a | gone | there | b\np()\n";
    let files = [("x.bue", script), ("some.py", "def there():\n    pass\n"), ("broken.py", "def b(:\n    pass\n")];
    refused(&files, &["nowhere.py", "`gone`", "some.py", "broken.py"]);
}

#[test]
fn a_missing_function_in_the_script_is_found_before_anything_runs() {
    refused(&[("x.bue", &python("f", "def g():\n    pass", "f()"))], &["`f`", "x.bue"]);
}

#[test]
fn a_missing_script_is_reported() {
    let output = Project::new(&[]).bue(&["run", "no.bue"]).expect_code(1);
    output.expect_stderr(&["no.bue"]);
}

#[test]
fn a_script_that_is_not_text_is_refused() {
    let project = Project::new(&[]);
    std::fs::write(project.path("x.bue"), [0xff, 0xfe, 0x00]).expect("a file");
    project.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&["x.bue", "UTF-8"]);
    std::fs::create_dir(project.path("folder.bue")).expect("a folder");
    project.bue(&["run", "folder.bue"]).expect_code(1).expect_stderr(&["folder.bue"]);
}

#[test]
fn a_step_in_rust_without_a_package_is_refused() {
    let script = "a:\n    rust\n    a\n    a.rs\na()\n";
    refused(&[("x.bue", script), ("a.rs", "")], &["rust", "`a`"]);
}

#[test]
fn a_value_that_cannot_be_serialized_is_named_by_its_path() {
    let code = "def bad():\n    return [1, 2, 3, {'cb': lambda: 1}]";
    bad_beside_good("", code).expect_stderr(&["result[3].cb is a function"]);
}

#[test]
fn a_map_where_rows_are_needed_says_what_to_return() {
    let map = [
        step("one", "def one():\n    return {'config': 1, 'table_data': [{'sales': 1}]}"),
        "sql:\n    sqlite3\n    t\n    `SELECT sales FROM t`\np = one | sql\np()\n".to_owned(),
    ];
    Project::script(&map.concat()).run().expect_code(1).expect_stderr(&[
        "step `sql`",
        "sales",
        "config",
        "table_data",
        "list",
    ]);
    let number = [
        step("one", "def one():\n    return 7"),
        "sql:\n    sqlite3\n    t\n    `SELECT * FROM t`\np = one | sql\np()\n".to_owned(),
    ];
    Project::script(&number.concat()).run().expect_code(1).expect_stderr(&["step `sql`", "rows"]);
}

#[test]
fn a_loop_over_something_other_than_a_list_fails() {
    let script = [
        step("number", "def number():\n    return 7"),
        step("f", "def f(x):\n    return x"),
        "for x in number():\n    f(x)\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(1);
    output.expect_stderr(&["step `number`", "list", "for x in"]);
}

#[test]
fn an_endless_loop_ends_at_its_timeout() {
    let code = "def bad():\n    while True:\n        pass";
    bad_beside_good("!timeout 1\n", code).expect_stderr(&["step `bad`", "1 s"]);
}

#[test]
fn a_step_cannot_use_a_gigabyte_of_memory() {
    bad_beside_good("", "def bad():\n    return len(bytearray(1 << 30))").expect_stderr(&["step `bad`", "256 MiB"]);
    bad_beside_good("", "def bad():\n    x = []\n    while True:\n        x.append('y' * 1000000)")
        .expect_stderr(&["256 MiB"]);
}

#[test]
fn a_gigabyte_of_output_fails_the_step() {
    let output = bad_beside_good("", "def bad():\n    for _ in range(1 << 14):\n        print('x' * (1 << 16))");
    output.expect_stderr(&["step `bad`", "64 MiB"]);
    let output = bad_beside_good("", "def bad():\n    return ['y' * (1 << 20)] * 1024");
    output.expect_stderr(&["step `bad`", "limit", "return less"]);
}

#[test]
fn a_recursion_of_a_million_ends() {
    let code = "import sys\nsys.setrecursionlimit(10 ** 9)\ndef deep(n):\n    return n and deep(n - 1)\n\
                def bad():\n    return deep(1000000)";
    bad_beside_good("", code).expect_stderr(&["step `bad`"]);
    bad_beside_good("", "def bad():\n    return bad()").expect_stderr(&["step `bad`", "recursion"]);
}

#[test]
fn exiting_the_interpreter_fails_the_step() {
    bad_beside_good("", "import sys\ndef bad():\n    sys.exit(0)").expect_stderr(&["step `bad`", "SystemExit"]);
    bad_beside_good("", "import os\ndef bad():\n    os._exit(0)").expect_stderr(&["step `bad`"]);
    bad_beside_good("", "import os\ndef bad():\n    os.abort()").expect_stderr(&["step `bad`"]);
}

#[test]
fn an_error_on_import_fails_its_own_jobs_only() {
    let output = bad_beside_good("", "raise RuntimeError('at import')\ndef bad():\n    pass");
    output.expect_stderr(&["step `bad`", "at import", "x.bue"]);
}

#[test]
fn an_invalid_status_fails_the_step() {
    let code = "from bue import Result, StepStatus\ndef bad():\n    return Result(status=StepStatus.queued)";
    bad_beside_good("", code).expect_stderr(&["step `bad`", "queued"]);
}

#[test]
fn a_value_that_is_nested_too_deeply_fails_the_step() {
    let code = "def bad():\n    x = []\n    for _ in range(1000):\n        x = [x]\n    return x";
    bad_beside_good("", code).expect_stderr(&["step `bad`", "128"]);
}

#[test]
fn hostile_scripts_end_in_diagnostics() {
    prepare();
    for text in
        ["(".repeat(1_000_000), "a = ".to_owned() + &"b | ".repeat(20_000), "!timeout 9**9**9\n".into(), "`".into()]
    {
        let output = Project::script(&text).bue(&["run", "x.bue"]);
        assert_eq!(output.code, 1, "{}", output.stderr.chars().take(500).collect::<String>());
        assert!(!output.stderr.is_empty());
    }
}
