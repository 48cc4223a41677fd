//! What steps print, seen while they run: `bue run --logs` and `bue logs -f`.
//!
//! In each test a step prints a line and then waits for a server that answers only after the test has seen the line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bue_test_support::wait::{DEADLINE, wait_until};
use tempfile::TempDir;

use crate::project::{Project, prepare, step};
use crate::services::{Server, client};

/// A server that answers each request when the test says so.
struct Gate {
    address: SocketAddr,
    open: Sender<()>,
}

impl Gate {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (open, opened) = channel::<()>();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                if opened.recv().is_err() {
                    return;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
            }
        });
        Self { address, open }
    }

    /// Lets one request through.
    fn open(&self) {
        self.open.send(()).expect("a server");
    }

    /// A step that prints `line`, waits for the gate, and prints `after LINE`.
    fn step(&self, name: &str, line: &str) -> String {
        let code = format!(
            "import urllib.request\n\
             def {name}():\n    \
                 print({line:?})\n    \
                 urllib.request.urlopen('http://{}/').read()\n    \
                 print('after ' + {line:?})\n    \
                 return 1",
            self.address
        );
        format!("!allow net {}\n{}", self.address, step(name, &code))
    }
}

/// Hub, bucket and a worker, and a project that uses them.
struct Services {
    project: Project,
    hub: Server,
    _servers: [Server; 2],
    _folder: TempDir,
}

impl Services {
    fn start(script: &str) -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
        let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
        let arguments =
            ["worker", "-b", &hub.address, "-k", &bucket.address, "-s", "default", "--allow-net", "127.0.0.1"];
        let worker = Server::start(&folder, &arguments);
        let project = Project::new(&[("x.bue", script), ("bue.toml", &client(&hub, &bucket))]);
        Self { project, hub, _servers: [bucket, worker], _folder: folder }
    }

    fn upload(&self) -> String {
        self.project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned()
    }
}

/// A running command whose output is read line by line.
struct Reading {
    child: Child,
    lines: Receiver<String>,
}

impl Reading {
    fn stdout(command: Command) -> Self {
        Self::start(command, |child| child.stdout.take().map(BufReader::<ChildStdout>::new))
    }

    fn stderr(command: Command) -> Self {
        Self::start(command, |child| child.stderr.take().map(BufReader::<ChildStderr>::new))
    }

    fn start<R: BufRead + Send + 'static>(mut command: Command, pipe: impl Fn(&mut Child) -> Option<R>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bue");
        let (pipe, (sender, lines)) = (pipe(&mut child).expect("a pipe"), channel());
        thread::spawn(move || pipe.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Returns the lines up to one that contains `text`.
    fn until(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("no `{text}`: {error}; {seen:?}"),
            }
            if seen.last().is_some_and(|line| line.contains(text)) {
                return seen;
            }
        }
    }

    /// Waits until it ends by itself. Returns its exit code and the remaining lines.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            rest.push(line);
        }
        (self.child.wait().expect("an end").code(), rest)
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

#[test]
fn run_shows_a_line_before_its_step_ends() {
    prepare();
    let gate = Gate::new();
    let project = Project::script(&format!("{}work()\n", gate.step("work", "first line")));
    let mut run = Reading::stderr(project.command(&["run", "x.bue", "--logs", "--allow-net", "127.0.0.1"]));
    let line = run.until("first line").pop().expect("a line");
    assert_eq!(line, "work[1]: first line");
    assert!(run.is_running(), "the step waits");
    gate.open();
    assert_eq!(run.until("after first line").pop().expect("a line"), "work[1]: after first line");
    let (code, rest) = run.end();
    assert_eq!(code, Some(0));
    assert!(!rest.iter().any(|line| line.contains("--logs")), "{rest:?}");
}

/// Nothing is lost when many short jobs print, and what hostile steps print does no harm.
#[test]
fn run_shows_every_line_of_every_job() {
    prepare();
    let rows = step("rows", "def rows():\n    return list(range(100))");
    let hostile = "def work(row):\n    \
        print('row', row)\n    \
        print('\\x1b]0;title\\x07\\x1b[2J\\u202ehidden\\r\\x9b31m')\n    \
        print('long ' + 'x' * 20000)\n    \
        return row";
    let script = format!("{rows}{}for row in rows():\n    work(row)\n", step("work", hostile));
    let output = Project::script(&script).bue(&["run", "x.bue", "--logs"]).expect_code(0);
    for row in 0..100 {
        assert!(output.stderr.lines().any(|line| line.ends_with(&format!("]: row {row}"))), "row {row}");
    }
    let is_harmless = |char: char| char == '\n' || !(char.is_control() || char == '\u{202e}');
    assert!(output.stderr.chars().all(is_harmless));
    assert_eq!(output.stderr.matches("]0;title[2Jhidden31m").count(), 100);
    let longest = output.stderr.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 10_000, "a line of {longest} bytes");
    assert_eq!(output.stderr.matches('x').count(), 100 * 20_000, "all of it in the end");
}

