//! Values, loops, pending, reset, tracebacks: scripts run with `bue run`.

use serde_json::{Value, json};

use crate::project::{Project, python, step};

/// Runs a script of inline steps and returns its values.
#[track_caller]
fn values(script: &str) -> Vec<Value> {
    Project::script(script).run().expect_code(0).values()
}

#[test]
fn json_is_one_entry_a_call_statement() {
    let script = [
        step("two", "def two():\n    return 2"),
        step("double", "def double(x):\n    return x * 2"),
        "four = two | double\nv = four()\ndouble(v)\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(0);
    let json = output.json();
    assert_eq!(json["state"], "completed");
    assert!(json["run"].as_str().is_some_and(|id| id.len() == 36));
    assert_eq!(json["failed"], json!([]));
    let lines: Vec<&Value> = json["results"].as_array().expect("a list").iter().map(|entry| &entry["line"]).collect();
    assert_eq!(lines, [&json!(16), &json!(17)]);
    assert_eq!(json["results"][0]["name"], "v");
    assert_eq!(json["results"][1]["name"], Value::Null);
    assert_eq!(output.values(), [json!(4), json!(8)]);
    assert_eq!(json.as_object().expect("an object").keys().collect::<Vec<_>>(), ["run", "state", "results", "failed"]);
}

#[test]
fn without_json_the_last_calls_are_printed() {
    let script = [step("one", "def one(*args):\n    return [1, *args]"), "a = one()\none(a)\none()\n".to_owned()];
    let project = Project::script(&script.concat());
    crate::project::prepare();
    let output = project.bue(&["run", "x.bue"]).expect_code(0);
    assert_eq!(output.stdout, "[1,[1]]\n[1]\n");
}

#[test]
fn values_of_every_kind_survive_three_steps() {
    let make = r#"
import datetime, decimal, uuid
def make():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    return {
        'uuid': uuid.UUID(int=7), 'decimal': decimal.Decimal('1.50'), 'bytes': b'\x00\xff', 'big': 2 ** 70,
        'date': datetime.date(2026, 9, 30), 'time': datetime.time(12, 30),
        'local': datetime.datetime(2026, 9, 30, 12, 30), 'zoned': datetime.datetime(2026, 9, 30, 12, 30, tzinfo=zone),
        'tuple': (1, (2,)), 'none': None, 'text': 'é\n', 'float': 1.5, 'negative': -(2 ** 63), 'true': True,
        'nested': [{'a': [b'x']}], 3: 'three',
    }"#;
    let same = "def same(value):\n    return value";
    let names = r#"
def names(value):
    kinds = {str(key): type(each).__name__ for key, each in value.items()}
    return [kinds, value['decimal'] + 1, value['big'] + 1, value['zoned'].utcoffset().total_seconds(), value]"#;
    let script =
        [step("make", make), step("same", same), step("names", names), "p = make | same | names\np()\n".to_owned()];
    let output = Project::script(&script.concat()).run().expect_code(0);
    let value = output.last();
    assert_eq!(
        value[0],
        json!({
            "uuid": "UUID", "decimal": "Decimal", "bytes": "bytes", "big": "int", "date": "date", "time": "time",
            "local": "datetime", "zoned": "datetime", "tuple": "tuple", "none": "NoneType", "text": "str",
            "float": "float", "negative": "int", "true": "bool", "nested": "list", "3": "str",
        })
    );
    assert_eq!(value[1], "2.50");
    assert!(output.stdout.contains(",1180591620717411303425,"), "{}", output.stdout);
    assert_eq!(value[3], 7200.0);
    let same = &value[4];
    assert_eq!(same["uuid"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(same["bytes"], "AP8=");
    assert_eq!(same["date"], "2026-09-30");
    assert_eq!(same["zoned"], "2026-09-30T12:30:00+02:00");
    assert_eq!(same["tuple"], json!([1, [2]]));
    assert_eq!(same["nested"], json!([{"a": ["eA=="]}]));
    assert_eq!(same["negative"], json!(i64::MIN));
}

#[test]
fn every_job_has_its_own_random_numbers() {
    let code = r#"
import os, random, secrets, uuid
seed = random.random()
def draw(number):
    return [random.random(), uuid.uuid4().hex, secrets.token_hex(8), os.urandom(8).hex(), hash('x')]"#;
    let script = [
        step("draw", code),
        step("many", "def many():\n    return list(range(12))"),
        "for n in many():\n    draw(n)\n".to_owned(),
    ];
    let rounds = Project::script(&script.concat()).run().expect_code(0).last();
    let rounds = rounds.as_array().expect("rounds");
    assert_eq!(rounds.len(), 12);
    for kind in 0..4 {
        let mut drawn: Vec<String> = rounds.iter().map(|round| round[kind].to_string()).collect();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), 12, "two jobs drew the same number of kind {kind}");
    }
}

#[test]
fn a_pending_step_is_asked_again_with_the_same_inputs() {
    let wait = r"
import time
from buelon.core.step import Result, StepStatus
def wait(until):
    if time.time() < until:
        return Result(status=StepStatus.pending, delay=0.05)
    return until";
    let script = [
        step("start", "import time\ndef start():\n    return time.time() + 0.3"),
        step("wait", wait),
        "p = start | wait\np()\n".to_owned(),
    ];
    assert!(values(&script.concat())[0].is_f64());
}

/// Each round returns `reset` with a probability of one half: that none of forty does has a probability of one in 10^12.
#[test]
fn a_reset_starts_its_call_again_from_the_first_step() {
    let second = r"
import random
from bue import Result, StepStatus
def second(pair):
    if random.random() < 0.5:
        return Result(status=StepStatus.reset, delay=0.01)
    return pair";
    let script = [
        step("numbers", "def numbers():\n    return list(range(40))"),
        step("first", "import time\ndef first(number):\n    return [number, time.time()]"),
        step("second", second),
        step("last", "def last(pair):\n    return pair[0]"),
        "p = first | second | last\nfor n in numbers():\n    p(n)\n".to_owned(),
    ];
    assert_eq!(values(&script.concat())[1], json!((0..40).collect::<Vec<_>>()));
}

#[test]
fn a_generator_feeds_a_loop_and_async_steps_are_awaited() {
    let script = [
        step("numbers", "def numbers():\n    for n in range(3):\n        yield {'n': n}"),
        step("later", "import asyncio\nasync def later(x):\n    await asyncio.sleep(0.01)\n    return x['n'] * 10"),
        "for n in numbers():\n    later(n)\n".to_owned(),
    ];
    assert_eq!(values(&script.concat())[1], json!([0, 10, 20]));
}

#[test]
fn nested_loops_nest_their_results() {
    let script = [
        step("outer", "def outer():\n    return [0, 1, 2]"),
        step("inner", "def inner(n):\n    return list(range(n))"),
        step("pair", "def pair(a, b):\n    return [a, b]"),
        "for a in outer():\n    for b in inner(a):\n        pair(a, b)\n".to_owned(),
    ];
    assert_eq!(
        values(&script.concat()),
        [json!([0, 1, 2]), json!([[], [0], [0, 1]]), json!([[], [[1, 0]], [[2, 0], [2, 1]]])]
    );
}

#[test]
fn a_loop_over_nothing_runs_nothing() {
    let script = [
        step("none", "def none():\n    return []"),
        step("f", "def f(x):\n    return x"),
        "for x in none():\n    f(x)\n".into(),
    ];
    assert_eq!(values(&script.concat()), [json!([]), json!([])]);
}

#[test]
fn a_script_without_calls_completes_at_once() {
    let output = Project::script("# nothing yet\n").run().expect_code(0);
    assert_eq!(output.json()["state"], "completed");
    assert_eq!(output.values(), [] as [Value; 0]);
}

#[test]
fn all_parents_come_before_a_child() {
    let script = [
        step("slow", "import time\ndef slow():\n    time.sleep(0.3)\n    return 'slow'"),
        step("quick", "def quick():\n    return 'quick'"),
        step("both", "def both(*args):\n    return list(args)"),
        "s = slow()\nq = quick()\nboth(q, s, q)\n".to_owned(),
    ];
    assert_eq!(values(&script.concat())[2], json!(["quick", "slow", "quick"]));
}

#[test]
fn neighbours_are_imported_and_files_keep_their_names() {
    let project = Project::new(&[
        ("x.bue", "import python (run) steps/main.py\nrun()\n"),
        (
            "steps/main.py",
            "import near\nfrom pkg.deep import word\n\ndef run():\n    return [near.WORD, word(), __name__]\n",
        ),
        ("steps/near.py", "WORD = 'near'\n"),
        ("pkg/__init__.py", ""),
        ("pkg/deep.py", "from . import base\ndef word():\n    return base.WORD\n"),
        ("pkg/base.py", "WORD = 'deep'\n"),
    ]);
    let value = project.run().expect_code(0).last();
    assert_eq!(value[0], "near");
    assert_eq!(value[1], "deep");
}

#[test]
fn keyword_arguments_reach_functions_of_every_kind() {
    let script = r#"
!with size=64, mode="fast", deep={"x": [1, null, -2.5]}, big=123456789012345678901234567890
import python (plain, later, rows, job, Class.method as method, any !with x=true) steps.py
plain(1)
later(1)
for row in rows():
    row_of(row)
job(1)
method(1)
any(1)
import python (row_of !with none=null) steps.py
"#;
    let code = r#"
def plain(first, size, mode="slow", *, deep, big):
    return [first, size, mode, deep, str(big)]

async def later(first, **options):
    return [first, sorted(options)]

def rows(size, mode, deep, big):
    yield from [size, mode]

def row_of(row, none):
    return [row, none]

def job(first, mut, size, mode, deep, big):
    return [first, type(mut).__name__, size]

class Class:
    @staticmethod
    def method(first, size, mode, deep, big):
        return mode

def any(*args, **kwargs):
    return [args, kwargs]
"#;
    let values = Project::new(&[("x.bue", script), ("steps.py", code)]).run().expect_code(0).values();
    let deep = json!({ "x": [1, null, -2.5] });
    assert_eq!(values[0], json!([1, 64, "fast", deep, "123456789012345678901234567890"]));
    assert_eq!(values[1], json!([1, ["big", "deep", "mode", "size"]]));
    assert_eq!(values[2..4], [json!([64, "fast"]), json!([[64, null], ["fast", null]])]);
    assert_eq!(values[4..], [json!([1, "dict", 64]), json!("fast"), json!([[1], { "x": true }])]);
}

#[test]
fn a_step_gives_up_after_its_hand_backs() {
    let script = [
        "!max_handbacks 2\n!every 10ms\n".to_owned(),
        step("wait", "from bue import Result, StepStatus\ndef wait():\n    return Result(status=StepStatus.pending)"),
        "wait()\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(1);
    output.expect_stderr(&["step `wait`", "gave up after 2 hand-backs", "!max_handbacks 0"]);
}

#[test]
fn a_job_that_starts_too_late_fails_and_does_not_run() {
    let script = [
        step("slow", "import time\ndef slow():\n    time.sleep(0.2)"),
        "!expires 100ms\n!retries 3\n".to_owned(),
        step("late", "def late(x):\n    print('it runs')"),
        "p = slow | late\np()\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(1);
    output.expect_stderr(&["step `late`", "had not started 100 ms after its run was created", "!expires"]);
    assert!(!output.stderr.contains("it runs"), "{}", output.stderr);
}

#[test]
fn no_more_jobs_run_at_once_than_a_limit_allows() {
    let script = r"
import python (numbers, work !at_most 2) steps.py
for n in numbers():
    work(n)
";
    let code = r"
import time

def numbers():
    return list(range(6))

def work(n):
    start = time.time()
    time.sleep(0.1)
    return [start, time.time()]
";
    let output = Project::new(&[("x.bue", script), ("steps.py", code)]).run().expect_code(0);
    let spans = output.last();
    let spans: Vec<(f64, f64)> = serde_json::from_value(spans).expect("spans");
    for (start, _) in &spans {
        let running = spans.iter().filter(|(other, end)| other <= start && start < end).count();
        assert!(running <= 2, "{running} jobs run at {start}: {spans:?}");
    }
    assert_eq!(spans.len(), 6);
}

#[test]
fn a_traceback_names_the_users_file_and_line() {
    let project = Project::new(&[
        ("x.bue", "import python (fail) steps.py\nfail()\n"),
        ("steps.py", "import helper\n\ndef fail():\n    return helper.divide(1)\n"),
        ("helper.py", "def divide(x):\n    return x / 0\n"),
    ]);
    let output = project.run().expect_code(1);
    output.expect_stderr(&["steps.py", "line 4", "in fail", "helper.py", "line 2", "in divide", "ZeroDivisionError"]);
    assert_eq!(output.json()["state"], "failed");
}

#[test]
fn a_traceback_of_inline_code_names_the_scripts_line() {
    let script =
        "# one\n# two\nfail:\n    python\n    fail\n    `\ndef fail():\n    raise KeyError('gone')\n`\nfail()\n";
    let output = Project::script(script).run().expect_code(1);
    output.expect_stderr(&["x.bue", "line 8", "KeyError", "gone"]);
}

#[test]
fn a_failed_job_is_printed_with_its_last_log_lines_and_what_it_blocks() {
    let script = [
        step("bad", "def bad():\n    print('about to fail')\n    raise ValueError('no such account')"),
        step("good", "def good():\n    return 'fine'"),
        step("after", "def after(x):\n    return x"),
        "p = bad | after\np()\ng = good()\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(1);
    output.expect_stderr(&["step `bad`", "ValueError: no such account", "about to fail"]);
    output.expect_stderr(&["blocked by failed jobs, never started: after (1 job): job 2 (because of job 1)"]);
    let json = output.json();
    assert_eq!(json["state"], "failed");
    assert_eq!(json["results"][0]["value"], Value::Null);
    assert_eq!(json["results"][1]["value"], "fine");
    assert_eq!(json["failed"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["failed"][0]["step"], "bad");
    assert_eq!(json["failed"][0]["attempts"], 1);
    assert!(json["failed"][0]["job"].is_u64());
    assert!(json["failed"][0]["error"].as_str().expect("a text").contains("no such account"));
}

#[test]
fn of_forty_rounds_the_twenty_that_failed_are_named() {
    let script = [
        step("ids", "def ids():\n    return [{'id': n, 'name': 'x' * 500} for n in range(1, 41)]"),
        step("work", "def work(account, *, why='no'):\n    if account['id'] % 2:\n        raise ValueError('bad id')"),
        "for account in ids():\n    work(account)\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(1);
    output.expect_stderr(&[
        "failed: 20 x ValueError: bad id  (rounds 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, …)",
        "step `work`, called in line",
        "work(account={'id': 1, …}), round 1 of 40, job ",
        "work(account={'id': 3, …}), round 3 of 40, job ",
        "… and 17 more jobs",
    ]);
    assert_eq!(output.stderr.matches("Traceback").count(), 1, "{}", output.stderr);
    let failed = output.json()["failed"].as_array().expect("a list").clone();
    assert_eq!(failed.len(), 20);
    let rounds: Vec<&Value> = failed.iter().map(|job| &job["rounds"][0]["round"]).collect();
    assert_eq!(rounds, (1..=40).step_by(2).map(|round| json!(round)).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    assert_eq!(failed[3]["rounds"][0]["rounds"], 40);
    assert_eq!(failed[3]["rounds"][0]["variable"], "account");
    assert_eq!(failed[3]["arguments"], json!([{ "name": "account", "value": "{'id': 7, …}" }]));
    assert!(failed[3]["line"].as_u64() > failed[3]["rounds"][0]["line"].as_u64(), "{}", failed[3]);
}

#[test]
fn the_rounds_that_never_started_are_named_with_the_job_that_blocks_them() {
    let script = [
        step("numbers", "def numbers():\n    return range(20)"),
        step("work", "def work(n):\n    if n % 2:\n        raise ValueError('odd')\n    return n"),
        step("store", "def store(n):\n    return n"),
        step("sum_up", "def sum_up(ns):\n    return sum(ns)"),
        "p = work | store\nr = [p(n) for n in numbers()]\nsum_up(r)\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(1);
    let line = |step: &str| {
        let start = format!("blocked by failed jobs, never started: {step} (");
        output.stderr.lines().find_map(|line| line.strip_prefix(&start)).expect("a line").to_owned()
    };
    let rounds = line("store");
    let (rounds, more) = rounds.split_at(rounds.rfind(", …").expect("more"));
    assert!(rounds.starts_with("10 jobs): round 2 (job ") && more == ", …", "{}", output.stderr);
    let failed = output.json()["failed"].as_array().expect("a list").clone();
    for (position, number) in (2..=10).step_by(2).enumerate() {
        let job = failed[position]["job"].as_u64().expect("a number");
        let expected = format!("round {number} (job {}, because of job {job})", job + 1);
        assert!(rounds.contains(&expected), "{expected} is not in {rounds}");
    }
    assert!(line("sum_up").starts_with("1 job): job "), "{}", output.stderr);
}

#[test]
fn an_error_is_retried_as_often_as_the_script_says() {
    let script = format!("!retries 1\n{}", python("bad", "def bad():\n    raise ValueError('again')", "bad()"));
    let output = Project::script(&script).run().expect_code(1);
    assert_eq!(output.json()["failed"][0]["attempts"], 2);
}

#[test]
fn a_cancelled_round_gives_null_and_the_others_go_on() {
    let code = r"
from buelon.core.step import Result, StepStatus
def odd(n):
    return Result(status=StepStatus.cancel) if n % 2 == 0 else n";
    let script = [
        step("numbers", "def numbers():\n    return [1, 2, 3]"),
        step("odd", code),
        step("next", "def next(n):\n    return n + 1"),
        "p = odd | next\nfor n in numbers():\n    p(n)\n".to_owned(),
    ];
    let output = Project::script(&script.concat()).run().expect_code(0);
    assert_eq!(output.json()["state"], "completed");
    assert_eq!(output.last(), json!([2, null, 4]));
}

#[test]
fn rows_go_into_sql_and_come_out_again() {
    let script = [
        step("rows", "def rows():\n    return [{'a': 1, 'b': b'x'}, {'a': 2, 'c': None}]"),
        "sql:\n    sqlite3\n    t\n    `SELECT a * 10 AS ten, typeof(b) AS kind, '{{scope}}' AS scope FROM t ORDER BY a`\n".into(),
        "p = rows | sql\np()\n".to_owned(),
    ];
    let expected =
        json!([{"ten": 10, "kind": "blob", "scope": "default"}, {"ten": 20, "kind": "null", "scope": "default"}]);
    assert_eq!(values(&script.concat())[0], expected);
}

#[test]
fn a_large_value_goes_through_the_bucket() {
    let script = [
        step("make", "def make():\n    return 'x' * 3_000_000"),
        step("measure", "def measure(text):\n    return len(text)"),
        "p = make | measure\nbig = make()\np()\n".to_owned(),
    ];
    let values = values(&script.concat());
    assert_eq!(values[0].as_str().map(str::len), Some(3_000_000));
    assert_eq!(values[1], 3_000_000);
}

#[test]
fn a_loop_of_two_thousand_rounds_prints_all_of_them() {
    let script = [
        step("many", "def many():\n    return range(2000)"),
        step("f", "def f(n):\n    return n"),
        "for n in many():\n    f(n)\n".to_owned(),
    ];
    assert_eq!(values(&script.concat())[1], json!((0..2000).collect::<Vec<_>>()));
}

#[test]
fn data_keeps_the_state_in_a_folder() {
    crate::project::prepare();
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    project.bue_writes(&["run", "x.bue", "--data", "kept"]).expect_code(0);
    let files: Vec<String> = project.files().iter().map(|path| path.display().to_string()).collect();
    assert!(files.iter().any(|path| path.contains("kept/hub.db")), "{files:?}");
}

#[test]
fn a_rate_by_a_field_counts_each_of_its_values_apart() {
    // a second start for any account would keep the run open for an hour
    let script = [
        step("accounts", "def accounts():\n    return [{'account': name, 'at': at} for at, name in enumerate('abcd')]"),
        format!("!rate 1/1h by account\n{}", step("fetch", "def fetch(x):\n    return x['account'] + str(x['at'])")),
        "for account in accounts():\n    fetch(account)\n".to_owned(),
    ];
    assert_eq!(values(&script.concat())[1], json!(["a0", "b1", "c2", "d3"]));
}

#[test]
fn a_rate_by_a_field_holds_back_the_second_start_of_a_value() {
    let pages = "import time\ndef pages():\n    return [{'host': 'x', 'since': time.time()} for page in range(3)]";
    let script = [
        step("pages", pages),
        format!(
            "!rate 1/1s by host\n{}",
            step("fetch", "import time\ndef fetch(page):\n    return time.time() - page['since']")
        ),
        "for page in pages():\n    fetch(page)\n".to_owned(),
    ];
    let waited = values(&script.concat()).remove(1);
    let longest = waited.as_array().expect("rounds").iter().filter_map(Value::as_f64).fold(0.0, f64::max);
    assert!(longest >= 2.0, "the third start comes two seconds after the first: {waited}");
}
