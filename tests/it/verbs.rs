//! The verbs that use running services: why, delete, run-job, keys of the bucket, status -s, several hubs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use bue_test_support::process::{self, Lines, child_output, exit_status};
use bue_test_support::wait::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::{CommandOutput, Project, prepare, step};
use crate::services::Server;

/// A bucket, a hub, and a project that uses them.
pub(crate) struct Services {
    pub(crate) project: Project,
    pub(crate) hub: Server,
    bucket: Server,
    pub(crate) folder: TempDir,
}

impl Services {
    pub(crate) fn new(script: &str) -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
        let hub =
            Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "sqlite:hub.db"]);
        let project = Project::new(&[("x.bue", script), (".env", &format!("BUE_HUB={}\n", hub.address))]);
        Self { project, hub, bucket, folder }
    }

    pub(crate) fn bucket_address(&self) -> &str {
        &self.bucket.address
    }

    /// Starts a worker that gets the bucket's address from the hub.
    pub(crate) fn worker(&self, scopes: &str) -> Server {
        Server::start(&self.folder, &["worker", "-b", &self.hub.address, "-s", scopes, "--slots", "2"])
    }

    pub(crate) fn upload(&self) -> String {
        self.project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned()
    }

    pub(crate) fn bue(&self, arguments: &[&str]) -> CommandOutput {
        self.project.bue(arguments)
    }

    fn why(&self, job: &str) -> Value {
        self.bue(&["why", job, "--json"]).expect_code(0).json()
    }
}

#[test]
fn why_explains_what_a_job_waits_for() {
    let script = [
        step("first", "def first():\n    raise ValueError('no luck')"),
        step("second", "def second(x):\n    return x"),
        "p = first | second\np()\n".to_owned(),
    ];
    let services = Services::new(&script.concat());
    services.upload();
    let text = services.bue(&["why", "1"]).expect_code(0).stdout;
    assert!(text.contains("step `first`") && text.contains("no worker") && text.contains("-s default"), "{text}");
    let text = services.bue(&["why", "2"]).expect_code(0).stdout;
    assert!(text.contains("waits for job 1 (step `first`), which is available"), "{text}");
    let worker = services.worker("other,default");
    wait_until("job 1 fails", || services.why("1")["job"]["state"] == "failed");
    let text = services.bue(&["why", "1"]).expect_code(0).stdout;
    assert!(text.contains("no luck") && text.contains("bue reset 1"), "{text}");
    let text = services.bue(&["why", "2"]).expect_code(0).stdout;
    assert!(text.contains("job 1 failed"), "{text}");
    assert_eq!(services.why("2")["served_by"].as_array().map(Vec::len), Some(1));
    services.bue(&["why", "999"]).expect_code(1).expect_stderr(&["no job 999"]);
    services.bue(&["why", "x"]).expect_code(2);
    drop(worker);
}

#[test]
fn run_job_runs_a_job_again_without_changing_its_run() {
    let script = [
        step("first", "def first():\n    return {'rows': 'x' * 100000}"),
        step("second", "def second(x):\n    print('got', len(x['rows']))\n    raise ValueError('no luck')"),
        step("third", "def third(x):\n    return x"),
        "p = first | second | third\np()\n".to_owned(),
    ];
    let services = Services::new(&script.concat());
    let run = services.upload();
    services.bue(&["run-job", "2"]).expect_code(3).expect_stderr(&["job 2", "bue why"]);
    let worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(1);
    let before = services.bue(&["status", &run, "--json"]).expect_code(0).json();
    let output = services.bue(&["run-job", "2"]).expect_code(1);
    assert_eq!(output.stdout, "");
    output.expect_stderr(&["got 100000", "no luck", "step `second`", "x.bue"]);
    let output = services.bue(&["run-job", "2", "--json"]).expect_code(1).json();
    assert_eq!((&output["job"], &output["step"], &output["outcome"]), (&json!(2), &json!("second"), &json!("failed")));
    assert!(
        output["log"].as_str().is_some_and(|log| log.contains("got 100000")) && output["value"].is_null(),
        "{output}"
    );
    let output = services.bue(&["run-job", "1", "--json"]).expect_code(0).json();
    assert_eq!((&output["outcome"], &output["error"]), (&json!("completed"), &Value::Null));
    assert_eq!(output["value"]["rows"].as_str().map(str::len), Some(100_000));
    assert_eq!(services.bue(&["status", &run, "--json"]).expect_code(0).json(), before, "the run does not change");
    // the failed job is listed until the run is deleted
    let errors = services.bue(&["errors", &run, "--json", "-c", "5"]).expect_code(0).json();
    assert_eq!((&errors["run"], &errors["job"], &errors["step"]), (&json!(run), &json!(2), &json!("second")));
    assert_eq!(services.bue(&["errors", &run, "-c", "0"]).expect_code(0).stdout, "");
    services.bue(&["delete", &run]).expect_code(0);
    services.bue(&["status", &run]).expect_code(1).expect_stderr(&["no run", "bue status"]);
    services.bue(&["delete", &run]).expect_code(1).expect_stderr(&["no run"]);
    drop(worker);
}

