//! What people ask of running services: why, delete, run-job, the bucket's keys, status again and again, several hubs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::project::{Project, Ran, prepare, step};
use crate::services::Server;

/// A bucket, a hub, and a folder whose commands use them.
struct World {
    project: Project,
    hub: Server,
    _bucket: Server,
    folder: TempDir,
}

impl World {
    fn new(script: &str) -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
        let hub =
            Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "sqlite:hub.db"]);
        let project = Project::new(&[("x.bue", script), (".env", &format!("BUE_HUB={}\n", hub.address))]);
        Self { project, hub, _bucket: bucket, folder }
    }

    /// A worker that asks the hub for the bucket.
    fn worker(&self, scopes: &str) -> Server {
        Server::start(&self.folder, &["worker", "-b", &self.hub.address, "-s", scopes, "--slots", "2"])
    }

    fn upload(&self) -> String {
        self.project.bue(&["upload", "-f", "x.bue"]).expect(0).stdout.trim().to_owned()
    }

    fn bue(&self, arguments: &[&str]) -> Ran {
        self.project.bue(arguments)
    }

    fn why(&self, job: &str) -> Value {
        self.bue(&["why", job, "--json"]).expect(0).json()
    }
}

/// Asks until it is so; a test that waits for ever has failed.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn why_says_what_a_job_waits_for() {
    let script = [
        step("first", "def first():\n    raise ValueError('no luck')"),
        step("second", "def second(x):\n    return x"),
        "p = first | second\np()\n".to_owned(),
    ];
    let world = World::new(&script.concat());
    world.upload();
    let said = world.bue(&["why", "1"]).expect(0).stdout;
    assert!(said.contains("step `first`") && said.contains("no worker") && said.contains("-s default"), "{said}");
    let said = world.bue(&["why", "2"]).expect(0).stdout;
    assert!(said.contains("waits for job 1 (step `first`), which is available"), "{said}");
    let worker = world.worker("other,default");
    wait_until(|| world.why("1")["job"]["state"] == "failed");
    let said = world.bue(&["why", "1"]).expect(0).stdout;
    assert!(said.contains("no luck") && said.contains("bue reset 1"), "{said}");
    let said = world.bue(&["why", "2"]).expect(0).stdout;
    assert!(said.contains("job 1 failed"), "{said}");
    assert_eq!(world.why("2")["served_by"].as_array().map(Vec::len), Some(1));
    world.bue(&["why", "999"]).expect(3).says(&["no job 999"]);
    world.bue(&["why", "x"]).expect(2);
    drop(worker);
}

#[test]
fn a_job_is_run_again_beside_its_run() {
    let script = [
        step("first", "def first():\n    return {'rows': 'x' * 100000}"),
        step("second", "def second(x):\n    print('got', len(x['rows']))\n    raise ValueError('no luck')"),
        step("third", "def third(x):\n    return x"),
        "p = first | second | third\np()\n".to_owned(),
    ];
    let world = World::new(&script.concat());
    let run = world.upload();
    world.bue(&["run-job", "2"]).expect(3).says(&["job 2", "bue why"]);
    let worker = world.worker("default");
    world.bue(&["wait", &run]).expect(1);
    let before = world.bue(&["status", &run, "--json"]).expect(0).json();
    let ran = world.bue(&["run-job", "2"]).expect(1);
    assert_eq!(ran.stdout, "");
    ran.says(&["got 100000", "no luck", "step `second`", "x.bue"]);
    let ran = world.bue(&["run-job", "2", "--json"]).expect(1).json();
    assert_eq!((&ran["job"], &ran["step"], &ran["outcome"]), (&json!(2), &json!("second"), &json!("failed")));
    assert!(ran["log"].as_str().is_some_and(|log| log.contains("got 100000")) && ran["value"].is_null(), "{ran}");
    let ran = world.bue(&["run-job", "1", "--json"]).expect(0).json();
    assert_eq!((&ran["outcome"], &ran["error"]), (&json!("completed"), &Value::Null));
    assert_eq!(ran["value"]["rows"].as_str().map(str::len), Some(100_000));
    assert_eq!(world.bue(&["status", &run, "--json"]).expect(0).json(), before, "the run does not change");
    // what is left of the run, and then nothing
    let errors = world.bue(&["errors", &run, "--json", "-c", "5"]).expect(0).json();
    assert_eq!((&errors["run"], &errors["job"], &errors["step"]), (&json!(run), &json!(2), &json!("second")));
    assert_eq!(world.bue(&["errors", &run, "-c", "0"]).expect(0).stdout, "");
    world.bue(&["delete", &run]).expect(0);
    world.bue(&["status", &run]).expect(3).says(&["no run", "bue status"]);
    world.bue(&["delete", &run]).expect(3).says(&["no run"]);
    drop(worker);
}

