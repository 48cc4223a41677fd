//! What the code of steps imports, opens and starts: reported by `bue check` with its place, before anything runs.

use serde_json::{Value, json};

use crate::project::Project;

/// A script with a step whose code is in `s.py`.
const SCRIPT: &str = "import python (f) s.py\nf()\n";

/// Checks a project whose step has this code, and returns what is wrong as `code file:line message` and the hint.
fn problems(code: &str, files: &[(&str, &str)]) -> Vec<(String, String)> {
    let project = Project::new(&[&[("x.bue", SCRIPT), ("s.py", code)], files].concat());
    let output = project.bue(&["check", "--json", "x.bue"]);
    let json = output.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |one: &Value| {
        let place = format!("{}:{}", text(&one["file"]), one["line"]);
        (format!("{} {place} {}", text(&one["code"]), text(&one["message"])), text(&one["hint"]))
    };
    let complaints = json["complaints"].as_array().expect("a list");
    assert_eq!(output.code, i32::from(!complaints.is_empty()), "{json}");
    complaints.iter().map(line).collect()
}

#[track_caller]
fn expect_problem(code: &str, place: &str, words: &[&str]) {
    let problems = problems(code, &[]);
    let [(line, hint)] = problems.as_slice() else { panic!("{code}\n{problems:?}") };
    assert!(line.starts_with(place), "{line}");
    for word in words {
        assert!(line.contains(word) || hint.contains(word), "{word}: {line}\n{hint}");
    }
}

#[test]
fn imports_that_cannot_work_are_errors_with_their_place() {
    let f = "\ndef f():\n    return 1\n";
    for (import, words) in [
        ("import requests", ["package `requests`", "`!requires requests`"]),
        ("from dateutil import parser", ["python-dateutil", "`bue deps lock x.bue`"]),
        ("import numpy as np", ["`numpy` cannot work", "statistics"]),
        ("import yaml", ["pyyaml", "`!requires pyyaml`"]),
        ("import no_such_thing", ["no module `no_such_thing`", "`no_such_thing.py`"]),
        ("import statistic", ["no module `statistic`", "did you mean `statistics`?"]),
        ("import grp", ["`grp`", "nothing"]),
        ("from multiprocessing import shared_memory", ["`multiprocessing.shared_memory`", "results of steps"]),
    ] {
        expect_problem(&format!("import os\n{import}{f}"), "E0063 s.py:2 ", &words);
    }
}

#[test]
fn values_of_the_bucket_that_the_script_does_not_allow_are_errors() {
    for (import, call, rule) in [
        ("import bue.bucket", "bue.bucket.get('a/b')", "a/b"),
        ("from bue import bucket", "bucket.set('a/b', b'')", "a/b"),
        ("from bue import bucket as shared", "shared.delete('a b')", "a*"),
        ("from bue.bucket import open", "open('a/b', 'w')", "a/b"),
    ] {
        let code = format!("{import}\n\ndef f():\n    return {call}\n");
        expect_problem(
            &code,
            "E0069 s.py:4 the script does not allow the value",
            &[&format!("`!allow bucket {rule}`")],
        );
        let allowed = format!("!allow bucket a*\n{SCRIPT}");
        let project = Project::new(&[("x.bue", &allowed), ("s.py", &code)]);
        project.bue(&["check", "x.bue"]).expect_code(0);
    }
    // what may be handled, or is not known
    for body in [
        "try:\n        return bucket.get('a')\n    except PermissionError:\n        pass",
        "return bucket.get(chr(97))",
        "return bucket.get('a/../b')",
        "return bucket.names('a')",
    ] {
        assert_eq!(problems(&format!("from bue import bucket\n\ndef f():\n    {body}\n"), &[]), []);
    }
}

