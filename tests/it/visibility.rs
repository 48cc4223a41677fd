//! What users see of runs and jobs: lists of jobs, short ids, scopes without a worker, times, narrow terminals.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use bue_test_support::process::{Lines, exit_status};
use bue_test_support::wait::{DEADLINE, wait_until};
use serde_json::{Value, json};

use crate::project::{Project, finish, prepare, step};
use crate::services::Server;
use crate::verbs::Services;

/// A loop over six numbers of which some fail, and a step behind it.
fn loop_script() -> String {
    let work = "def work(n):\n    if n % 2:\n        raise ValueError(f'bad {n}')\n    return n";
    let script = [
        step("numbers", "def numbers():\n    return [0, 1, 2, 3, 4, 5]"),
        step("work", work),
        step("store", "def store(n):\n    return n"),
        "p = work | store\nfor n in numbers():\n    p(n)\n".to_owned(),
    ];
    script.concat()
}

fn jobs(services: &Services, arguments: &[&str]) -> Vec<(String, u64, String)> {
    let page = services.bue(&[&["status", "last", "--json"], arguments].concat()).expect_code(0).json();
    let text = |job: &Value, key: &str| job[key].as_str().expect("a text").to_owned();
    let entry = |job: &Value| (text(job, "step"), job["rounds"][0]["round"].as_u64().unwrap_or(0), text(job, "state"));
    page["jobs"].as_array().expect("jobs").iter().map(entry).collect()
}

#[test]
fn jobs_are_listed_by_state_and_step() {
    let services = Services::new(&loop_script());
    let run = services.upload();
    let worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(1);
    assert_eq!(jobs(&services, &["--jobs"]).len(), 1 + 6 + 6);
    let failed: Vec<_> = [2, 4, 6].map(|round| ("work".to_owned(), round, "failed".to_owned())).to_vec();
    assert_eq!(jobs(&services, &["--state", "failed"]), failed);
    assert_eq!(jobs(&services, &["--jobs", "--step", "work", "--state", "failed"]), failed);
    let blocked: Vec<_> = [2, 4, 6].map(|round| ("store".to_owned(), round, "blocked".to_owned())).to_vec();
    assert_eq!(jobs(&services, &["--step", "store", "--state", "blocked"]), blocked);
    // the table names the number that other verbs take, and says how to list more
    let table = services.bue(&["status", &run, "--state", "failed", "--limit", "2"]).expect_code(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].trim_start().starts_with("job") && lines.len() == 4, "{table}");
    let number = lines[1].split_whitespace().next().expect("a number");
    assert!(lines[1].contains("2/6") && lines[1].contains("ValueError: bad 1"), "{table}");
    assert!(services.bue(&["why", number]).expect_code(0).stdout.contains("bad 1"));
    let after = lines[3].split("--after ").nth(1).and_then(|rest| rest.split('`').next()).expect("where to go on");
    let rest = services.bue(&["status", &run, "--state", "failed", "--after", after]).expect_code(0).stdout;
    assert!(rest.contains("6/6") && !rest.contains("2/6") && !rest.contains("--after"), "{rest}");
    services
        .bue(&["status", &run, "--step", "nothing"])
        .expect_code(1)
        .expect_stderr(&["no step `nothing`", "`store`"]);
    services.bue(&["status", &run, "--state", "done"]).expect_code(2).expect_stderr(&["blocked, available, running"]);
    services.bue(&["status", "--jobs"]).expect_code(2);
    drop(worker);
}

