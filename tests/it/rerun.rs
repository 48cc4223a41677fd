//! `bue rerun`, `bue diff`, and resets of cancelled runs, with real servers and a real worker.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::{Project, prepare, step};
use crate::services::Server;
use crate::verbs::Services;

/// A list, a check of each element that fails above a limit, and a sum.
fn script() -> String {
    [
        "param limit: int = 1\n".to_owned(),
        step("load", "def load():\n    return [1, 2, 3]"),
        step("check", "def check(n, limit):\n    if n > limit:\n        raise ValueError('too much')\n    return n"),
        step("total", "def total(all):\n    return sum(all)"),
        step("show", "def show(total):\n    return f'total {total}'"),
        "all = [check(n, limit) for n in load()]\nshow(total(all))\n".to_owned(),
    ]
    .concat()
}

/// Returns, by step, how many attempts ran and how many jobs were reused.
fn steps(services: &Services, run: &str) -> BTreeMap<String, (u64, u64)> {
    let view = services.bue(&["status", run, "--json"]).expect_code(0).json();
    let number = |step: &Value, field: &str| step[field].as_u64().expect("a number");
    let all = view["steps"].as_array().expect("steps").iter();
    all.map(|step| {
        let name = step["name"].as_str().expect("a name").to_owned();
        (name, (number(step, "attempts"), number(step, "reused")))
    })
    .collect()
}

fn expected(steps: &[(&str, u64, u64)]) -> BTreeMap<String, (u64, u64)> {
    steps.iter().map(|(name, attempts, reused)| ((*name).to_owned(), (*attempts, *reused))).collect()
}

#[test]
fn a_rerun_runs_what_did_not_complete_or_gets_other_inputs() {
    let services = Services::new(&script());
    let _worker = services.worker("default");
    let first = services.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(1).run_id();
    // what failed runs again, the rest is reused
    let again = services.bue(&["rerun", &first, "--wait"]).expect_code(1);
    again.expect_stderr(&[&format!("it repeats run {first}"), "reused the results of 2 of 4 jobs", "too much"]);
    let run = again.run_id();
    assert_eq!(steps(&services, &run), expected(&[("load", 0, 1), ("check", 2, 1), ("total", 0, 0), ("show", 0, 0)]));
    // another parameter is another input of each check
    let output = services.bue(&["rerun", &first, "--param", "limit=5", "--wait"]).expect_code(0);
    assert_eq!(output.stdout, "\"total 6\"\n");
    let fixed = output.run_id();
    assert_eq!(steps(&services, &fixed), expected(&[("load", 0, 1), ("check", 3, 0), ("total", 1, 0), ("show", 1, 0)]));
    // everything is reused, so no worker is needed, and the results are those of the run before
    let output = services.bue(&["rerun", "last", "--wait", "--json"]).expect_code(0);
    let run = output.run_id();
    assert_eq!(steps(&services, &run), expected(&[("load", 0, 1), ("check", 0, 3), ("total", 0, 1), ("show", 0, 1)]));
    assert_eq!((output.last(), &output.json()["state"]), (json!("total 6"), &json!("completed")));
    // a step with all that depends on it, or alone
    let output = services.bue(&["rerun", &fixed, "--from", "total", "--wait"]).expect_code(0);
    let counts = expected(&[("load", 0, 1), ("check", 0, 3), ("total", 1, 0), ("show", 1, 0)]);
    assert_eq!(steps(&services, &output.run_id()), counts);
    let output = services.bue(&["rerun", &fixed, "--only", "load,total", "--wait"]).expect_code(0);
    let counts = expected(&[("load", 1, 0), ("check", 0, 3), ("total", 1, 0), ("show", 0, 1)]);
    assert_eq!(steps(&services, &output.run_id()), counts, "the results are the same");
    let started = services.bue(&["rerun", &fixed, "--json"]).expect_code(0).json();
    assert_eq!(started["state"], "completed");
    let view = services.bue(&["status", started["run"].as_str().expect("an id"), "--json"]).expect_code(0).json();
    assert_eq!(view["rerun_of"], json!(fixed));
    let text = services.bue(&["status", "last"]).expect_code(0).stdout;
    assert!(text.contains(&format!("repeats run {fixed}\nreused the results of 6 jobs\n")), "{text}");
    let jobs = services.bue(&["status", "last", "--jobs", "--json"]).expect_code(0).json();
    let why = services.bue(&["why", &jobs["jobs"][0]["id"].to_string()]).expect_code(0).stdout;
    assert!(why.contains("it did not run"), "{why}");
}