#[test]
fn modules_of_buelon_are_found_and_names_that_they_do_not_have_are_errors() {
    let f = "\ndef f():\n    return 1\n";
    for (import, words) in [
        ("import buelon.jokes", ["`buelon.jokes`", "remove the import"]),
        (
            "from buelon.helpers import sqlite_helper",
            ["`buelon.helpers.sqlite_helper`", "`buelon.helpers.sqlite3_helper`"],
        ),
    ] {
        expect_problem(&format!("{import}{f}"), "E0063 s.py:1 ", &words);
    }
    for works in [
        "import step\nimport buelon.core.step\nfrom buelon.core.step import Result, StepStatus\nfrom bue import env\n",
        "import sqlite3\nimport buelon.hub\nimport buelon.helpers.sqlite3_helper\nimport buelon.core.pipe_debug\n",
        "from buelon.hub import upload_pipe_code\nfrom buelon.helpers import postgres\nfrom buelon.core import pipe_debug\n",
        "import pipeline\nimport sqlite3_helper\nimport postgres\nimport pipe_debug\n",
    ] {
        assert_eq!(problems(&format!("{works}{f}"), &[]), [], "{works}");
    }
}

#[test]
fn imports_that_may_not_be_executed_are_no_errors() {
    for code in [
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n",
        "if __name__ == '__main__':\n    import sqlite3, subprocess\n    subprocess.run(['ls'])\n    open('x')\n",
        "def debug():\n    import ipdb\n",
        "class Debug:\n    def run(self):\n        import ipdb\n",
        "import sys\nif sys.version_info < (3, 11):\n    import tomli\n",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import numpy\n",
    ] {
        assert_eq!(problems(&format!("{code}\ndef f():\n    return 1\n"), &[]), [], "{code}");
    }
}

#[test]
fn what_the_functions_of_a_step_import_is_an_error_too() {
    expect_problem("def f():\n    import numpy\n    return numpy\n", "E0063 s.py:2 ", &["numpy"]);
    expect_problem("def g():\n    import numpy\n\ndef f():\n    return g()\n", "E0063 s.py:2 ", &["numpy"]);
    let class = "class C:\n    def __init__(self):\n        import numpy\n\ndef f():\n    return C()\n";
    expect_problem(class, "E0063 s.py:3 ", &["numpy"]);
}

#[test]
fn imported_files_are_checked_where_the_mistake_is() {
    let files = [
        ("near.py", "import os\nimport numpy\n\ndef g():\n    import pandas\n"),
        ("broken.py", "x = 1\ndef g(:\n"),
        ("pkg/__init__.py", "from . import inner\nfrom .missing import x\n"),
        ("pkg/inner.py", ""),
        ("guarded.py", "import numpy\n"),
    ];
    let code = "import near, broken, pkg, pkg.inner\nimport pkg.other\ntry:\n    import guarded\nexcept ImportError:\n    pass\n\n\
                def f():\n    return near.g()\n";
    let lines: Vec<String> = problems(code, &files).into_iter().map(|(line, _)| line).collect();
    let starts = ["E0052 broken.py:2", "E0063 near.py:2", "E0063 near.py:5", "E0063 pkg/__init__.py:2", "E0063 s.py:2"];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{start}: {lines:#?}");
    }
}