#[test]
fn values_go_into_the_bucket_and_come_back() {
    let world = World::new("");
    world.project.write("report.csv", &"a,b\n".repeat(200_000));
    world.bue(&["bucket-get", "reports/today"]).expect(3).says(&["reports/today"]);
    world.bue(&["bucket-set", "reports/today", "report.csv"]).expect(0);
    let back = world.bue(&["bucket-get", "reports/today"]).expect(0).stdout;
    assert!(back == "a,b\n".repeat(200_000));
    let mut command = world.project.command(&["bucket-set", "reports/today", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("bue");
    child.stdin.take().expect("stdin").write_all(b"typed").expect("written");
    assert!(child.wait().expect("an end").success());
    assert_eq!(world.bue(&["bucket-get", "reports/today"]).expect(0).stdout, "typed");
    world.bue(&["bucket-delete", "reports/today"]).expect(0);
    world.bue(&["bucket-delete", "reports/today"]).expect(3).says(&["reports/today"]);
    for key in ["../../etc/passwd", "/etc/passwd", "a//b", ".."] {
        world.bue(&["bucket-set", key, "report.csv"]).expect(3).says(&["is not a valid key"]);
        world.bue(&["bucket-get", key]).expect(3).says(&["is not a valid key"]);
    }
    world.bue(&["bucket-set", "a", "missing.csv"]).expect(3).says(&["missing.csv"]);
    world.bue(&["bucket-set", "a", "."]).expect(3);
    world.bue(&["bucket-get", "a"]).expect(3).says(&["no value"]);
}

#[test]
fn a_status_is_shown_again_until_the_run_has_ended() {
    let world = World::new(&[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat());
    let run = world.upload();
    let mut command = world.project.command(&["status", &run, "-s", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("bue");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let mut state = || {
        let line = lines.next()?.expect("a line");
        Some(serde_json::from_str::<Value>(&line).expect("JSON")["state"].as_str().expect("a state").to_owned())
    };
    assert_eq!(state().as_deref(), Some("running"));
    let worker = world.worker("default");
    let mut last = String::new();
    while let Some(state) = state() {
        last = state;
    }
    assert_eq!(last, "completed");
    assert!(child.wait().expect("an end").success());
    drop(worker);
    let mut child = world.project.command(&["status", "-s"]).stdout(Stdio::piped()).spawn().expect("bue");
    let mut out = BufReader::new(child.stdout.take().expect("stdout"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert!(line.contains("run") && !line.contains('\u{1b}'), "no terminal, no drawing: {line:?}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    assert_eq!(child.wait().expect("an end").code(), Some(130));
}

/// Port 1 is nobody's; every verb goes on to the hub that is there.
#[test]
fn every_verb_takes_several_hubs() {
    let world = World::new(&[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat());
    let hubs = format!("127.0.0.1:1,{}", world.hub.address);
    let upload = world.bue(&["upload", "-b", &hubs, "-f", "x.bue"]).expect(0);
    let run = upload.stdout.trim();
    let arguments = ["worker", "-b", &hubs, "-s", "default"];
    let worker = Server::start(&world.folder, &arguments);
    for arguments in [
        &["wait", run][..],
        &["result", run],
        &["status", run],
        &["status"],
        &["errors", run],
        &["logs", "1"],
        &["why", "1"],
        &["run-job", "1"],
        &["cancel", run],
        &["reset", run],
        &["delete", run],
    ] {
        let arguments = [arguments, &["-b", &hubs]].concat();
        world.bue(&arguments).expect(0);
    }
    world.bue(&["status", "-b", "127.0.0.1:1, 127.0.0.1:2"]).expect(3).says(&["127.0.0.1:1", "127.0.0.1:2"]);
    world.bue(&["status", "-b", "127.0.0.1:1,nonsense"]).expect(2).says(&["nonsense"]);
    drop(worker);
}

/// The job is where its worker died, then elsewhere, and completes there.
#[test]
fn a_killed_workers_job_completes_elsewhere() {
    let code = "import time\ndef slow():\n    time.sleep(5)\n    return 'done'";
    let world = World::new(&[step("slow", code), "slow()\n".to_owned()].concat());
    let mut first = world.worker("default");
    let run = world.upload();
    wait_until(|| {
        let state = world.why("1")["job"]["state"].clone();
        assert_ne!(state, "completed", "this machine is too slow to see a step of five seconds run");
        state == "running"
    });
    let name = world.why("1")["job"]["worker"].as_str().expect("a name").to_owned();
    first.kill();
    let killed = Instant::now();
    let second = world.worker("default");
    wait_until(|| world.why("1")["job"]["worker"].as_str().is_some_and(|worker| worker != name));
    println!("it ran elsewhere {:.1} s after its worker was killed", killed.elapsed().as_secs_f64());
    world.bue(&["wait", &run]).expect(0);
    let why = world.why("1");
    assert_eq!(why["job"]["state"], "completed");
    assert_ne!(why["job"]["worker"], json!(name));
    assert_eq!(world.bue(&["result", &run]).expect(0).stdout, "\"done\"\n");
    drop(second);
}

/// Two processes want one new folder at the same instant: one has it, the other one says so.
#[test]
fn a_folder_is_kept_by_one_process() {
    prepare();
    let code = "import time\ndef f():\n    time.sleep(600)";
    let project = Project::new(&[("x.bue", &[step("f", code), "f()\n".to_owned()].concat())]);
    let start = || {
        let mut command = project.command(&["run", "x.bue", "--data", "data"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bue")
    };
    let mut both = [start(), start()];
    let mut ended = None;
    wait_until(|| {
        ended = both.iter_mut().position(|child| child.try_wait().expect("a state").is_some());
        ended.is_some()
    });
    let [first, second] = both;
    let (loser, winner) = if ended == Some(0) { (first, second) } else { (second, first) };
    let output = loser.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("in use by another process") && said.contains("data"), "{said}");
    assert!(Command::new("kill").args(["-INT", &winner.id().to_string()]).status().expect("kill").success());
    assert_eq!(winner.wait_with_output().expect("an end").status.code(), Some(130));
    let folder = TempDir::new().expect("a folder");
    let _bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let _hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db"]);
    for arguments in [
        ["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"],
        ["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db"],
    ] {
        let output = crate::project::bue().args(arguments).current_dir(folder.path()).output().expect("bue");
        assert_eq!(output.status.code(), Some(3));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("in use by another process"), "{said}");
    }
}

#[test]
fn settings_that_mean_nothing_are_said() {
    let project = Project::new(&[
        (".env", "USING_REDIS=true\nUSING_ZOOKEEPER=false\n"),
        ("bue.toml", "[worker]\nslot = 7\n"),
        (".bue/settings.yaml", "hub:\n  port: 1\n"),
    ]);
    let ran = project.bue(&["token", "list"]).expect(0);
    ran.says(&["USING_REDIS", "dir:PATH", "`worker.slot`", ".bue/settings.yaml", "bue.toml"]);
    assert!(!ran.stderr.contains("ZOOKEEPER"), "{}", ran.stderr);
    project.write(".env", "REVERSE_PRIORITY=perhaps\n");
    project.bue(&["worker", "-b", "127.0.0.1:1"]).expect(2).says(&["perhaps", "BUE_REVERSE"]);
}