#[test]
fn a_rerun_takes_other_code_for_a_step() {
    let services = Services::new(&script());
    let _worker = services.worker("default");
    let first = services.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(1).run_id();
    fs::create_dir(services.project.path("fix")).expect("a folder");
    services.project.write("fix/helper.py", "def clip(n, limit):\n    return min(n, limit)\n");
    services.project.write("fix/code.py", "from helper import clip\ndef check(n, limit):\n    return clip(n, limit)\n");
    let rerun = |replace: &str| services.bue(&["rerun", &first, "--replace", replace, "--wait"]);
    let output = rerun("check=fix/code.py:check").expect_code(0);
    assert_eq!(output.stdout, "\"total 3\"\n");
    let run = output.run_id();
    let counts = expected(&[("load", 0, 1), ("check", 3, 0), ("total", 1, 0), ("show", 1, 0)]);
    assert_eq!(steps(&services, &run), counts);
    // a rerun of that run has that code, and reuses what it computed
    let again = services.bue(&["rerun", &run, "--from", "total", "--wait"]).expect_code(0).run_id();
    let counts = expected(&[("load", 0, 1), ("check", 0, 3), ("total", 1, 0), ("show", 1, 0)]);
    assert_eq!(steps(&services, &again), counts);
    // the same checks as for a script
    rerun("check=fix/none.py:check")
        .expect_code(1)
        .expect_stderr(&["fix/none.py", "--replace check=fix/none.py:check"]);
    rerun("check=fix/code.py:chek").expect_code(1).expect_stderr(&["chek", "did you mean `check`?"]);
    services.project.write("fix/process.py", "import numpy_of_nobody\ndef check(n, limit):\n    return n\n");
    rerun("check=fix/process.py:check").expect_code(1).expect_stderr(&["E0063", "numpy_of_nobody"]);
    rerun("chek=fix/code.py:check").expect_code(1).expect_stderr(&["no step `chek`", "`check`"]);
    rerun("check=fix/notes.txt:check").expect_code(2).expect_stderr(&["no language", "notes.txt"]);
    rerun("check=fix/code.py").expect_code(2).expect_stderr(&["STEP=FILE:FUNC"]);
    // and the same permissions: none but those of the script
    services.project.write(
        "fix/net.py",
        "import urllib.request\ndef check(n, limit):\n    urllib.request.urlopen('http://127.0.0.1:9/')\n",
    );
    rerun("check=fix/net.py:check").expect_code(1).expect_stderr(&["!allow net 127.0.0.1"]);
}

#[test]
fn mistakes_of_a_rerun_say_what_to_type() {
    let services = Services::new(&script());
    let run = services.upload();
    services.bue(&["rerun", &run]).expect_code(3).expect_stderr(&["still running", "bue wait"]);
    services.bue(&["cancel", &run]).expect_code(0);
    services.bue(&["rerun", &run, "--from", "lod"]).expect_code(1).expect_stderr(&["no step `lod`", "`load`"]);
    services.bue(&["rerun", &run, "--from", "load", "--only", "load"]).expect_code(2).expect_stderr(&["--only"]);
    services.bue(&["rerun", &run, "--param", "limit=x"]).expect_code(1).expect_stderr(&["`x`", "`limit`", "int"]);
    services.bue(&["rerun", &run, "--param", "limits=1"]).expect_code(1).expect_stderr(&["limits"]);
    services.bue(&["rerun", "3fffffff"]).expect_code(1).expect_stderr(&["no run"]);
}