#[test]
fn values_are_set_read_and_deleted_in_the_bucket() {
    let services = Services::new("");
    services.project.write("report.csv", &"a,b\n".repeat(200_000));
    services.bue(&["bucket-get", "reports/today"]).expect_code(1).expect_stderr(&["reports/today"]);
    services.bue(&["bucket-set", "reports/today", "report.csv"]).expect_code(0);
    let back = services.bue(&["bucket-get", "reports/today"]).expect_code(0).stdout;
    assert!(back == "a,b\n".repeat(200_000));
    let mut command = services.project.command(&["bucket-set", "reports/today", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("bue");
    child.stdin.take().expect("stdin").write_all(b"typed").expect("written");
    assert!(exit_status("bucket-set exits", &mut child).success());
    assert_eq!(services.bue(&["bucket-get", "reports/today"]).expect_code(0).stdout, "typed");
    assert_eq!(services.bue(&["bucket-list", "reports/"]).expect_code(0).stdout, "reports/today  5\n");
    assert_eq!(services.bue(&["bucket-list", "none"]).expect_code(0).stdout, "");
    let listed = services.bue(&["bucket-list", "--json"]).expect_code(0).json();
    assert_eq!(listed, json!({ "key": "reports/today", "bytes": 5, "expires_at": null }));
    services.bue(&["bucket-delete", "reports/today"]).expect_code(0);
    assert_eq!(services.bue(&["bucket-list"]).expect_code(0).stdout, "");
    services.bue(&["bucket-delete", "reports/today"]).expect_code(1).expect_stderr(&["reports/today"]);
    for key in ["../../etc/passwd", "/etc/passwd", "a//b", ".."] {
        services.bue(&["bucket-set", key, "report.csv"]).expect_code(3).expect_stderr(&["is not a valid key"]);
        services.bue(&["bucket-get", key]).expect_code(3).expect_stderr(&["is not a valid key"]);
    }
    services.bue(&["bucket-set", "a", "missing.csv"]).expect_code(3).expect_stderr(&["missing.csv"]);
    services.bue(&["bucket-set", "a", "."]).expect_code(3);
    services.bue(&["bucket-get", "a"]).expect_code(1).expect_stderr(&["no value"]);
}

#[test]
fn a_subscribed_status_updates_until_the_run_has_ended() {
    let services = Services::new(&[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat());
    let run = services.upload();
    let mut command = services.project.command(&["status", &run, "-s", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("bue");
    let lines = Lines::new(child.stdout.take().expect("stdout"));
    let state = || {
        let line = lines.next("the next state of the run")?;
        Some(serde_json::from_str::<Value>(&line).expect("JSON")["state"].as_str().expect("a state").to_owned())
    };
    assert_eq!(state().as_deref(), Some("running"));
    let worker = services.worker("default");
    let mut last = String::new();
    while let Some(state) = state() {
        last = state;
    }
    assert_eq!(last, "completed");
    assert!(exit_status("bue status exits", &mut child).success());
    drop(worker);
    let mut child = services.project.command(&["status", "-s"]).stdout(Stdio::piped()).spawn().expect("bue");
    let lines = Lines::new(child.stdout.take().expect("stdout"));
    let line = lines.next("the first line of bue status").expect("a line");
    assert!(line.contains("run") && !line.contains('\u{1b}'), "no terminal, no drawing: {line:?}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    assert_eq!(exit_status("bue status exits", &mut child).code(), Some(130));
}

#[test]
fn the_status_line_counts_runs_jobs_and_workers() {
    let script = [
        step("first", "def first():\n    return 1"),
        step("second", "def second(x):\n    return x"),
        "p = first | second\np()\n".to_owned(),
    ];
    let services = Services::new(&script.concat());
    let line = || services.bue(&["status", "--line"]).expect_code(0).stdout;
    let idle = "runs: 0 open, jobs: blocked 0 available 0 (delayed 0) running 0 completed 0 failed 0 cancelled 0, handed back 0";
    assert_eq!(line(), format!("{idle}, workers 0\n"));
    let json = services.bue(&["status", "--line", "--json"]).expect_code(0).json();
    assert_eq!((&json["counts"]["runs"], &json["oldest_run_at"]), (&json!(0), &Value::Null));

    // lines that are not on a terminal are printed when something has changed
    let mut child = services.project.command(&["status", "--line", "-s"]).stdout(Stdio::piped()).spawn().expect("bue");
    let lines = Lines::new(child.stdout.take().expect("stdout"));
    assert_eq!(lines.next("the first line"), Some(format!("{idle}, workers 0")));
    services.upload();
    let open = "runs: 1 open, jobs: blocked 1 available 1 (delayed 0) running 0 completed 0 failed 0 cancelled 0, handed back 0, oldest ";
    let next = lines.next("a line for the run").expect("a line");
    assert!(next.starts_with(open) && next.ends_with(", workers 0"), "{next}");
    let worker = services.worker("default");
    wait_until("the run has ended", || line().starts_with(idle));
    assert_eq!(line(), format!("{idle}, workers 1\n"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    assert_eq!(exit_status("bue status exits", &mut child).code(), Some(130));

    // with -l, each line begins with its time
    let arguments = ["status", "--line", "-s", "-l"];
    let mut child = services.project.command(&arguments).stdout(Stdio::piped()).spawn().expect("bue");
    let first = Lines::new(child.stdout.take().expect("stdout")).next("a lasting line").expect("a line");
    assert!(first.get(19..).is_some_and(|rest| rest.starts_with("Z runs: 0 open")), "{first}");
    child.kill().expect("killed");
    exit_status("bue status ends", &mut child);
    services.bue(&["status", "--line", "last"]).expect_code(2);
    services.bue(&["status", "-l"]).expect_code(2);
    drop(worker);
}

#[test]
fn a_script_is_uploaded_from_stdin_and_under_a_name() {
    let services = Services::new(&[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat());
    services.project.write("steps.py", "def two():\n    return 2\n");
    let upload = |arguments: &[&str], script: &str| {
        let mut command = services.project.command(&[&["upload", "-f", "-"], arguments].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("bue");
        child.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("a script");
        child_output("bue upload", child)
    };
    let name = |run: &str| services.bue(&["status", run, "--json"]).expect_code(0).json()["name"].clone();
    for (arguments, expected) in [(&[][..], "stdin"), (&["--name", "nightly"][..], "nightly")] {
        // paths are relative to the working directory
        let output = upload(arguments, "import python (two) steps.py\ntwo()\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(name(String::from_utf8(output.stdout).expect("an id").trim()), expected);
    }
    let output = upload(&[], "two(\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stdin:1:"), "{output:?}");
    let run = services.bue(&["upload", "-f", "x.bue", "--name", "mine"]).expect_code(0).stdout;
    assert_eq!(name(run.trim()), "mine");
}

/// No server listens on port 1; every verb falls back to the hub that is reachable.
#[test]
fn every_verb_accepts_several_hubs() {
    let services = Services::new(&[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat());
    let hubs = format!("127.0.0.1:1,{}", services.hub.address);
    let upload = services.bue(&["upload", "-b", &hubs, "-f", "x.bue"]).expect_code(0);
    let run = upload.stdout.trim();
    let arguments = ["worker", "-b", &hubs, "-s", "default"];
    let worker = Server::start(&services.folder, &arguments);
    for arguments in [
        &["wait", run][..],
        &["result", run],
        &["status", run],
        &["status"],
        &["top", run, "--json"],
        &["errors", run],
        &["logs", "1"],
        &["why", "1"],
        &["run-job", "1"],
        &["cancel", run],
        &["reset", run],
        &["delete", run],
    ] {
        let arguments = [arguments, &["-b", &hubs]].concat();
        services.bue(&arguments).expect_code(0);
    }
    services
        .bue(&["status", "-b", "127.0.0.1:1, 127.0.0.1:2"])
        .expect_code(3)
        .expect_stderr(&["127.0.0.1:1", "127.0.0.1:2"]);
    services.bue(&["status", "-b", "127.0.0.1:1,nonsense"]).expect_code(2).expect_stderr(&["nonsense"]);
    drop(worker);
}

/// When its worker has died, the job goes to another worker and completes there.
#[test]
fn a_killed_workers_job_completes_elsewhere() {
    let code = "import time\ndef slow():\n    time.sleep(5)\n    return 'done'";
    let services = Services::new(&[step("slow", code), "slow()\n".to_owned()].concat());
    let mut first = services.worker("default");
    let run = services.upload();
    wait_until("job 1 runs", || {
        let state = services.why("1")["job"]["state"].clone();
        assert_ne!(state, "completed", "this machine is too slow to see a step of five seconds run");
        state == "running"
    });
    let name = services.why("1")["job"]["worker"].as_str().expect("a name").to_owned();
    first.kill();
    let killed = Instant::now();
    let second = services.worker("default");
    let worker = || services.why("1")["job"]["worker"].as_str().map(str::to_owned);
    wait_until("job 1 runs on another worker", || worker().is_some_and(|worker| worker != name));
    println!("it ran elsewhere {:.1} s after its worker was killed", killed.elapsed().as_secs_f64());
    services.bue(&["wait", &run]).expect_code(0);
    let why = services.why("1");
    assert_eq!(why["job"]["state"], "completed");
    assert_ne!(why["job"]["worker"], json!(name));
    assert_eq!(services.bue(&["result", &run]).expect_code(0).stdout, "\"done\"\n");
    drop(second);
}

/// If two processes open a new folder at the same time, one of them gets it and the other one fails with a message.
#[test]
fn a_state_folder_is_used_by_one_process_only() {
    prepare();
    let code = "import time\ndef f():\n    time.sleep(600)";
    let project = Project::new(&[("x.bue", &[step("f", code), "f()\n".to_owned()].concat())]);
    let start = || {
        let mut command = project.command(&["run", "x.bue", "--data", "data"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bue")
    };
    let mut both = [start(), start()];
    let mut exited = None;
    wait_until("one of the two processes exits", || {
        exited = both.iter_mut().position(|child| child.try_wait().expect("a state").is_some());
        exited.is_some()
    });
    let [first, second] = both;
    let (loser, winner) = if exited == Some(0) { (first, second) } else { (second, first) };
    let output = child_output("the process that lost", loser);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("in use by another process") && text.contains("data"), "{text}");
    assert!(Command::new("kill").args(["-INT", &winner.id().to_string()]).status().expect("kill").success());
    assert_eq!(child_output("the process that won", winner).status.code(), Some(130));
    let folder = TempDir::new().expect("a folder");
    let _bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let _hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db"]);
    for arguments in [
        ["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"],
        ["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db"],
    ] {
        let output = process::output(crate::project::bue().args(arguments).current_dir(folder.path())).expect("bue");
        assert_eq!(output.status.code(), Some(3));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("in use by another process"), "{text}");
    }
}

#[test]
fn settings_without_effect_cause_warnings() {
    let project = Project::new(&[
        (".env", "USING_REDIS=true\nUSING_ZOOKEEPER=false\n"),
        ("bue.toml", "[worker]\nslot = 7\n"),
        (".bue/settings.yaml", "hub:\n  port: 1\n"),
        (".boo/settings.yaml", "hub:\n  port: 1\n"),
    ]);
    let output = project.bue(&["token", "list"]).expect_code(0);
    output.expect_stderr(&[
        "USING_REDIS",
        "dir:PATH",
        "`worker.slot`",
        ".bue/settings.yaml",
        ".boo/settings.yaml",
        "bue.toml",
    ]);
    assert!(!output.stderr.contains("ZOOKEEPER"), "{}", output.stderr);
    project.write(".env", "REVERSE_PRIORITY=perhaps\n");
    project.bue(&["worker", "-b", "127.0.0.1:1"]).expect_code(2).expect_stderr(&["perhaps", "BUE_REVERSE"]);
}