#[test]
fn files_that_a_step_opens_are_errors() {
    for (line, words) in [
        (
            "open('data.csv').read()",
            ["`data.csv` is not packed", "no such file beside the script; write `!files data.csv`"],
        ),
        ("open('./s.csv').read()", ["`./s.csv` is not packed", "there is no such file"]),
        ("open('/etc/passwd').read()", ["`/etc/passwd`", "copy the file to beside the script"]),
        ("open('out.csv', 'w')", ["`out.csv`", "return what is to be kept"]),
        ("open('s.py', 'r+')", ["cannot write the file `s.py`", "`/tmp` only"]),
        ("Path('data.csv').write_text('x')", ["cannot write the file `data.csv`", "`/tmp`"]),
        ("Path('data.csv').read_text()", ["`data.csv`", "`!files data.csv`"]),
        ("Path('data.csv').open()", ["`data.csv`", "`!files data.csv`"]),
        ("sqlite3.connect('sales.db')", ["the database `sales.db`", "`/tmp`"]),
    ] {
        let code = format!("import sqlite3, tempfile\nfrom pathlib import Path\n\ndef f():\n    return {line}\n");
        expect_problem(&code, "E0064 s.py:5 ", &words);
    }
    for code in [
        "def f():\n    try:\n        return open('cache').read()\n    except OSError:\n        return 1\n",
        "import os\ndef f():\n    if os.path.exists('cache'):\n        return open('cache').read()\n",
        "import os\ndef f():\n    if not os.path.exists('cache'):\n        return 1\n    return open('cache').read()\n",
        "def f():\n    return 1\n\ndef unused():\n    return open('x').read()\n",
        "def f(path=None):\n    return open(path).read()\n",
        "import tempfile\ndef f():\n    tempfile.mkdtemp()\n    return open('/tmp/x', 'w'), open('/tmp/y').read(), open('./x/../s.py').read(), open('/usr/share/zoneinfo/UTC', 'rb')\n",
        "import sqlite3\ndef f():\n    sqlite3.connect(':memory:')\n    sqlite3.connect('file:x?mode=memory', uri=True)\n",
    ] {
        assert_eq!(problems(code, &[]), [], "{code}");
    }
}

#[test]
fn processes_that_a_step_starts_are_errors() {
    for (line, words) in [
        ("subprocess.run(['ls'])", ["`subprocess.run`", "rust, go or c"]),
        ("os.system('ls')", ["`os.system`", "steps have no processes"]),
        ("multiprocessing.Pool(4)", ["`multiprocessing.Pool`", "loop in the script"]),
        ("ProcessPoolExecutor()", ["`concurrent.futures.ProcessPoolExecutor`", "loop in the script"]),
    ] {
        let imports = "import os, subprocess, multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor";
        expect_problem(&format!("{imports}\n\ndef f():\n    return {line}\n"), "E0065 s.py:5 ", &words);
    }
}

#[test]
fn a_problem_in_inline_code_is_shown_in_the_script() {
    let script =
        "a:\n    python\n    a\n    `\n    import numpy\n\n    def a():\n        return open('x')\n    `\na()\n";
    let project = Project::script(script);
    let output = project.bue(&["check", "x.bue"]).expect_code(1);
    output.expect_stderr(&["error[E0063]", "x.bue:5:12", "import numpy", "error[E0064]", "x.bue:8:16"]);
    project.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&["error[E0063]"]);
}

#[test]
fn a_problem_that_steps_share_is_reported_once() {
    let script = "import python (f, g) s.py\nimport python (f as h) s.py\nf()\ng()\nh()\n";
    let project = Project::new(&[("x.bue", script), ("s.py", "import numpy\n\ndef f(): pass\n\ndef g(): pass\n")]);
    let json = project.bue(&["check", "--json", "x.bue"]).expect_code(1).json();
    assert_eq!(json["complaints"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(json["complaints"][0]["column"], json!(8));
}

#[test]
fn the_pages_on_code_show_what_happens() {
    let pages = include_str!("../../docs/errors.md");
    let example = |code: &str, kind: &str| {
        let (_, page) = pages.split_once(&format!("\n## {code} ")).expect("a page");
        let (_, rest) = page.split_once(&format!("```bue {kind}\n")).expect("an example");
        rest.split_once("\n```").expect("an end").0.to_owned()
    };
    for code in ["E0063", "E0064", "E0065", "E0069"] {
        let project = Project::new(&[("wrong.bue", &example(code, "wrong")), ("right.bue", &example(code, "right"))]);
        project.bue(&["check", "wrong.bue"]).expect_code(1).expect_stderr(&[code]);
        assert_eq!(project.bue(&["check", "right.bue"]).expect_code(0).stderr, "", "{code}");
    }
}
