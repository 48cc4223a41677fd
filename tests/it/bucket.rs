//! The bucket as a process of its own: how much memory large values take, when values end, and what old runs leave.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::project::{Project, bue, prepare, step};
use crate::services::{Server, client};
use s3_server::S3Server;

#[path = "../../hub/tests/it/bucket/s3_server.rs"]
mod s3_server;

/// Bytes of a large value: several times what any process may take of memory.
const LARGE: usize = 256 << 20;
/// KiB of memory that a process may have written to, at any time.
const MOST: u64 = 64 << 10;
/// Bytes handed over at a time.
const PIECE: usize = 1 << 20;

/// What a process has written to and not given back, in KiB. The program's own file, which is mapped, does not count.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("KiB")
}

/// The most of it that was seen.
#[derive(Default)]
struct Peak(u64);

impl Peak {
    fn look(&mut self, process: u32) {
        self.0 = self.0.max(memory(process));
    }
}

fn start(project: &Project, arguments: &[&str]) -> Child {
    let mut command = project.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bue")
}

fn piece(number: usize) -> Vec<u8> {
    (0..PIECE).flat_map(|at| (at.wrapping_mul(31) ^ number).to_le_bytes()).take(PIECE).collect()
}

/// Sends a large value through `bue bucket-set` and `bucket-get`; the most memory that was seen of the command and of the server.
fn passes_in_little_memory(bucket: &Server, large: usize) {
    let project = Project::new(&[]);
    let (mut command, mut server) = (Peak::default(), Peak::default());
    let mut set = start(&project, &["bucket-set", "large", "-", "-k", &bucket.address]);
    let mut stdin = set.stdin.take().expect("stdin");
    for number in 0..large / PIECE {
        stdin.write_all(&piece(number)).expect("it reads");
        command.look(set.id());
        server.look(bucket.process());
    }
    drop(stdin);
    assert!(set.wait().expect("an end").success());

    let mut get = start(&project, &["bucket-get", "large", "-k", &bucket.address]);
    let mut stdout = get.stdout.take().expect("stdout");
    let mut read = vec![0; PIECE];
    for number in 0..large / PIECE {
        // it cannot have ended: the pipe does not hold what is left
        command.look(get.id());
        server.look(bucket.process());
        stdout.read_exact(&mut read).expect("a piece");
        assert!(read == piece(number), "piece {number}");
    }
    assert_eq!(stdout.read(&mut read).expect("the end"), 0);
    assert!(get.wait().expect("an end").success());
    println!("{} MiB: the command had {} KiB, the server {} KiB", large >> 20, command.0, server.0);
    assert!(command.0 < MOST && server.0 < MOST, "command {} KiB, server {} KiB", command.0, server.0);
}

#[test]
fn a_large_value_passes_in_little_memory() {
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    passes_in_little_memory(&bucket, LARGE);
    bucket.stop();
}

#[test]
fn a_large_value_passes_in_little_memory_to_s3() {
    let folder = TempDir::new().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(S3Server::start(folder.path()));
    let mut command = bue();
    let arguments = ["bucket", "-b", "127.0.0.1:0", "--store", &format!("s3:{}", server.place("bue"))];
    command.args(arguments).envs(S3Server::variables()).current_dir(folder.path());
    let bucket = Server::of(command);
    passes_in_little_memory(&bucket, LARGE);
    assert!(!bucket.said().contains(s3_server::SECRET));
    bucket.stop();
}

/// What the environment has may stand in `.env` too, and a store that does not let us in is said at once.
#[test]
fn a_bucket_on_s3_reads_its_credentials_from_the_settings() {
    let project = Project::new(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(S3Server::start(project.folder().path()));
    let arguments = ["bucket", "-b", "127.0.0.1:0", "--store", &format!("s3:{}", server.place(""))];
    project.write(".env", "AWS_ACCESS_KEY_ID=nobody\nAWS_SECRET_ACCESS_KEY=nothing\n");
    project.bue(&arguments).expect(3).says(&["failed to open the store s3:", "the S3 store refused"]);
    let lines = S3Server::variables().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    project.write(".env", &lines.collect::<String>());
    Server::start(project.folder(), &arguments).stop();
}

#[test]
fn a_value_ends_when_its_time_is_over() {
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let project = Project::new(&[("a.txt", "value")]);
    let at = ["-k", &bucket.address];
    let set = |key: &str, more: &[&str]| project.bue(&[&["bucket-set", key, "a.txt"], &at[..], more].concat());
    let get = |key: &str| project.bue(&[&["bucket-get", key], &at[..]].concat());
    set("stays", &[]).expect(0);
    set("long", &["--expires", "1h 30m"]).expect(0);
    set("short", &["--expires", "1s"]).expect(0);
    while get("short").code == 0 {}
    get("short").expect(3).says(&["no value called `short`"]);
    for key in ["stays", "long"] {
        assert_eq!(get(key).expect(0).stdout, "value");
    }
    while entries(&folder.path().join("blobs/expiring")) > 1 {}
    for time in ["0s", "soon", "-1s", "5"] {
        set("bad", &[&format!("--expires={time}")]).expect(2).says(&["is not a duration", "--expires", "7d"]);
    }
    set("bad", &["--expires", "900y"]).expect(3).says(&["cannot expire after"]);
    bucket.stop();
}

/// A run that ended is deleted after `--keep`, and what it left in the bucket goes after `--grace`.
#[test]
fn what_old_runs_leave_is_thrown_away() {
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
    let run = project.bue(&["upload", "-f", "x.bue", "--wait"]).expect(0).stdout.trim().to_owned();
    project.bue(&["bucket-set", "kept", "x.bue"]).expect(0);
    let blobs = folder.path().join("blobs");
    assert!(files(&blobs.join("blobs")) >= 3, "code, value and log");
    for server in [worker, hub] {
        server.stop();
    }

    // a hub that keeps runs for long throws nothing away
    let hub = start_hub("7d");
    while !blobs.join("owner").exists() {}
    project.write("bue.toml", &client(&hub, &bucket));
    assert_eq!(project.bue(&["result", &run, "--json"]).expect(0).values()[0], json!("x".repeat(100_000)));
    hub.stop();

    let hub = start_hub("1ms");
    while files(&blobs.join("blobs")) + files(&blobs.join("refs")) > 0 {}
    project.write("bue.toml", &client(&hub, &bucket));
    project.bue(&["status", &run]).expect(3).says(&["there is no run"]);
    assert!(project.bue(&["bucket-get", "kept"]).expect(0).stdout.contains("long()"));
    for server in [hub, bucket] {
        server.stop();
    }
}

#[test]
fn a_store_that_is_none_is_refused_with_a_hint() {
    let project = Project::new(&[]);
    for (store, words) in [
        ("s3:", "the bucket's name is missing"),
        ("s3:http://host/", "the bucket's name is missing"),
        ("s3:https://key:canary@host/bucket", "AWS_ACCESS_KEY_ID"),
        ("blobs", "--store dir:PATH"),
    ] {
        let ran = project.bue(&["bucket", "-b", "127.0.0.1:0", "--store", store]).expect(2);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
    }
    for (verb, flag) in [("hub", "--keep"), ("bucket", "--grace")] {
        project.bue(&[verb, "-b", "127.0.0.1:0", flag, "soon"]).expect(2).says(&["is not a duration", flag]);
    }
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}
