//! Steps that run as one job, and loops over merged, zipped, flattened and chunked lists, with real services and real steps.

use serde_json::{Value, json};

use crate::project::Project;
use crate::verbs::Services;

/// A script with its file of steps.
fn project(script: &str, steps: &str) -> Project {
    let project = Project::script(script);
    project.write("steps.py", steps);
    project
}

#[track_caller]
fn last(script: &str, steps: &str) -> Value {
    project(script, steps).run().expect_code(0).last()
}

/// Runs a script that fails, and returns the message and the traceback of its first failed job.
#[track_caller]
fn failure(script: &str, steps: &str) -> String {
    failure_of(&project(script, steps))
}

#[track_caller]
fn failure_of(project: &Project) -> String {
    crate::project::prepare();
    project.bue(&["run", "x.bue"]).expect_code(1).stderr
}

const CHAIN: &str = r#"
from bue.streams import chunk, each, flatten, identity, skip

def request():
    return [["1", "2"], [], ["x", "3"]]

def read(pages, first=0):
    yield str(first)
    for page in pages:
        yield from page

@each
def parse(text):
    if not text.isdigit():
        skip()
    return int(text)

chunk2 = chunk(2)

def load(batches):
    return batches
"#;

#[test]
fn steps_in_brackets_are_one_job_over_the_elements() {
    let head = "import python (request, read !with first=9, parse, chunk2, flatten, identity, load) steps.py\n";
    let script = |pipe: &str| format!("{head}p = {pipe}\np()\n");
    assert_eq!(last(&script("request | [read | parse | chunk2] | load"), CHAIN), json!([[9, 1], [2, 3]]));
    assert_eq!(last(&script("request | [flatten | parse]"), CHAIN), json!([1, 2, 3]));
    assert_eq!(last(&script("request | [identity]"), CHAIN), json!([["1", "2"], [], ["x", "3"]]));
    let over = format!("{head}p = request | [read | parse]\nall = [load(x) for x in p()]\nload(all)\n");
    assert_eq!(last(&over, CHAIN), json!([9, 1, 2, 3]), "a loop runs over what the last stage yields");
}

#[test]
fn a_fused_job_has_its_name_and_logs_the_elements_of_each_stage() {
    let services = Services::new(
        "import python (request, read, parse, chunk2, load) steps.py\np = request | [read | parse | chunk2] | load\np()\n",
    );
    services.project.write("steps.py", CHAIN);
    let run = services.upload();
    let _worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(0);
    let jobs = services.bue(&["status", &run, "--jobs", "--json"]).expect_code(0).json();
    let names: Vec<&str> =
        jobs["jobs"].as_array().expect("jobs").iter().filter_map(|job| job["step"].as_str()).collect();
    assert_eq!(names, ["request", "read|parse|chunk2", "load"]);
    let job = jobs["jobs"][1]["id"].to_string();
    let log = services.bue(&["logs", &job]).expect_code(0).stdout;
    assert!(log.contains("elements: read 5, parse 4, chunk2 2"), "{log}");
    let plan = services.bue(&["plan", "x.bue"]).expect_code(0).stdout;
    assert!(plan.contains("one job of read, parse, chunk2"), "{plan}");
    let task = services.bue(&["run-job", &job]).expect_code(0);
    assert!(task.stdout.contains("[[0,1],[2,3]]"), "{}", task.stdout);
}

#[test]
fn stages_pull_one_element_at_a_time_and_may_stop_early() {
    let steps = r#"
import itertools

events = []

def source():
    try:
        for number in itertools.count():
            events.append(f"source {number}")
            yield number
    finally:
        events.append("closed")

def double(numbers):
    for number in numbers:
        events.append(f"double {number}")
        yield 2 * number

def three(numbers):
    yield from itertools.islice(numbers, 2)
    events.append("enough")
    yield events
"#;
    let script = "import python (source, double, three) steps.py\np = [source | double | three]\np()\n";
    let expected = json!([0, 2, ["source 0", "double 0", "source 1", "double 1", "enough"]]);
    assert_eq!(last(script, steps), expected);
}

#[test]
fn the_first_stage_gets_further_arguments_as_they_are() {
    let steps = r#"
def rows():
    yield from ({"id": number, "text": "x" * 1000} for number in range(2000))

def settings():
    return {"keep": 1999}

def keep(rows, settings, *, field="id"):
    assert iter(rows) is rows
    for row in rows:
        if row[field] >= settings["keep"]:
            yield row[field]

def negative(numbers):
    return (-number for number in numbers)
"#;
    let script =
        "import python (rows, settings, keep, negative) steps.py\np = [keep | negative]\np(rows(), settings())\n";
    assert_eq!(last(script, steps), json!([-1999]));
}

