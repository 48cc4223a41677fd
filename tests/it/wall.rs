//! The wall around sandboxes, as the command raises and reports it. What it stops is tested in `runtime/tests/wall`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use bue_model::WallPart;
use bue_runtime::{Egress, HostLifecycle, Hosts, HostsConfig, Prepared, RuntimeError, Sites, WallMode};
use bue_test_support::wait::wait_until;
use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::project::{CommandOutput, Project, cache_dir, finish, prepare, python, state_dir};
use crate::services::Server;

fn parts() -> [&'static str; 4] {
    WallPart::ALL.map(WallPart::name)
}

/// Runs a command in a thread that lacks Landlock, and so do the processes that it starts.
fn finish_without_landlock(command: Command) -> CommandOutput {
    finish_without(&[libc::SYS_landlock_create_ruleset, libc::SYS_landlock_restrict_self], command)
}

/// Runs a command in a thread whose kernel does not know these system calls, like that of an older Linux.
fn finish_without(calls: &[i64], command: Command) -> CommandOutput {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64).expect("a filter");
    let filter: seccompiler::BpfProgram = filter.try_into().expect("a filter");
    std::thread::scope(|scope| {
        let limited = scope.spawn(move || {
            apply_filter(&filter).expect("a filter");
            finish(command)
        });
        limited.join().expect("no panic")
    })
}

#[test]
fn a_kernel_that_is_too_old_is_named_and_calls_that_newer_ones_added_are_not_needed() {
    prepare();
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    let run = || project.command(&["run", "x.bue"]);
    for (call, name) in [(libc::SYS_memfd_create, "memfd_create"), (libc::SYS_getrandom, "getrandom")] {
        finish_without(&[call], run()).expect_code(3).expect_stderr(&[name, "Linux 3.17", "not implemented"]);
    }
    // not `rseq`: glibc ends a process whose threads have it only in part, and this test is the first of its threads
    let newer = [
        libc::SYS_seccomp,
        libc::SYS_statx,
        libc::SYS_pidfd_open,
        libc::SYS_clone3,
        libc::SYS_close_range,
        libc::SYS_openat2,
        libc::SYS_landlock_create_ruleset,
    ];
    assert_eq!(finish_without(&newer, run()).expect_code(0).stdout, "1\n");
}

#[test]
fn a_worker_explains_its_wall() {
    let project = Project::new(&[]);
    let output = project.bue(&["worker", "--explain-wall", "--wall", "require"]).expect_code(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), parts().len(), "{output:?}");
    for (line, part) in lines.iter().zip(parts()) {
        assert!(line.starts_with(part) && line.contains(" up"), "{line}");
    }

    let arguments = ["worker", "--explain-wall"];
    let output = finish_without_landlock(project.command(&arguments)).expect_code(0);
    let line = output.stdout.lines().find(|line| line.starts_with("landlock")).expect("a line");
    assert!(line.contains("missing") && line.contains("lsm="), "{line}");
    let required = finish_without_landlock(project.command(&[&arguments[..], &["--wall", "require"]].concat()));
    assert!(required.code != 0 && required.stderr.contains("missing"), "{required:?}");
}

#[test]
fn a_worker_requires_a_wall() {
    prepare();
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    let bucket = Server::start(project.folder(), &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(project.folder(), &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let worker = |wall: &str| project.command(&["worker", "-b", &hub.address, "--wall", wall]);
    let refused = finish_without_landlock(worker("require"));
    assert!(refused.code != 0, "{refused:?}");
    refused.expect_stderr(&["landlock is missing", "lsm="]);
    let refused = finish_without_landlock(project.command(&["run", "--wall", "require", "x.bue"]));
    assert!(refused.code != 0, "{refused:?}");
    refused.expect_stderr(&["landlock is missing"]);

    let worker = Server::from_command(worker("require"));
    wait_until("the wall is logged", || worker.stderr_count("the wall around sandboxes is up") == 1);
    for part in parts() {
        let line = format!("bue_worker_walls{{part=\"{part}\"}} 1\n");
        wait_until(&line, || get(&hub.address, "/metrics").contains(&line));
    }
    project.bue_writes(&["run", "--wall", "require", "x.bue"]).expect_code(0);
    worker.stop();
}

/// The body of an answer, and its head.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The same test as in `runtime/tests/wall`, with the shipped command as the sandbox host.
#[test]
fn the_command_has_the_wall_that_stops_a_host_that_was_broken_out_of() {
    prepare();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("victim"), "victim").expect("written");
    let key = state_dir().join("sandbox.key");
    assert!(key.is_file(), "{}", key.display());
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let arguments = ["sandbox-host", "--as-if-escaped", &text(&key), &text(folder.path()), "1"];
    let prepared = Prepared::open(cache_dir(), &state_dir(), &|_| ()).expect("prepared");
    let config = HostsConfig {
        command: (PathBuf::from(env!("CARGO_BIN_EXE_bue")), arguments.map(Into::into).to_vec()),
        hosts: 1,
        packages: Some(Sites::open(&prepared).expect("a folder")),
        prepared,
        egress: Egress::closed(),
        wall: WallMode::Best,
        lifecycle: HostLifecycle::default(),
    };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = match tokio.block_on(Hosts::start(config)) {
        Err(RuntimeError::Refused(report)) => report,
        other => panic!("{:?}", other.map(|_| ())),
    };
    let open: Vec<_> = report.lines().filter(|line| line.ends_with("\t0")).collect();
    assert!(open.is_empty() && report.lines().count() >= 120, "{open:?}");
}

#[test]
fn a_relative_cache_works() {
    prepare();
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    std::os::unix::fs::symlink(cache_dir(), project.path("cache")).expect("a link");
    let mut command = project.command(&["run", "x.bue"]);
    command.env("BUE_CACHE_DIR", "cache");
    assert_eq!(finish(command).expect_code(0).stdout, "1\n");
}