/// The first digits of an id, `last`, and what names no run, for each verb that takes one.
#[test]
fn a_run_is_named_by_its_first_digits_or_as_the_last_one() {
    let services = Services::new(&[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat());
    services.bue(&["status", "last"]).expect_code(1).expect_stderr(&["no runs"]);
    let first = services.upload();
    let second = services.upload();
    let worker = services.worker("default");
    for run in [&first, &second] {
        let prefix = &run[..13];
        for arguments in [
            &["wait", prefix][..],
            &["status", prefix],
            &["status", prefix, "--jobs"],
            &["result", prefix],
            &["errors", prefix],
            &["cancel", prefix],
            &["reset", prefix],
        ] {
            services.bue(arguments).expect_code(0);
        }
        let status = services.bue(&["status", &prefix.to_uppercase(), "--json"]).expect_code(0).json();
        assert_eq!(status["id"], json!(run));
    }
    let last = services.bue(&["status", "last", "--json"]).expect_code(0).json();
    assert_eq!(last["id"], json!(second));
    // no id begins with both of these
    let missing = if first.starts_with("ffff") || second.starts_with("ffff") { "eeee" } else { "ffff" };
    let missing_id = format!("{missing}0000-0000-4000-8000-000000000000");
    for verb in ["wait", "status", "result", "errors", "cancel", "reset", "delete"] {
        let expected = format!("no run whose id begins with `{missing}`");
        services.bue(&[verb, missing]).expect_code(1).expect_stderr(&[&expected]);
        services.bue(&[verb, &missing_id]).expect_code(1).expect_stderr(&["there is no run", &missing_id]);
        services.bue(&[verb, "abc"]).expect_code(2);
    }
    for arguments in [&["why", "999"][..], &["logs", "999"], &["run-job", "999"], &["cancel", "999"], &["reset", "999"]]
    {
        services.bue(arguments).expect_code(1).expect_stderr(&["there is no job 999"]);
    }
    services.bue(&["delete", "last"]).expect_code(0);
    services.bue(&["status", &second]).expect_code(1);
    services.bue(&["status", &first]).expect_code(0);
    drop(worker);
}

/// Submits a run of nothing under this id, which only the HTTP API allows.
fn submit_as(services: &Services, id: &str) {
    let plan = json!({ "version": 1, "steps": [], "nodes": [], "calls": [] });
    let body = json!({ "run": id, "name": "empty.bue", "plan": plan, "code": [] }).to_string();
    let mut stream = TcpStream::connect(&services.hub.address).expect("the hub");
    let head = "POST /v1/runs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("sent");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn an_ambiguous_name_lists_the_candidates() {
    let services = Services::new(&[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat());
    let (first, second) = ("abcd0000-0000-4000-8000-000000000001", "abcd0000-0000-4000-8000-000000000002");
    let digits = "12345678-0000-4000-8000-000000000000";
    for id in [first, second, digits] {
        submit_as(&services, id);
    }
    for verb in ["status", "wait", "result", "errors", "cancel", "reset", "delete"] {
        services.bue(&[verb, "abcd0"]).expect_code(1).expect_stderr(&[
            "`abcd0` is ambiguous",
            first,
            second,
            "empty.bue",
        ]);
    }
    services.bue(&["result", &second[..second.len() - 1]]).expect_code(1).expect_stderr(&["ambiguous"]);
    // digits alone may be a job's number: there is no job 1234
    services.bue(&["cancel", "1234"]).expect_code(0);
    assert_eq!(services.bue(&["status", "1234", "--json"]).expect_code(0).json()["id"], json!(digits));
}

#[test]
fn a_scope_without_a_worker_is_reported_at_once() {
    let heavy = "def heavy():\n    return 1";
    let script = [
        "!scope heavy\n".to_owned(),
        step("heavy", heavy),
        step("other", "def other():\n    return 2"),
        "heavy()\nother()\n".to_owned(),
    ];
    let services = Services::new(&script.concat());
    let expected = ["no worker serves scope `heavy`", "2 jobs waiting: `heavy`, `other`", "bue worker -s heavy"];
    let upload = services.bue(&["upload", "-f", "x.bue"]).expect_code(0);
    upload.expect_stderr(&expected);
    let run = upload.stdout.trim();
    let other = services.worker("default");
    services.bue(&["status", run]).expect_code(0).expect_stderr(&expected);
    services.bue(&["status"]).expect_code(0).expect_stderr(&expected);
    let mut wait = services.project.command(&["wait", run]).stderr(Stdio::piped()).spawn().expect("bue");
    let lines = Lines::new(wait.stderr.take().expect("stderr"));
    expected.iter().for_each(|part| drop(lines.find(part)));
    let view = || services.bue(&["status", run, "--json"]).expect_code(0).json();
    assert_eq!(
        view()["unserved"],
        json!([{ "scope": "heavy", "steps": ["heavy", "other"], "more_steps": 0, "jobs": 2 }])
    );
    let worker = services.worker("heavy");
    assert!(exit_status("bue wait exits", &mut wait).success());
    wait_until("the run has ended", || view()["state"] == "completed");
    assert_eq!(view()["unserved"], json!([]));
    assert_eq!(services.bue(&["status", run]).expect_code(0).stderr, "");
    assert_eq!(services.bue(&["upload", "-f", "x.bue"]).expect_code(0).stderr, "");
    drop((worker, other));
}

#[test]
fn check_asks_the_hub_whether_its_workers_can_run_a_script() {
    let script = [
        "!allow net api.example.com\n!allow tcp redis.example.com:6379\n!allow secret KEY\n".to_owned(),
        step("load", "def load():\n    return 1"),
        "load()\n".to_owned(),
    ];
    let services = Services::new(&script.concat());
    let check = || services.bue(&["check", "x.bue", "--workers"]);
    check().expect_code(1).expect_stderr(&["step `load`", "no worker of the hub serves the scope `default`", "x.bue:"]);
    let worker = services.worker("default");
    let view = || services.bue(&["check", "x.bue", "--workers", "--json"]).json();
    wait_until("the hub knows the worker", || view().to_string().contains("not permitted"));
    let complaints = view()["complaints"].as_array().expect("complaints").clone();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(complaints.iter().all(|complaint| complaint["severity"] == "error" && complaint["line"].is_u64()));
    check().expect_code(1).expect_stderr(&["`!allow net api.example.com`", "--allow-net", "`KEY`", "BUE_SECRET_KEY"]);
    check().expect_code(1).expect_stderr(&["`!allow tcp redis.example.com:6379`", "--allow-tcp"]);
    drop(worker);
    // without --workers, the hub is not asked
    services.bue(&["check", "x.bue"]).expect_code(0);
    let folder = &services.folder;
    let mut command = crate::project::bue();
    command
        .args(["worker", "-b", &services.hub.address, "-s", "permitted", "--allow-net"])
        .args(["--allow-tcp", "*.example.com:6379"])
        .env("BUE_SECRET_KEY", "k");
    command.current_dir(folder.path());
    let worker = Server::from_command(command);
    services.project.write("x.bue", &format!("!scope permitted\n{}", script.concat()));
    wait_until("the hub knows the worker", || check().code == 0);
    drop(worker);
}

/// Every line of every table fits into fifty columns, also with long names.
#[test]
fn tables_fit_into_fifty_columns() {
    let long = "a_step_with_a_name_that_is_longer_than_fifty_columns";
    let script = [step(long, &format!("def {long}():\n    raise ValueError('x' * 90)")), format!("{long}()\n")];
    let services = Services::new(&script.concat());
    let run = services.upload();
    let worker = services.worker("default");
    services.bue(&["wait", &run]).expect_code(1);
    for arguments in [&["status"][..], &["status", &run], &["status", &run, "--jobs"]] {
        let mut command = services.project.command(arguments);
        command.env("COLUMNS", "50");
        let output = finish(command).expect_code(0).stdout;
        assert!(output.lines().all(|line| line.chars().count() <= 50), "{output}");
        assert!(output.contains("failed"), "{output}");
        assert_eq!(output.contains('…'), arguments.len() > 1, "long names are cut: {output}");
    }
    let text = services.bue(&["status", &run]).expect_code(0).stdout;
    assert!(text.contains(&run) && text.contains("started ") && text.contains("took "), "{text}");
    let list = services.bue(&["status"]).expect_code(0).stdout;
    assert!(list.contains(&run) && list.contains("took"), "without a terminal, ids are whole: {list}");
    drop(worker);
}

#[test]
fn a_worker_serves_the_scopes_of_its_token() {
    prepare();
    let script = ["!scope eu\n", &step("one", "def one():\n    return 1"), "one()\n"].concat();
    let project = Project::new(&[("x.bue", &script)]);
    let token = |arguments: &[&str]| {
        let all = [&["token", "new"], arguments].concat();
        project.bue_writes(&all).expect_code(0).stdout.trim().to_owned()
    };
    let admin = token(&["--role", "admin"]);
    let scoped = token(&["--role", "worker", "--scopes", "eu,eu-slow"]);
    let bucket = Server::start(project.folder(), &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(project.folder(), &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let start = |token: &str| {
        let mut command = project.command(&["worker", "-b", &hub.address]);
        command.env("BUE_TOKEN", token);
        Server::from_command(command)
    };
    let worker = start(&scoped);
    assert!(worker.stderr().contains("using those of the token"), "{}", worker.stderr());
    wait_until("the worker names its scopes", || worker.stderr().contains(" serves eu, eu-slow"));
    let mut command = project.command(&["upload", "-b", &hub.address, "-f", "x.bue", "--wait"]);
    command.env("BUE_TOKEN", &admin);
    finish(command).expect_code(0);
    assert!(!worker.stderr().contains("failed to lease"), "{}", worker.stderr());
    let unscoped = start(&admin);
    wait_until("the worker names its scopes", || unscoped.stderr().contains("production-heavy"));
    assert!(!unscoped.stderr().contains("those of the token"), "{}", unscoped.stderr());
    drop((worker, unscoped));
}

#[test]
fn the_anti_starvation_share_is_a_number_or_off() {
    let project = Project::new(&[]);
    for share in ["0", "-1", "often"] {
        let argument = format!("--anti-starvation={share}");
        project.bue(&["worker", "-b", "127.0.0.1:1", &argument]).expect_code(2).expect_stderr(&[share, "`off`"]);
    }
}