#[test]
fn code_in_the_script_and_neighbours_are_stages() {
    let script = "import python (one, two) `
from helper import add
def one():
    yield from [1, 2]
def two(numbers):
    for number in numbers:
        yield add(number)
`
three:
    python
    three
    `
def three(numbers):
    for number in numbers:
        if number > 11:
            raise ValueError('too large')
        yield number
`
p = [one | two | three]
p()
";
    let project = Project::script(script);
    project.write("helper.py", "def add(number):\n    return number + 10\n");
    let trace = failure_of(&project);
    for text in [
        "ValueError: too large",
        "x.bue\", line 16, in three",
        "raise ValueError('too large')",
        "one 2, two 2, three 1",
    ] {
        assert!(trace.contains(text), "{text}: {trace}");
    }
}

#[test]
fn async_generators_are_stages() {
    let steps = r#"
import asyncio

async def source():
    for number in range(3):
        await asyncio.sleep(0)
        yield number

async def double(numbers):
    async for number in numbers:
        yield 2 * number

def add(numbers):
    for number in numbers:
        yield number + 1

async def negative(numbers):
    for number in numbers:
        await asyncio.sleep(0)
        yield -number
"#;
    let head = "import python (source, double, add, negative) steps.py\n";
    for (pipe, expected) in [
        ("[source | double | add]", json!([1, 3, 5])),
        ("source | [double | add]", json!([1, 3, 5])),
        ("source | [add | negative]", json!([-1, -2, -3])),
        ("source | [negative]", json!([0, -1, -2])),
    ] {
        assert_eq!(last(&format!("{head}p = {pipe}\np()\n"), steps), expected, "{pipe}");
    }
}

#[test]
fn answers_of_stages_are_those_of_the_job() {
    let steps = r#"
from bue import Result, StepStatus

def source():
    yield 1
    return Result(status=StepStatus.cancel)

def same(numbers):
    yield from numbers

def ended(numbers):
    yield from numbers
    return Result(priority=3)

def wrong(numbers):
    yield from numbers
    return 7
"#;
    let script = |pipe: &str| format!("import python (source, same, ended, wrong) steps.py\np = {pipe}\np([5])\n");
    assert_eq!(last(&script("[same | ended]"), steps), json!([5]));
    let failed = failure(&script("[wrong | same]"), steps);
    assert!(failed.contains("stage `wrong` returned an int after its elements"), "{failed}");
    let json = project("import python (source, same) steps.py\np = [source | same]\nr = p()\n", steps);
    let json = json.run().expect_code(0).json();
    assert_eq!(json["results"][0]["state"], "cancelled", "{json}");
}

#[test]
fn mistakes_of_stages_say_what_to_write() {
    let steps = r#"
def request():
    return {"a": 1}

def read(items):
    for item in items:
        yield item

def late(items):
    return 5

def nothing(items):
    for item in items:
        print(item)

def fail(items):
    for item in items:
        yield 1 // item
"#;
    let script = |pipe: &str, call: &str| {
        format!("import python (request, read, late, nothing, fail) steps.py\np = {pipe}\n{call}\n")
    };
    for (pipe, call, expected) in [
        ("request | [read]", "p()", &["`[read]` iterates over its first input, which is a map"][..]),
        ("[read | late]", "p([1])", &["stage `late` returned an int, and not an iterator: `yield`"]),
        ("[read | nothing]", "p([1])", &["stage `nothing` returned None, and not an iterator"]),
        ("[read | fail | read]", "p([1, 1, 0])", &["ZeroDivisionError", "read 3, fail 2, read 2"]),
    ] {
        let failure = failure(&script(pipe, call), steps);
        expected.iter().for_each(|text| assert!(failure.contains(text), "{pipe}: {text}: {failure}"));
    }
    let output = project(&script("[read | missing]", "p()"), steps).bue(&["check", "x.bue"]).expect_code(1);
    output.expect_stderr(&["E0030", "missing"]);
    let output = project(&script("[read | request]", "p([1])"), steps).bue(&["check", "x.bue"]).expect_code(1);
    output.expect_stderr(&["E0053", "step `request` gets 1 input but takes none"]);
}

/// A stage that fails once is retried with all others, from the first element on.
#[test]
fn a_fused_job_is_retried_as_a_whole() {
    let steps = r#"
from bue import bucket

def source():
    yield from [1, 2, 3]

def fail_once(numbers):
    for number in numbers:
        if number == 3 and bucket.get("streams/tried", None) is None:
            bucket.set("streams/tried", "yes")
            raise OSError("not yet")
        yield number
"#;
    let script = "!retries 1 after 1ms\nimport python (source, fail_once !allow bucket streams/*) steps.py\np = [source | fail_once]\np()\n";
    assert_eq!(last(script, steps), json!([1, 2, 3]));
}

#[test]
fn a_single_stage_runs_by_its_jobs_name() {
    let project = project("import python (source, same) steps.py\np = [source | same]\np()\n", CHAIN_OF_TWO);
    let output = project.bue(&["try", "x.bue", "source|same"]).expect_code(0);
    assert_eq!(output.stdout.trim(), "[1,2]");
    let output = project.bue(&["try", "x.bue", "same", "--input", "[5]"]).expect_code(0);
    assert_eq!(output.stdout.trim(), "[5]", "a stage is a step");
}

const CHAIN_OF_TWO: &str = "
def source():
    yield from [1, 2]

def same(items):
    yield from items
";

const LISTS: &str = r#"
def small():
    return [1, 2, 3]

def large():
    yield from ({"id": number, "text": "x" * 500} for number in range(1000))

def two():
    return ["a", "b"]

def letters():
    yield from "abc"

def none():
    return []

def pages():
    return [[1, 2], [], [3]]

def longer():
    yield from ([number, number] for number in range(500))

def ids(rows):
    return [row["id"] if isinstance(row, dict) else row for row in rows]

def same(x):
    return x

def pair(x, y):
    return [y, x]
"#;

const IMPORT: &str = "import python (small, large, two, letters, none, pages, longer, ids, same, pair) steps.py\n";

#[test]
fn a_loop_runs_over_several_lists() {
    let gathered = |source: &str| last(&format!("{IMPORT}all = [same(x) for x in {source}]\nids(all)\n"), LISTS);
    assert_eq!(gathered("small() + two()"), json!([1, 2, 3, "a", "b"]));
    assert_eq!(gathered("none() + none()"), json!([]));
    assert_eq!(gathered("none() + two() + none() + small()"), json!(["a", "b", 1, 2, 3]));
    assert_eq!(gathered("flatten(pages())"), json!([1, 2, 3]));
    assert_eq!(gathered("flatten(pages()) + two()"), json!([1, 2, 3, "a", "b"]));
    let Value::Array(merged) = gathered("large() + small() + large()") else { panic!("a list") };
    assert_eq!(merged.len(), 2003);
    assert_eq!(
        (&merged[999], &merged[1000], &merged[1003], &merged[2002]),
        (&json!(999), &json!(1), &json!(0), &json!(999))
    );
}

#[test]
fn a_loop_runs_over_pairs() {
    let gathered = |head: &str, call: &str| last(&format!("{IMPORT}all = [{call} for {head}]\nids(all)\n"), LISTS);
    let expected = json!([["a", 1], ["b", 2], ["c", 3]]);
    assert_eq!(gathered("x, y in zip(small(), letters())", "pair(x, y)"), expected);
    assert_eq!(gathered("p in zip(letters(), small())", "same(p)"), expected);
    assert_eq!(gathered("x, y in zip(none(), none())", "pair(x, y)"), json!([]));
    let expected = json!([["a", 1], ["b", 2], [null, 3]]);
    assert_eq!(gathered("x, y in zip longest(small(), two())", "pair(x, y)"), expected);
    let Value::Array(zipped) = gathered("x, y, z in zip(large(), flatten(longer()), large())", "pair(x, y)") else {
        panic!("a list")
    };
    assert_eq!(zipped.len(), 1000);
}

#[test]
fn lists_that_do_not_fit_together_fail_with_what_they_are() {
    let script = |source: &str| format!("{IMPORT}for x in {source}:\n    same(x)\n");
    for (source, expected) in [
        (
            "zip(small(), two())",
            &["`zip(small, two)` got lists of different lengths: 3 and 2 elements", "zip longest(small, two)"][..],
        ),
        ("zip(small(), two(), none())", &["3 and 2 and 0 elements"]),
        ("flatten(small())", &["`flatten(small)` needs a list of lists, and element 0 is an int"]),
    ] {
        let failure = failure(&script(source), LISTS);
        expected.iter().for_each(|text| assert!(failure.contains(text), "{source}: {text}: {failure}"));
    }
    let failure = failure(&script("zip(small(), same(1))"), LISTS);
    assert!(failure.contains("`zip(small, same) (line 2)` needs a list; `same` returned an int: 1"), "{failure}");
}

#[test]
fn a_loop_runs_over_chunks() {
    let gathered = |source: &str| last(&format!("{IMPORT}all = [same(b) for b in {source}]\nids(all)\n"), LISTS);
    assert_eq!(gathered("small() !chunk 2"), json!([[1, 2], [3]]));
    assert_eq!(gathered("small() !chunk 3"), json!([[1, 2, 3]]));
    assert_eq!(gathered("small() !chunk 1000000"), json!([[1, 2, 3]]));
    assert_eq!(gathered("none() !chunk 3"), json!([]));
    assert_eq!(gathered("small() + two() !chunk 4"), json!([[1, 2, 3, "a"], ["b"]]));
    let script = format!("{IMPORT}all = [ids(b) for b in large() + large() !chunk 300]\nsame(all)\n");
    let Value::Array(batches) = last(&script, LISTS) else { panic!("a list") };
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.as_array().expect("a list").len()).collect();
    assert_eq!(sizes, [300, 300, 300, 300, 300, 300, 200]);
    assert_eq!((&batches[3][99], &batches[3][100]), (&json!(999), &json!(0)));
}

/// A pair whose parts are in blobs, and arguments by field.
#[test]
fn parts_of_pairs_count_for_limits_by_field() {
    let script = format!(
        "{IMPORT}import python (region !at_most 1 by id) steps.py\nall = [region(x, y) for x, y in zip(large(), large())]\nids(all)\n"
    );
    let steps = format!("{LISTS}\ndef region(x, y):\n    assert x == y\n    return x['id']\n");
    let Value::Array(ids) = last(&script, &steps) else { panic!("a list") };
    assert_eq!(ids, (0..1000).map(|id| json!(id)).collect::<Vec<_>>());
}
