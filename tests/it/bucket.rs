//! The bucket as a separate process: memory for large values, expiry of values, and blobs of old runs.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use bue_test_support::process::{Watchdog, exit_status};
use bue_test_support::wait::wait_until;
use serde_json::json;
use tempfile::TempDir;

use crate::project::{Project, bue, prepare, step};
use crate::services::{Server, client};
use s3_server::S3Server;

#[path = "../../hub/tests/it/bucket/s3_server.rs"]
mod s3_server;

/// Bytes of a large value: twice the memory that any process may use.
const LARGE: usize = 128 << 20;
/// The most memory that a process may have written to at any time, in KiB.
const MAX_MEMORY: u64 = 64 << 10;
/// Bytes written or read at a time.
const CHUNK: usize = 1 << 20;

/// Returns the anonymous memory of a process, in KiB. Mapped files, such as the program itself, do not count.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("KiB")
}

/// The most memory that was measured.
#[derive(Default)]
struct Peak(u64);

impl Peak {
    fn measure(&mut self, process: u32) {
        self.0 = self.0.max(memory(process));
    }
}

fn start(project: &Project, arguments: &[&str]) -> Child {
    let mut command = project.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bue")
}

/// A chunk that differs from all others. It is made fast, because an unoptimized loop over every byte takes most of the test.
fn chunk(number: usize) -> Vec<u8> {
    let mut chunk = vec![u8::try_from(number % 251).expect("a byte"); CHUNK];
    chunk[..size_of::<usize>()].copy_from_slice(&number.to_le_bytes());
    chunk
}

/// Sends a large value through `bue bucket-set` and `bucket-get`, and checks how much memory the commands and the server use.
fn stream_in_little_memory(bucket: &Server, large: usize) {
    let project = Project::new(&[]);
    let (mut command, mut server) = (Peak::default(), Peak::default());
    let mut set = start(&project, &["bucket-set", "large", "-", "-k", &bucket.address]);
    let watchdog = Watchdog::new(&set);
    let mut stdin = set.stdin.take().expect("stdin");
    for number in 0..large / CHUNK {
        stdin.write_all(&chunk(number)).expect("it reads");
        command.measure(set.id());
        server.measure(bucket.pid());
    }
    drop(stdin);
    assert!(exit_status("bucket-set exits", &mut set).success());

    drop(watchdog);
    let mut get = start(&project, &["bucket-get", "large", "-k", &bucket.address]);
    let _watchdog = Watchdog::new(&get);
    let mut stdout = get.stdout.take().expect("stdout");
    let mut read = vec![0; CHUNK];
    for number in 0..large / CHUNK {
        // it cannot have exited: the pipe is too small for the rest
        command.measure(get.id());
        server.measure(bucket.pid());
        stdout.read_exact(&mut read).expect("a chunk");
        assert!(read == chunk(number), "chunk {number}");
    }
    assert_eq!(stdout.read(&mut read).expect("the end"), 0);
    assert!(exit_status("bucket-get exits", &mut get).success());
    println!("{} MiB: the command had {} KiB, the server {} KiB", large >> 20, command.0, server.0);
    assert!(command.0 < MAX_MEMORY && server.0 < MAX_MEMORY, "command {} KiB, server {} KiB", command.0, server.0);
}

#[test]
fn a_large_value_passes_in_little_memory() {
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    stream_in_little_memory(&bucket, LARGE);
    bucket.stop();
}

#[test]
fn a_large_value_passes_in_little_memory_to_s3() {
    let folder = TempDir::new().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(S3Server::start(folder.path()));
    let mut command = bue();
    let arguments = ["bucket", "-b", "127.0.0.1:0", "--store", &format!("s3:{}", server.location("bue"))];
    command.args(arguments).envs(S3Server::variables()).current_dir(folder.path());
    let bucket = Server::from_command(command);
    stream_in_little_memory(&bucket, LARGE);
    assert!(!bucket.stderr().contains(s3_server::SECRET));
    bucket.stop();
}

