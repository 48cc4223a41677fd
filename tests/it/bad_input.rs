//! What goes wrong: one clear message, exit code 1, the other jobs unharmed, no panic, no stray file.

use serde_json::Value;

use crate::project::{Project, Ran, prepare, python, step};

/// Runs one bad step beside a good one, and checks that the good one is unharmed.
#[track_caller]
fn bad_beside_good(settings: &str, code: &str) -> Ran {
    let script = [
        settings,
        &step("bad", code),
        &step("good", "def good():\n    return 'fine'"),
        &step("more", "def more(x):\n    return x"),
        "bad()\np = good | more\np()\n",
    ];
    let ran = Project::script(&script.concat()).run().expect(1);
    let json = ran.json();
    assert_eq!(json["state"], "failed");
    assert_eq!(json["results"][0]["value"], Value::Null);
    assert_eq!(json["results"][1]["value"], "fine");
    assert_eq!(json["failed"].as_array().map(Vec::len), Some(1), "one clear failure: {json}");
    ran
}

/// Checks that a script is refused before anything runs: nothing on stdout, and all of `parts` on stderr.
#[track_caller]
fn refused(files: &[(&str, &str)], parts: &[&str]) {
    let ran = Project::new(files).bue(&["run", "x.bue", "--json"]).expect(1);
    assert_eq!(ran.stdout, "");
    ran.says(parts);
}

#[test]
fn an_unknown_name_is_refused_with_its_place() {
    refused(&[("x.bue", "a()\n")], &["x.bue:1:1", "`a`"]);
}

#[test]
fn all_that_is_missing_is_said_at_once() {
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
fn a_script_that_is_not_there_is_said() {
    let ran = Project::new(&[]).bue(&["run", "no.bue"]).expect(1);
    ran.says(&["no.bue"]);
}

#[test]
fn what_is_no_text_is_said() {
    let project = Project::new(&[]);
    std::fs::write(project.path("x.bue"), [0xff, 0xfe, 0x00]).expect("a file");
    project.bue(&["run", "x.bue"]).expect(1).says(&["x.bue", "UTF-8"]);
    std::fs::create_dir(project.path("folder.bue")).expect("a folder");
    project.bue(&["run", "folder.bue"]).expect(1).says(&["folder.bue"]);
}

#[test]
fn a_language_that_cannot_run_yet_is_refused() {
    let script = "a:\n    rust\n    a\n    a.rs\na()\n";
    refused(&[("x.bue", script), ("a.rs", "")], &["rust", "`a`"]);
}

#[test]
fn a_value_that_cannot_travel_is_named_by_its_path() {
    let code = "def bad():\n    return [1, 2, 3, {'cb': lambda: 1}]";
    bad_beside_good("", code).says(&["result[3].cb is a function"]);
}

#[test]
fn a_map_where_rows_are_needed_says_what_to_return() {
    let map = [
        step("one", "def one():\n    return {'config': 1, 'table_data': [{'sales': 1}]}"),
        "sql:\n    sqlite3\n    t\n    `SELECT sales FROM t`\np = one | sql\np()\n".to_owned(),
    ];
    Project::script(&map.concat()).run().expect(1).says(&["step `sql`", "sales", "config", "table_data", "list"]);
    let number = [
        step("one", "def one():\n    return 7"),
        "sql:\n    sqlite3\n    t\n    `SELECT * FROM t`\np = one | sql\np()\n".to_owned(),
    ];
    Project::script(&number.concat()).run().expect(1).says(&["step `sql`", "rows"]);
}

#[test]
fn a_loop_over_something_else_than_a_list_says_so() {
    let script = [
        step("number", "def number():\n    return 7"),
        step("f", "def f(x):\n    return x"),
        "for x in number():\n    f(x)\n".to_owned(),
    ];
    let ran = Project::script(&script.concat()).run().expect(1);
    ran.says(&["step `number`", "list", "for x in"]);
}

#[test]
fn an_endless_loop_ends_at_its_timeout() {
    let code = "def bad():\n    while True:\n        pass";
    bad_beside_good("!timeout 1\n", code).says(&["step `bad`", "1 s"]);
}

#[test]
fn a_gigabyte_of_memory_is_not_given() {
    bad_beside_good("", "def bad():\n    return len(bytearray(1 << 30))").says(&["step `bad`", "256 MiB"]);
    bad_beside_good("", "def bad():\n    x = []\n    while True:\n        x.append('y' * 1000000)").says(&["256 MiB"]);
}

#[test]
fn a_gigabyte_of_output_is_not_kept() {
    let ran = bad_beside_good("", "def bad():\n    for _ in range(1 << 14):\n        print('x' * (1 << 16))");
    ran.says(&["step `bad`", "64 MiB"]);
    let ran = bad_beside_good("", "def bad():\n    return ['y' * (1 << 20)] * 1024");
    ran.says(&["step `bad`", "limit", "return less"]);
}

#[test]
fn a_recursion_of_a_million_ends() {
    let code = "import sys\nsys.setrecursionlimit(10 ** 9)\ndef deep(n):\n    return n and deep(n - 1)\n\
                def bad():\n    return deep(1000000)";
    bad_beside_good("", code).says(&["step `bad`"]);
    bad_beside_good("", "def bad():\n    return bad()").says(&["step `bad`", "recursion"]);
}

#[test]
fn leaving_the_interpreter_is_a_failure_like_any_other() {
    bad_beside_good("", "import sys\ndef bad():\n    sys.exit(0)").says(&["step `bad`", "SystemExit"]);
    bad_beside_good("", "import os\ndef bad():\n    os._exit(0)").says(&["step `bad`"]);
    bad_beside_good("", "import os\ndef bad():\n    os.abort()").says(&["step `bad`"]);
}

#[test]
fn what_fails_on_import_fails_its_jobs_only() {
    let ran = bad_beside_good("", "raise RuntimeError('at import')\ndef bad():\n    pass");
    ran.says(&["step `bad`", "at import", "x.bue"]);
}

#[test]
fn an_answer_that_is_none_is_said() {
    let code = "from bue import Result, StepStatus\ndef bad():\n    return Result(status=StepStatus.queued)";
    bad_beside_good("", code).says(&["step `bad`", "queued"]);
}

#[test]
fn too_deep_a_value_is_said() {
    let code = "def bad():\n    x = []\n    for _ in range(1000):\n        x = [x]\n    return x";
    bad_beside_good("", code).says(&["step `bad`", "128"]);
}

#[test]
fn hostile_scripts_end_in_complaints() {
    prepare();
    for text in
        ["(".repeat(1_000_000), "a = ".to_owned() + &"b | ".repeat(100_000), "!timeout 9**9**9\n".into(), "`".into()]
    {
        let ran = Project::script(&text).bue(&["run", "x.bue"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr.chars().take(500).collect::<String>());
        assert!(!ran.stderr.is_empty());
    }
}