#[test]
fn a_run_of_a_pipeline_runs_again_in_its_version() {
    let services = Services::new(&script());
    let _worker = services.worker("default");
    services.bue(&["publish", "x.bue"]).expect_code(0);
    let first = services.bue(&["invoke", "x", "limit=2", "--wait"]).expect_code(1).run_id();
    services.project.write("x.bue", &script().replace("sum(all)", "sum(all) + 100"));
    services.bue(&["publish", "x.bue"]).expect_code(0);
    let output = services.bue(&["rerun", &first, "--param", "limit=3", "--wait"]).expect_code(0);
    assert_eq!(output.stdout, "\"total 6\"\n");
    let newer = services.bue(&["invoke", "x", "limit=3", "--wait"]).expect_code(0).run_id();
    let runs = services.bue(&["pipeline", "x", "--json"]).expect_code(0).json();
    let versions: Vec<_> = runs["runs"].as_array().expect("runs").iter().map(|run| &run["version"]).collect();
    assert_eq!(versions, [2, 1, 1]);
    // they differ in version, code and results
    let output = services.bue(&["diff", &output.run_id(), &newer]).expect_code(1);
    for part in ["x version 1 -> x version 2", "step      total: code", "other result", "total", "show"] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
}

#[test]
fn diff_tells_in_what_two_runs_differ() {
    let services = Services::new(&script());
    let _worker = services.worker("default");
    let first = services.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(1).run_id();
    let second = services.bue(&["rerun", &first, "--param", "limit=2", "--wait"]).expect_code(1).run_id();
    let output = services.bue(&["diff", &first, &second]).expect_code(1);
    assert!(output.stdout.starts_with("param     limit: 1 -> 2\n"), "{}", output.stdout);
    let json = services.bue(&["diff", &first, &second, "--json"]).expect_code(1).json();
    assert_eq!((&json["same"], &json["pipeline"], &json["steps"]), (&json!(false), &Value::Null, &json!([])));
    assert_eq!(json["params"], json!([{"name": "limit", "run1": 1, "run2": 2}]));
    let check = &json["jobs"][0];
    assert_eq!((&check["step"], &check["same"], &check["different_states"]), (&json!("check"), &json!(2), &json!(1)));
    let output = services.bue(&["diff", &first, &first]).expect_code(0);
    assert_eq!(output.stdout, "");
    output.expect_stderr(&["the runs are the same"]);
    services.bue(&["diff", &first]).expect_code(2);
    services.bue(&["diff", &first, "3fffffff"]).expect_code(1).expect_stderr(&["no run"]);
}

/// Its data is served by a hub and a bucket afterwards.
#[test]
fn a_run_of_one_machine_runs_again_on_servers() {
    prepare();
    let (project, folder) = (Project::new(&[("x.bue", &script())]), TempDir::new().expect("a folder"));
    project.bue_writes(&["run", "x.bue", "--data", "kept"]).expect_code(1);
    let kept = |name: &str| project.path("kept").join(name).display().to_string();
    let store = |store: &str, name: &str| format!("{store}:{}", kept(name));
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", &store("dir", "blobs")]);
    let stored = store("sqlite", "hub.db");
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", &stored]);
    let _worker = Server::start(&folder, &["worker", "-b", &hub.address, "--slots", "2"]);
    let rerun = ["rerun", "last", "-b", &hub.address, "--param", "limit=3", "--wait"];
    let output = project.bue_writes(&rerun).expect_code(0);
    assert_eq!(output.stdout, "\"total 6\"\n");
    output.expect_stderr(&["reused the results of 1 of 6 jobs"]);
}

#[test]
fn a_cancelled_run_can_be_reset() {
    let services = Services::new(&script());
    let run = services.upload();
    services.bue(&["cancel", &run]).expect_code(0);
    services.bue(&["reset", &run]).expect_code(0).expect_stderr(&["jobs reset: 3"]);
    let jobs = services.bue(&["status", &run, "--jobs", "--json"]).expect_code(0).json();
    let load = jobs["jobs"][0]["id"].to_string();
    services.bue(&["cancel", &load]).expect_code(0);
    services.bue(&["reset", &load]).expect_code(0).expect_stderr(&["jobs reset: 3"]);
    let _worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(1);
    assert_eq!(steps(&services, &run)["check"], (3, 0));
}
