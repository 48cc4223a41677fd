//! `bue try`: one step of a script, called once.

use serde_json::json;

use crate::project::{Project, prepare};

const SCRIPT: &str = "\
import python (add, explode, poll !every 1s..1h, chunks) steps.py

total:
    sqlite3
    sales
    `SELECT sum(amount) AS total FROM sales`

work = add | poll | total
work(1, 2)
";

const STEPS: &str = "\
from bue import Result, StepStatus

def add(a, b):
    print('adding')
    return a + b

def explode(value):
    raise ValueError(f'no {value}')

def poll(value):
    return Result(status=StepStatus.pending)

def chunks(value):
    yield value
    yield value + 1
";

#[test]
fn a_step_is_called_once_with_the_inputs() {
    prepare();
    let project =
        Project::new(&[("x.bue", SCRIPT), ("steps.py", STEPS), ("rows.json", "[{\"amount\": 2}, {\"amount\": 3}]")]);
    let sum = project.bue(&["try", "x.bue", "add", "--input", "20", "-i", "22.5"]).expect_code(0);
    assert_eq!(sum.json(), json!(42.5));
    sum.expect_stderr(&["adding", "step `add`: completed"]);
    let total = project.bue(&["try", "x.bue", "total", "--input", "@rows.json"]).expect_code(0);
    assert_eq!(total.json(), json!([{"total": 5}]));
    // it waits for nothing, and is not called again
    project.bue(&["try", "x.bue", "poll", "-i", "null"]).expect_code(0).expect_stderr(&["step `poll`: pending"]);
    // steps that no call uses
    let failed = project.bue(&["try", "x.bue", "explode", "-i", "\"dice\"", "--json"]).expect_code(1).json();
    assert_eq!(
        (&failed["step"], &failed["outcome"], &failed["value"]),
        (&json!("explode"), &json!("failed"), &json!(null))
    );
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("no dice")), "{failed}");
    assert!(failed["trace"].as_str().is_some_and(|trace| trace.contains("steps.py")), "{failed}");
    assert_eq!(project.bue(&["try", "x.bue", "chunks", "-i", "1"]).expect_code(0).json(), json!([1, 2]));
    // larger than a literal in a script may be
    project.write("long.json", &format!("\"{}\"", "x".repeat(1_000_000)));
    let long = project.bue(&["try", "x.bue", "add", "-i", "@long.json", "-i", "\"y\""]).expect_code(0).json();
    assert_eq!(long.as_str().map(str::len), Some(1_000_001));
}

#[test]
fn mistakes_are_explained() {
    let project = Project::new(&[("x.bue", SCRIPT), ("steps.py", STEPS)]);
    let unknown = project.bue(&["try", "x.bue", "ad"]).expect_code(1);
    unknown.expect_stderr(&["x.bue has no step `ad`", "`add`, `poll`, `total`"]);
    project.bue(&["try", "x.bue", "add", "-i", "{1}"]).expect_code(2).expect_stderr(&["`{1}` is not JSON", "--input"]);
    project.bue(&["try", "x.bue", "add", "-i", "@none.json"]).expect_code(2).expect_stderr(&["cannot read none.json"]);
    project.write("bad.bue", "a = \n");
    project.bue(&["try", "bad.bue", "a"]).expect_code(1).expect_stderr(&["bad.bue:1"]);
}
