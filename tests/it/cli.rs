//! Usage, help, settings, pipes, Ctrl-C.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use bue_test_support::process::{self, Lines, exit_status};

use crate::project::{Project, bue, prepare, python, step};

#[test]
fn every_verb_has_help() {
    let project = Project::new(&[]);
    let help = project.bue(&["--help"]).expect_code(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").expect("a list of commands");
    let commands = commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let verbs = commands.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_whitespace().next());
    // and an alias
    for verb in verbs.filter(|verb| *verb != "help").chain(["submit"]) {
        let output = project.bue(&[verb, "--help"]).expect_code(0);
        assert!(output.stdout.contains("Usage: bue"), "{verb}: {}", output.stdout);
        assert!(output.stdout.lines().next().is_some_and(|line| line.len() > 20), "{verb} says what it does");
    }
    assert!(!help.contains("sandbox-host"), "{help}");
    for flag in ["--version", "-v", "-V"] {
        assert!(project.bue(&[flag]).expect_code(0).stdout.starts_with("bue "), "{flag}");
    }
}

/// Flags of Buelon work, or print why they have no effect; none is ignored silently.
#[test]
fn flags_of_buelon_are_accepted() {
    prepare();
    let project = Project::script(&format!("{}one()\n", step("one", "def one():\n    return 1")));
    assert_eq!(project.bue(&["run", "-f", "x.bue"]).expect_code(0).stdout, "1\n");
    project.bue(&["run", "x.bue", "-f", "x.bue"]).expect_code(2);
    project.bue(&["where", "--json"]).expect_code(0);
    // nothing listens there, so each fails after its note
    for (arguments, note) in [
        (&["upload", "-b", "127.0.0.1:1", "-f", "x.bue", "-l"][..], "-l has no effect"),
        (&["submit", "-b", "127.0.0.1:1", "-f", "x.bue", "-s", "a"], "-s has no effect"),
        (&["hub", "-b", "nonsense", "-p", "h:1:u:p:d"], "-p has no effect"),
        (&["worker", "-b", "nonsense:", "-j", "true", "-a"], "-j has no effect"),
    ] {
        let output = project.bue(arguments);
        assert_ne!(output.code, 0, "{arguments:?}");
        output.expect_stderr(&[note]);
    }
}

#[test]
fn wrong_usage_is_code_2() {
    let project = Project::new(&[("x.bue", "")]);
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["run"],
        &["run", "x.bue", "--nonsense"],
        &["plan", "x.bue", "--format", "svg"],
        &["hub", "-b", "nonsense"],
        &["result", "not-an-id"],
    ] {
        let output = project.bue(arguments).expect_code(2);
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn an_unreachable_hub_is_code_3() {
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    // no server listens on port 1
    project.bue(&["status", "-b", "127.0.0.1:1"]).expect_code(3).expect_stderr(&["127.0.0.1:1"]);
    let arguments = ["upload", "-b", "127.0.0.1:1", "-k", "127.0.0.1:1", "-f", "x.bue"];
    project.bue(&arguments).expect_code(3).expect_stderr(&["127.0.0.1:1"]);
}

/// A web page of another server, a hub of another release, or garbage.
#[test]
fn a_server_that_is_not_a_hub_of_this_release_is_code_3() {
    let answers: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>", "is no hub of bue"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.bue.postcard\r\ncontent-length: 2\r\n\r\n\xc8\x00",
            "is older",
        ),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "is no hub of bue"),
        (b"\x00\xff garbage", "127.0.0.1"),
    ];
    let project = Project::new(&[]);
    for (answer, expected) in answers {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
            }
        });
        // with the bucket's address given, the first request is for the results
        let arguments = ["result", "01900000-0000-7000-8000-000000000000", "-b", &address, "-k", "127.0.0.1:1"];
        project.bue(&arguments).expect_code(3).expect_stderr(&[expected, &address]);
    }
}

#[test]
fn settings_come_from_the_environment_and_from_files() {
    let project = Project::new(&[(".env", "PIPE_WORKER_HOST=127.0.0.1\nPIPE_WORKER_PORT=2\n")]);
    project.bue(&["status"]).expect_code(3).expect_stderr(&["127.0.0.1:2"]);
    let mut command = project.command(&["status"]);
    command.env("BUE_HUB", "127.0.0.1:3");
    let output = process::output(&mut command).expect("bue");
    assert!(String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:3"));
    project.bue(&["status", "-b", "127.0.0.1:4"]).expect_code(3).expect_stderr(&["127.0.0.1:4"]);

    let project = Project::new(&[("bue.toml", "[client]\nhub = '127.0.0.1:5'\n")]);
    project.bue(&["status"]).expect_code(3).expect_stderr(&["127.0.0.1:5"]);
    let project = Project::new(&[("bue.toml", "not toml")]);
    project.bue(&["status"]).expect_code(2).expect_stderr(&["bue.toml"]);
}

#[test]
fn a_failing_environment_is_code_3_with_a_reason() {
    prepare();
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    project.write("broken/hub.db", &"no database ".repeat(1000));
    project
        .bue_writes(&["run", "x.bue", "--data", "broken"])
        .expect_code(3)
        .expect_stderr(&["hub's database", "not a database"]);
    project.bue(&["run", "x.bue", "--data", "x.bue"]).expect_code(3).expect_stderr(&["x.bue"]);
    let output = process::output(project.command(&["run", "x.bue"]).env("BUE_CACHE_DIR", "/proc/none")).expect("bue");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/proc/none"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    prepare();
    let project = Project::script(&python("big", "def big():\n    return ['x' * 100] * 5000", "big()"));
    let mut command = project.command(&["run", "x.bue"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bue");
    drop(child.stdout.take());
    let output = process::child_output("bue run", child);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panic"), "{stderr}");
}

#[test]
fn ctrl_c_stops_a_run_with_code_130() {
    prepare();
    let code = "import time\ndef f(*args):\n    time.sleep(600)";
    let project = Project::script(&[step("f", code), "f()\n".to_owned()].concat());
    let mut child =
        project.command(&["run", "x.bue"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("bue");
    let lines = Lines::new(child.stderr.take().expect("stderr"));
    // when the progress is printed, the step sleeps
    lines.find("1 running");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    let remaining = lines.remaining();
    assert_eq!(exit_status("bue run exits", &mut child).code(), Some(130), "{remaining:?}");
    assert!(remaining.iter().any(|line| line.contains("interrupted")), "{remaining:?}");
}

#[test]
fn completions_are_scripts() {
    let project = Project::new(&[]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(project.bue(&["completions", shell]).expect_code(0).stdout.contains("upload"), "{shell}");
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let project = Project::new(&[]);
    project.bue_writes(&["man", "man/man1"]).expect_code(0);
    let page = |name: &str| fs::read_to_string(project.path("man/man1").join(name)).expect("a page");
    assert!(page("bue.1").contains(".TH bue 1"));
    assert!(page("bue-run.1").contains("allow"));
    assert!(page("bue-schedule-add.1").contains("cron"));
    assert!(!project.path("man/man1/bue-sandbox-host.1").exists());
    project.bue(&["man", "/proc/none"]).expect_code(3).expect_stderr(&["/proc/none"]);
}

#[test]
fn no_colour_reaches_a_file() {
    let output = Project::script("b()\n").bue(&["check", "x.bue"]).expect_code(1);
    assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    let output = process::output(bue().args(["check", "--help"])).expect("bue");
    assert!(!output.stdout.contains(&0x1b));
}
