//! Errors of servers name the server: hub or bucket, with its address. And `bue reset` for all runs.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use bue_model::wire::{CONTENT_TYPE, WIRE_VERSION};
use tempfile::TempDir;

use crate::project::{Project, finish, prepare, python};
use crate::services::{Server, client};

const ONE: &str = "def one():\n    return 1";

/// A web server that is not ours, and requires a password.
fn foreign_server() -> SocketAddr {
    server_answering("401 Unauthorized", "text/html", b"<html>401 Authorization Required</html>".to_vec())
}

/// A server that gives every request the same answer.
fn server_answering(status: &'static str, content_type: &'static str, body: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    address
}

#[test]
fn a_refusal_names_the_server_that_refused() {
    let (open, guarded) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let tokens = Project::new(&[]);
    tokens.bue_writes(&["token", "new", "--role", "viewer"]).expect_code(0);
    fs::copy(tokens.path("bue.tokens"), guarded.path().join("bue.tokens")).expect("tokens");
    let bucket = Server::start(&guarded, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&open, &["hub", "-b", "127.0.0.1:0"]);
    let project = Project::new(&[("x.bue", &python("one", ONE, "one()")), ("bue.toml", &client(&hub, &bucket))]);
    let refused = project.bue(&["upload", "-f", "x.bue"]).expect_code(3);
    refused.expect_stderr(&[&format!("the bucket at {}", bucket.address), "token", "BUE_TOKEN"]);

    // one given as the other
    let status = project.bue(&["status", "-b", &bucket.address]).expect_code(3);
    status.expect_stderr(&[&format!("the server at {} is no hub of bue", bucket.address), "bucket"]);
    let get = project.bue(&["bucket-get", "-b", &hub.address, "-k", &hub.address, "key"]).expect_code(3);
    get.expect_stderr(&[&format!("the server at {} is no bucket of bue", hub.address), "hub"]);

    // a password of something else is no matter of our tokens
    let foreign = foreign_server().to_string();
    let status = project.bue(&["status", "-b", &foreign]).expect_code(3);
    status.expect_stderr(&[&format!("the server at {foreign} is no hub of bue"), "401"]);
    assert!(!status.stderr.contains("token"), "{}", status.stderr);
}

#[test]
fn a_hub_of_another_release_is_told_from_this_program_by_its_age() {
    let project = Project::new(&[]);
    for (version, older) in [
        (WIRE_VERSION - 1, "the hub is older; install bue "),
        (WIRE_VERSION + 1, "is older; install the hub's release here"),
    ] {
        // what it says of itself, and of everything else in a way that this release does not know
        let info = format!(r#"{{"version":"0.0.1","bucket":null,"scopes":[],"wire":{version}}}"#);
        let hub = server_answering("200 OK", "application/json", info.into_bytes()).to_string();
        for arguments in [&["status"][..], &["status", "--line"], &["why", "1"], &["pipelines"]] {
            let output = project.bue(&[arguments, &["-b", &hub]].concat()).expect_code(3);
            output.expect_stderr(&[&hub, &format!("version {version} of the messages"), older]);
        }
        let hub = server_answering("200 OK", CONTENT_TYPE, vec![version, 0]).to_string();
        let run = "00000000-0000-0000-0000-000000000001";
        let output = project.bue(&["result", run, "-b", &hub, "-k", &hub]).expect_code(3);
        output.expect_stderr(&[&hub, &format!("version {version} of the messages"), older]);
    }
}

/// The hub says the same to a client of another release.
#[test]
fn a_hub_says_which_side_of_a_request_is_older() {
    let folder = TempDir::new().expect("a folder");
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0"]);
    for (version, older) in [(WIRE_VERSION - 1, "the client is older"), (WIRE_VERSION + 1, "is older than the client")]
    {
        let mut stream = TcpStream::connect(&hub.address).expect("a connection");
        let head = format!(
            "POST /v1/leases HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: 1\r\n\r\n",
            hub.address
        );
        stream.write_all(&[head.as_bytes(), &[version]].concat()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("other_version") && answer.contains(older),
            "{answer}"
        );
    }
}

#[test]
fn a_reset_of_all_runs_needs_an_answer() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let _worker = Server::start(&folder, &["worker", "-b", &hub.address, "-s", "default"]);
    let failing = python("bad", "def bad():\n    raise ValueError('x')", "bad()");
    let project = Project::new(&[("x.bue", &failing), ("bue.toml", &client(&hub, &bucket))]);
    project.bue(&["reset"]).expect_code(0).expect_stderr(&["jobs reset: 0"]);
    for _ in 0..2 {
        project.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(1);
    }
    let refused = project.bue(&["reset"]).expect_code(2);
    refused.expect_stderr(&["reset 2 failed jobs of 2 runs?", "bue reset -y"]);
    project.bue(&["reset", "-y"]).expect_code(0).expect_stderr(&["jobs reset: 2"]);
}

/// Sandbox hosts have another working directory than the command.
#[test]
fn the_cache_may_be_a_relative_path() {
    prepare();
    let project = Project::script(&python("one", ONE, "one()"));
    let outside = crate::project::cache_dir();
    let up = "../".repeat(project.folder().path().components().count() - 1);
    let relative = format!("{up}{}", outside.strip_prefix("/").expect("an absolute path").display());
    let mut command = project.command(&["run", "x.bue"]);
    command.env("BUE_CACHE_DIR", relative);
    assert_eq!(finish(command).expect_code(0).stdout, "1\n");
}

#[test]
fn a_mistake_in_dotenv_has_its_line_and_shows_no_secret() {
    let project = Project::new(&[("x.bue", "# nothing\n"), (".env", "A=1\nSECRET hunter2=\n")]);
    let output = project.bue(&["run", "x.bue"]).expect_code(2);
    output.expect_stderr(&["failed to parse .env: line 2, from character "]);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
}

#[test]
fn a_file_that_cannot_be_read_is_no_text_problem() {
    let project = Project::script("import python (one) s.py\none()\n");
    // root may read everything, so a link to itself stands for a file without permission
    std::os::unix::fs::symlink("s.py", project.path("s.py")).expect("a link");
    let output = finish(project.command(&["run", "x.bue"]));
    output.expect_code(1).expect_stderr(&["failed to read `s.py`: ", "symbolic links"]);
}
