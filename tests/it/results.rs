//! What `bue run` and `bue result` print: results on stdout, what has none on stderr, the state of each call with `--json`.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::{CommandOutput, Project, prepare, python, step};
use crate::services::{Server, client};

/// A script in which calls fail, are cancelled and skipped; the numbers of its call statements' lines are in the messages.
fn mixed() -> String {
    let code = r"
from bue import Result, StepStatus

def check(n):
    if n == 1:
        raise ValueError('bad')
    return StepStatus.cancel if n == 2 else n";
    let steps = [
        step("numbers", "def numbers():\n    return range(4)"),
        step("check", code),
        step("none", "def none(*args):\n    return None"),
        step("bad", "def bad():\n    raise ValueError('bad')"),
        step("stop", "from bue import StepStatus\ndef stop():\n    return StepStatus.cancel"),
    ];
    let calls = "p = bad | none\nx = p()\nnone(x)\ny = stop()\nnone(y)\nnone()\nfor n in numbers():\n    check(n)\nfor n in none(x):\n    check(n)\n";
    format!("{}{calls}", steps.concat())
}

/// Returns the line of a script that contains a text, from 1.
fn line_of(script: &str, text: &str) -> usize {
    script.lines().position(|line| line.trim() == text).expect("the line") + 1
}

fn run(script: &str) -> CommandOutput {
    prepare();
    Project::script(script).bue(&["run", "x.bue"])
}

#[test]
fn what_has_no_result_is_told_on_stderr_and_not_printed() {
    let script = mixed();
    let output = run(&script).expect_code(1);
    assert_eq!(output.stdout, "null\n[0,null,null,3]\n");
    let line = |text: &str| format!("no result: line {}", line_of(&script, text));
    output.expect_stderr(&[
        &format!("{} (`x`): it failed\n", line("x = p()")),
        &format!("{}: skipped, because something before it failed\n", line("none(x)")),
        &format!("{} (`y`): it was cancelled\n", line("y = stop()")),
        &format!("{}: it was cancelled\n", line("none(y)")),
        &format!("{}: 2 of 4 rounds: 1 failed, 1 cancelled\n", line("check(n)")),
        &format!("{}: skipped, because something before it failed\n", line("for n in none(x):")),
    ]);
    assert!(!output.stderr.contains(&format!("{}:", line("none()"))), "{}", output.stderr);
}

#[test]
fn json_has_the_state_of_each_call() {
    let output = Project::script(&mixed()).run().expect_code(1);
    let entries = output.json()["results"].as_array().expect("a list").clone();
    let states: Vec<_> = entries.iter().map(|entry| entry["state"].as_str().expect("a state")).collect();
    assert_eq!(
        states,
        ["failed", "skipped", "cancelled", "cancelled", "completed", "completed", "failed", "skipped", "skipped"]
    );
    assert_eq!(entries[6]["rounds"], json!({"completed": 2, "failed": 1, "cancelled": 1, "skipped": 0}));
    let keys = |entry: &Value| entry.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&entries[4]), ["line", "name", "used", "value", "state"]);
    assert_eq!(keys(&entries[6]), ["line", "name", "used", "value", "state", "rounds"]);
    assert_eq!(entries[8]["value"], Value::Null, "a loop that never ran has no rounds");
}

#[test]
fn a_call_that_a_step_cancels_is_told_and_is_no_failure() {
    let script = python("stop", "from bue import StepStatus\ndef stop():\n    return StepStatus.cancel", "stop()");
    let output = run(&script).expect_code(0);
    assert_eq!(output.stdout, "");
    output.expect_stderr(&["no result: line ", ": it was cancelled\n"]);
    let json = Project::script(&script).run().expect_code(0).json();
    assert_eq!((&json["state"], &json["results"][0]["state"]), (&json!("completed"), &json!("cancelled")));
}

