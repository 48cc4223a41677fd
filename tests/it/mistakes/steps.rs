//! Mistakes that are found while steps run. Steps fail independently, so one script makes them all.

use super::mistake::expect_in_order;
use crate::project::{Project, prepare, step};

/// A step that fails.
struct BadStep {
    what: &'static str,
    /// The name of the step and its function.
    name: &'static str,
    code: &'static str,
    /// The statement that calls it.
    call: &'static str,
    /// Parts of the error, in this order.
    message: &'static [&'static str],
}

const STEPS: &[BadStep] = &[
    BadStep {
        what: "an exception",
        name: "raises",
        code: "def raises():\n    return 1 / 0",
        call: "raises()",
        message: &["ZeroDivisionError: division by zero", "File \"x.bue\", line ", "in raises", "return 1 / 0"],
    },
    BadStep {
        what: "a result of 80 MiB",
        name: "large",
        code: "def large():\n    return ['y' * (1 << 20)] * 80",
        call: "large()",
        message: &["the result is larger than", "the limit; return less, or yield it to a loop"],
    },
    BadStep {
        what: "a gigabyte of memory",
        name: "memory",
        code: "def memory():\n    return len(bytearray(1 << 30))",
        call: "memory()",
        message: &["memory limit of 256 MiB", "`yield`", "a worker with a higher limit", "in memory"],
    },
    BadStep {
        what: "a recursion without end",
        name: "deep",
        code: "def deep():\n    return deep()",
        call: "deep()",
        message: &["RecursionError: maximum recursion depth exceeded", "in deep", "more times]"],
    },
    BadStep {
        what: "sys.exit",
        name: "leaves",
        code: "import sys\ndef leaves():\n    sys.exit(0)",
        call: "leaves()",
        message: &["the step called sys.exit(0); return instead", "in leaves"],
    },
    BadStep {
        what: "a question to the user",
        name: "asks",
        code: "def asks():\n    return input('name? ')",
        call: "asks()",
        message: &["EOFError", "in asks", "input('name? ')"],
    },
    BadStep {
        what: "an object as a result",
        name: "object",
        code: "class C: pass\ndef object():\n    return {'x': [1, C()]}",
        call: "object()",
        message: &["result.x[1] is an instance of x_bue.C", "return vars(it), or a dict"],
    },
    BadStep {
        what: "a function as a result",
        name: "function",
        code: "def function():\n    return {'cb': print}",
        call: "function()",
        message: &["result.cb is a function, which cannot travel between steps", "call it, and return its result"],
    },
    BadStep {
        what: "a loop over a number",
        name: "number",
        code: "def number():\n    return 7",
        call: "for x in number():\n    use(x)",
        message: &["`for x in …", "needs a list; `number` returned an int: 7", "Return a list, or yield"],
    },
    BadStep {
        what: "a loop over a map",
        name: "keys",
        code: "def keys():\n    return {'a': 1}",
        call: "for x in keys():\n    use(x)",
        message: &["needs a list; `keys` returned a map: {'a': 1}"],
    },
    BadStep {
        what: "a loop over a text",
        name: "text",
        code: "def text():\n    return 'abc'",
        call: "for x in text():\n    use(x)",
        message: &["needs a list; `text` returned", "abc"],
    },
    BadStep {
        what: "a loop over nothing",
        name: "nothing",
        code: "def nothing():\n    pass",
        call: "for x in nothing():\n    use(x)",
        message: &["needs a list; `nothing` returned None"],
    },
    BadStep {
        what: "a host that the script does not allow",
        name: "elsewhere",
        code: "import urllib.request\ndef elsewhere():\n    urllib.request.urlopen('http://example.org')",
        call: "elsewhere()",
        message: &["the script does not allow example.org:80: write `!allow net example.org` above the step"],
    },
    BadStep {
        what: "a port on which no server listens",
        name: "closed",
        code: "import urllib.request\ndef closed():\n    urllib.request.urlopen('http://127.0.0.1:1')",
        call: "closed()",
        message: &["127.0.0.1:1", "in closed"],
    },
    BadStep {
        what: "a host that does not exist",
        name: "unknown",
        code: "import urllib.request\ndef unknown():\n    urllib.request.urlopen('http://nowhere.invalid')",
        call: "unknown()",
        message: &["nowhere.invalid has no address", "in unknown"],
    },
    BadStep {
        what: "a secret that the worker does not have",
        name: "missing",
        code: "import bue\ndef missing():\n    return bue.secret('MISSING')",
        call: "missing()",
        message: &["the worker has no secret MISSING: start it with `BUE_SECRET_MISSING` in its environment"],
    },
    BadStep {
        what: "a secret that the script does not allow",
        name: "stolen",
        code: "import bue\ndef stolen():\n    return bue.secret('KEY')",
        call: "stolen()",
        message: &["the script does not allow the secret KEY: write `!allow secret KEY` above the step"],
    },
    BadStep {
        what: "a loop without end",
        name: "endless",
        code: "def endless():\n    while True: pass",
        call: "endless()",
        message: &["longer than its time limit of 3 s", "`!timeout`", "`pending`"],
    },
    BadStep {
        what: "a step that sleeps instead of answering `pending`",
        name: "sleeps",
        code: "import time\ndef sleeps():\n    time.sleep(600)",
        call: "sleeps()",
        message: &["longer than its time limit of 3 s"],
    },
    BadStep {
        what: "a step that is pending for ever",
        name: "waits",
        code: "from bue import Result, StepStatus\ndef waits():\n    return Result(status=StepStatus.pending)",
        call: "waits()",
        message: &["`pending`", "!for"],
    },
];