/// Credentials may be in the environment or in `.env`, and a store that refuses them is reported at once.
#[test]
fn a_bucket_on_s3_reads_its_credentials_from_the_settings() {
    let project = Project::new(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(S3Server::start(project.folder().path()));
    let arguments = ["bucket", "-b", "127.0.0.1:0", "--store", &format!("s3:{}", server.location(""))];
    project.write(".env", "AWS_ACCESS_KEY_ID=nobody\nAWS_SECRET_ACCESS_KEY=nothing\n");
    project.bue(&arguments).expect_code(3).expect_stderr(&["failed to open the store s3:", "the S3 store refused"]);
    let lines = S3Server::variables().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    project.write(".env", &lines.collect::<String>());
    Server::start(project.folder(), &arguments).stop();
}

#[test]
fn a_value_expires() {
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let project = Project::new(&[("a.txt", "value")]);
    let at = ["-k", &bucket.address];
    let set = |key: &str, more: &[&str]| project.bue(&[&["bucket-set", key, "a.txt"], &at[..], more].concat());
    let get = |key: &str| project.bue(&[&["bucket-get", key], &at[..]].concat());
    set("stays", &[]).expect_code(0);
    set("long", &["--expires", "1h 30m"]).expect_code(0);
    set("short", &["--expires", "1s"]).expect_code(0);
    wait_until("the value expires", || get("short").code != 0);
    get("short").expect_code(3).expect_stderr(&["no value called `short`"]);
    for key in ["stays", "long"] {
        assert_eq!(get(key).expect_code(0).stdout, "value");
    }
    let expiring = folder.path().join("blobs/expiring");
    wait_until("the expired value is deleted", || entries(&expiring) <= 1);
    for time in ["0s", "soon", "-1s", "5"] {
        set("bad", &[&format!("--expires={time}")]).expect_code(2).expect_stderr(&[
            "is not a duration",
            "--expires",
            "7d",
        ]);
    }
    set("bad", &["--expires", "900y"]).expect_code(3).expect_stderr(&["cannot expire after"]);
    bucket.stop();
}

/// A finished run is deleted after `--keep`, and its blobs in the bucket after `--grace`.
#[test]
fn old_runs_and_their_blobs_are_deleted() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let arguments = ["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs", "--grace", "1ms"];
    let bucket = Server::start(&folder, &arguments);
    let start_hub = |keep: &str| {
        let arguments = ["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "sqlite:hub.db", "--keep", keep];
        Server::start(&folder, &arguments)
    };
    let hub = start_hub("forever");
    let worker = Server::start(&folder, &["worker", "-b", &hub.address, "-k", &bucket.address]);
    let long = step("long", "def long():\n    print('said' * 50000)\n    return 'x' * 100000");
    let project = Project::new(&[("x.bue", &format!("{long}long()\n")), ("bue.toml", &client(&hub, &bucket))]);
    let run = project.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(0).stdout.trim().to_owned();
    project.bue(&["bucket-set", "kept", "x.bue"]).expect_code(0);
    let blobs = folder.path().join("blobs");
    assert!(files(&blobs.join("blobs")) >= 3, "code, value and log");
    for server in [worker, hub] {
        server.stop();
    }

    // a hub with a long `--keep` deletes nothing
    let hub = start_hub("7d");
    wait_until("the hub has asked for a collection", || blobs.join("owner").exists());
    project.write("bue.toml", &client(&hub, &bucket));
    assert_eq!(project.bue(&["result", &run, "--json"]).expect_code(0).values()[0], json!("x".repeat(100_000)));
    hub.stop();

    let hub = start_hub("1ms");
    let left = || files(&blobs.join("blobs")) + files(&blobs.join("refs"));
    wait_until("the blobs are deleted", || left() == 0);
    project.write("bue.toml", &client(&hub, &bucket));
    project.bue(&["status", &run]).expect_code(3).expect_stderr(&["there is no run"]);
    assert!(project.bue(&["bucket-get", "kept"]).expect_code(0).stdout.contains("long()"));
    for server in [hub, bucket] {
        server.stop();
    }
}

#[test]
fn an_invalid_store_is_refused_with_a_hint() {
    let project = Project::new(&[]);
    for (store, words) in [
        ("s3:", "the bucket's name is missing"),
        ("s3:http://host/", "the bucket's name is missing"),
        ("s3:https://key:canary@host/bucket", "AWS_ACCESS_KEY_ID"),
        ("blobs", "--store dir:PATH"),
    ] {
        let output = project.bue(&["bucket", "-b", "127.0.0.1:0", "--store", store]).expect_code(2);
        assert!(output.stderr.contains(words), "{}", output.stderr);
        assert!(!output.stderr.contains("canary"), "{}", output.stderr);
    }
    for (verb, flag) in [("hub", "--keep"), ("bucket", "--grace")] {
        project
            .bue(&[verb, "-b", "127.0.0.1:0", flag, "soon"])
            .expect_code(2)
            .expect_stderr(&["is not a duration", flag]);
    }
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Returns the number of files below a folder.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}