#[test]
fn no_value_is_printed_as_another_one() {
    let code =
        "def values():\n    return [float('nan'), float('inf'), -float('inf'), 2**70, 2**53 + 1, {1: 'a', '1': 'b'}]";
    let output = run(&python("values", code, "values()")).expect_code(0);
    let expected = r#"["NaN","Infinity","-Infinity",1180591620717411303424,9007199254740993,[[1,"a"],["1","b"]]]"#;
    assert_eq!(output.stdout, format!("{expected}\n"));
    let json = Project::script(&python("values", code, "values()")).run().expect_code(0);
    assert!(json.stdout.contains(&format!(r#""value":{expected},"state":"completed""#)), "{}", json.stdout);
}

#[test]
fn iterables_are_lists_for_loops_and_for_calls() {
    for iterable in ["range(2)", "map(int, '01')", "zip('ab', [1, 2])", "filter(None, [1, 2])", "{1: 2}.items()"] {
        let steps = [
            step("rows", &format!("def rows():\n    return {iterable}")),
            step("listed", &format!("def listed():\n    return list({iterable})")),
            step("same", "def same(x):\n    return x"),
        ];
        let script = format!("{}rows()\nlisted()\nfor x in rows():\n    same(x)\n", steps.concat());
        let values = Project::script(&script).run().expect_code(0).values();
        assert_eq!((&values[0], &values[3]), (&values[1], &values[1]), "{iterable}");
    }
}

/// A generator that answers `pending` after it has yielded starts no round of the loop over it.
#[test]
fn a_loop_sees_nothing_of_a_generator_that_answers_pending() {
    let code = r"
import time
from bue import Result, StepStatus
SINCE = time.time()

def numbers():
    yield from range(3)
    if int(time.time() * 2) % 4:
        return Result(status=StepStatus.pending, delay=0.1)";
    let steps = [step("numbers", code), step("same", "def same(x):\n    return x")];
    let script = format!("!for 1min\n{}for n in numbers():\n    same(n)\n", steps.concat());
    let values = Project::script(&script).run().expect_code(0).values();
    assert_eq!(values, [json!([0, 1, 2]), json!([0, 1, 2])]);
}

/// Scripts, and the exit code of each.
fn scripts() -> Vec<(String, i32)> {
    let value = |code: &str| python("value", &format!("def value():\n    return {code}"), "value()");
    let add = step("add", "def add(*numbers):\n    return sum(numbers)");
    let rows = step("rows", "def rows():\n    yield from range(100)");
    let few = step("few", "def few():\n    return range(3)");
    let talk = step("talk", "def talk():\n    print('said')\n    return 'x' * 100000");
    vec![
        (mixed(), 1),
        (value("{'a': [1, 2.5, None, True, 'é'], 'b': b'x'}"), 0),
        (value("float('nan')"), 0),
        (format!("{add}a = add()\nb = add(a, a)\nadd(b)\nadd()\n"), 0),
        (format!("{add}{few}for a in few():\n    x = add(a, a)\n    for b in few():\n        add(x, b)\n"), 0),
        (format!("{add}{rows}all = [add(row, row) for row in rows()]\ny = add(all)\n"), 1),
        (format!("{add}{rows}for row in rows():\n    add(row, row)\n"), 0),
        (format!("{talk}talk()\n"), 0),
        ("# nothing\n".to_owned(), 0),
    ]
}

/// Everything but what differs from run to run: their ids, the numbers of jobs, progress, and how much was printed.
fn comparable(output: &CommandOutput) -> (i32, String, Vec<String>) {
    let differs =
        |line: &&str| !line.starts_with("bue: ") && !line.trim_start().starts_with(|char: char| char.is_ascii_digit());
    let stderr = output.stderr.lines().filter(differs).map(without_numbers).collect();
    (output.code, output.stdout.clone(), stderr)
}

/// A line without the number of a job, and without times.
fn without_numbers(line: &str) -> String {
    let line = line.split(", job ").next().unwrap_or(line);
    line.split_whitespace().filter(|word| !word.ends_with('Z')).collect::<Vec<_>>().join(" ")
}

#[test]
fn run_upload_and_result_print_the_same() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let worker = Server::start(&folder, &["worker", "-b", &hub.address, "-k", &bucket.address, "-s", "default"]);
    let project = Project::new(&[("bue.toml", &client(&hub, &bucket))]);
    for (script, code) in scripts() {
        project.write("x.bue", &script);
        let local = project.bue(&["run", "x.bue"]).expect_code(code);
        let upload = project.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(code);
        assert_eq!(comparable(&upload), comparable(&local), "{script}");
        let run = upload.run_id();
        let result = project.bue(&["result", &run]).expect_code(code);
        assert_eq!(result.stdout, local.stdout, "{script}");
        let missing = |output: &CommandOutput| {
            output.stderr.lines().filter(|line| line.starts_with("no result: ")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(missing(&result), missing(&local), "{script}");

        let json = |arguments: &[&str]| {
            let mut json = project.bue(arguments).expect_code(code).json();
            json["run"] = Value::Null;
            json["failed"].as_array_mut().expect("a list").iter_mut().for_each(|failed| failed["job"] = Value::Null);
            json
        };
        let local = json(&["run", "x.bue", "--json"]);
        assert_eq!(json(&["upload", "-f", "x.bue", "--wait", "--json"]), local, "{script}");
        assert_eq!(json(&["result", &run, "--json"]), local, "{script}");
    }
    for server in [worker, hub, bucket] {
        server.stop();
    }
}