/// Settings of all steps.
const SETTINGS: &str = "!allow net 127.0.0.1:1, net nowhere.invalid, secret MISSING\n!every 100ms\n!for 500ms\n";

/// The settings of a step. Those that run for ever get a short time limit.
fn settings(name: &str) -> &'static str {
    if ["endless", "sleeps"].contains(&name) { "!timeout 3s\n" } else { "!timeout 5m\n" }
}

/// One script with every bad step.
fn script() -> String {
    let mut script = SETTINGS.to_owned() + &step("use", "def use(x):\n    return x");
    for bad in STEPS {
        script.push_str(&format!("{}{}{}\n", settings(bad.name), step(bad.name, bad.code), bad.call));
    }
    script
}

#[test]
fn mistakes_in_steps_are_reported_with_their_step() {
    prepare();
    let project = Project::script(&script());
    let output = project.bue(&["run", "x.bue", "--json", "--allow-net"]).expect_code(1);
    let json = output.json();
    let failed = json["failed"].as_array().expect("a list");
    for bad in STEPS {
        let entry = failed.iter().find(|entry| entry["step"] == bad.name);
        let entry = entry.unwrap_or_else(|| panic!("{}: step `{}` did not fail: {json:#}", bad.what, bad.name));
        expect_in_order(bad.what, bad.message, entry["error"].as_str().expect("a text"));
    }
    assert_eq!(failed.len(), STEPS.len(), "{json:#}");
}

/// A host that the script allows and the worker does not; and `--allow-net` without hosts, before the script.
#[test]
fn a_host_must_be_allowed_by_the_one_who_runs_the_script() {
    prepare();
    let code = "import urllib.request\ndef get():\n    urllib.request.urlopen('http://127.0.0.1:1')";
    let project = Project::script(&format!("!allow net 127.0.0.1:1\n{}get()\n", step("get", code)));
    let refused = "the worker does not allow 127.0.0.1:1 (loopback): start `bue worker`, or `bue run`, with `--allow-net 127.0.0.1:1`";
    let error = |arguments: &[&str]| {
        let json = project.bue(arguments).expect_code(1).json();
        json["failed"][0]["error"].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{json}"))
    };
    assert!(error(&["run", "x.bue", "--json"]).contains(refused));
    let all = error(&["run", "--json", "--allow-net", "x.bue"]);
    assert!(all.contains("`--allow-net` allows public addresses only"), "{all}");
    assert!(!error(&["run", "--json", "--allow-net", "127.0.0.1:1", "x.bue"]).contains("does not allow"));
}

#[test]
fn the_terminal_shows_where_a_step_failed() {
    prepare();
    let code = "def load(rows):\n    print('loading')\n    return rows['day']";
    let source = step("rows", "def rows():\n    return [{'day': 1}, {}]");
    let project = Project::script(&[source, step("load", code), "for r in rows():\n    load(r)\n".to_owned()].concat());
    let output = project.bue(&["run", "x.bue"]).expect_code(1);
    let expected = [
        "failed: load(rows={}), round 2 of 2, job ",
        "KeyError: 'day'",
        "step `load`",
        "File \"x.bue\", line ",
        "loading",
    ];
    expect_in_order("an exception", &expected, &output.stderr);
}