#[test]
fn run_says_how_much_was_printed() {
    prepare();
    let talking = step("talk", "def talk():\n    print('one')\n    print('two')\n    return 7");
    let output = Project::script(&format!("{talking}talk()\n")).bue(&["run", "x.bue"]).expect_code(0);
    output.expect_stderr(&["bue: the steps printed 2 lines (8 bytes); `bue run --logs` shows them"]);
    assert!(!output.stderr.contains("one"), "{}", output.stderr);
    assert_eq!(output.stdout, "7\n");
    let silent = step("silent", "def silent():\n    return 7");
    let output = Project::script(&format!("{silent}silent()\n")).bue(&["run", "x.bue"]).expect_code(0);
    assert!(!output.stderr.contains("printed"), "{}", output.stderr);
}

#[test]
fn logs_follows_a_job_and_a_run() {
    let gate = Gate::new();
    let quiet = step("quiet", "def quiet():\n    print('not wanted')\n    return 1");
    let script = format!("{quiet}{}quiet()\nwork()\n", gate.step("work", "first line"));
    let services = Services::start(&script);
    let run = services.upload();
    let status = || services.project.bue(&["status", &run, "--json"]).expect_code(0).json();
    wait_until("the step runs", || {
        status()["steps"].as_array().expect("a list").iter().any(|step| step["name"] == "work" && step["running"] == 1)
    });

    // the step has printed before anyone follows it; each reader gets the log from its beginning
    let of_job = Reading::stdout(services.project.command(&["logs", "-f", "2"]));
    let line = of_job.until("first line").pop().expect("a line");
    assert!(line.contains("Z first line"), "{line}");
    let mut of_run = Reading::stdout(services.project.command(&["logs", "-f", &run, "--step", "work"]));
    let line = of_run.until("first line").pop().expect("a line");
    assert!(line.contains("Z work[2]: first line"), "{line}");
    services.project.bue(&["logs", "2"]).expect_code(0).expect_stderr(&["job 2 is running; `bue logs -f 2` shows"]);
    assert!(of_run.is_running(), "the step waits");

    gate.open();
    for reading in [of_job, of_run] {
        let (code, rest) = reading.end();
        assert_eq!(code, Some(0));
        assert!(rest.len() == 1 && rest[0].ends_with("after first line"), "{rest:?}");
    }
    // a job that has ended is printed at once
    let ended = services.project.bue(&["logs", "-f", "2"]).expect_code(0);
    assert_eq!(ended.stdout, services.project.bue(&["logs", "2"]).expect_code(0).stdout);
    assert_eq!(ended.stdout.lines().count(), 2);
    services.project.bue(&["logs", "-f", "2", "--step", "work"]).expect_code(2).expect_stderr(&["--step needs a run"]);
    services.project.bue(&["logs", &run]).expect_code(2).expect_stderr(&["bue logs -f"]);
    services.project.bue(&["logs", "-f", "77"]).expect_stderr(&["77"]);
}

/// Returns the metrics of a hub.
fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("metrics");
    text
}

/// The reader reconnects, the worker sends the log again, and no line comes twice.
#[test]
fn following_continues_after_the_hub_restarts() {
    let gate = Gate::new();
    let mut services = Services::start(&format!("{}work()\n", gate.step("work", "first line")));
    let run = services.upload();
    let follow = Reading::stdout(services.project.command(&["logs", "-f", &run]));
    follow.until("first line");
    services.hub.kill();
    let address = services.hub.address.clone();
    let folder = &services._folder;
    services.hub = Server::start(folder, &["hub", "-b", &address]);
    wait_until("the reader is back", || metrics(&address).contains("bue_event_listeners 1"));
    gate.open();
    let (code, rest) = follow.end();
    assert_eq!(code, Some(0));
    assert!(rest.len() == 1 && rest[0].contains("work[1]: after first line"), "{rest:?}");
}
