//! Hub, bucket and worker as separate processes, and the verbs that use them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bue_test_support::wait::{DEADLINE, wait_until};
use serde_json::json;
use tempfile::TempDir;

use crate::network::server;
use crate::project::{CommandOutput, Project, bue, prepare, step};

/// A server process that is killed at the end of the test.
pub(crate) struct Server {
    child: Child,
    /// The address that it announced; empty for a worker.
    pub(crate) address: String,
    stderr: Arc<Mutex<String>>,
}

/// Collects the stderr of a server, and sends the address that it announces, or an empty one for a worker.
fn collect_stderr(pipe: ChildStderr, stderr: &Mutex<String>, started: &Sender<String>) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        if let Some((_, rest)) = line.split_once("listens on ") {
            let _ = started.send(rest.split([',', ' ']).next().unwrap_or_default().to_owned());
        } else if line.contains(" serves ") {
            let _ = started.send(String::new());
        }
        let mut stderr = stderr.lock().unwrap_or_else(PoisonError::into_inner);
        stderr.push_str(&line);
        stderr.push('\n');
    }
}

impl Server {
    /// Starts a server in a folder and waits until it announces itself.
    pub(crate) fn start(folder: &TempDir, arguments: &[&str]) -> Self {
        let mut command = bue();
        command.args(arguments).current_dir(folder.path());
        Self::from_command(command)
    }

    /// Starts a server, for example with settings in its environment.
    pub(crate) fn from_command(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("bue");
        let (pipe, stderr) = (child.stderr.take().expect("stderr"), Arc::<Mutex<String>>::default());
        let (sender, started) = channel();
        let collected = stderr.clone();
        thread::spawn(move || collect_stderr(pipe, &collected, &sender));
        let mut server = Self { child, address: String::new(), stderr };
        let address = started.recv_timeout(DEADLINE);
        server.address = address.unwrap_or_else(|error| panic!("{command:?}: {error}: {}", server.stderr()));
        server
    }

    /// Returns its stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how often its stderr contains a text.
    pub(crate) fn stderr_count(&self, text: &str) -> usize {
        self.stderr().matches(text).count()
    }

    /// Sends a signal: TERM, INT, STOP, CONT.
    pub(crate) fn send_signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().expect("kill").success());
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether it has not exited.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits until it exits, and returns its exit code; `None` after a signal.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        wait_until("a server exits", || !self.is_running());
        self.child.wait().expect("an exit").code()
    }

    /// Stops it with SIGTERM, and checks that it exits with code 0.
    pub(crate) fn stop(self) {
        self.send_signal("TERM");
        self.wait();
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }

    /// Waits until it ends by itself, and checks that it exits with code 0.
    pub(crate) fn wait(mut self) {
        assert_eq!(self.exit_code(), Some(0), "{}", self.stderr());
    }
}

/// Waits until a count reaches `target`. Each increase must come within the deadline, so a slow machine does not fail the test.
pub(crate) fn wait_for_count(what: &str, target: u64, mut count: impl FnMut() -> u64) {
    let mut reached = 0;
    while reached < target {
        let previous = reached;
        wait_until(what, || {
            reached = count();
            reached > previous
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// On loopback, servers need no tokens.
#[test]
fn a_script_runs_on_separate_services() {
    runs_on_services("sqlite:hub.db");
}

/// Runs a script on services and uses all verbs for runs, with a hub that has this `--store`.
pub(crate) fn runs_on_services(store: &str) {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let arguments = ["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", store];
    let hub = Server::start(&folder, &arguments);
    let arguments = ["worker", "-b", &hub.address, "-k", &bucket.address, "--sandbox", "-s", "default", "--slots", "4"];
    let worker = Server::start(&folder, &arguments);

    let script = [
        step("one", "def one():\n    print('said by one')\n    return 'x' * 100000"),
        step("bad", "def bad(text):\n    print('said by bad')\n    raise ValueError(len(text))"),
        "p = one | bad\np()\none()\n".to_owned(),
    ];
    let project = Project::new(&[("x.bue", &script.concat()), ("bue.toml", &client(&hub, &bucket))]);
    let output = project.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(1);
    output.expect_stderr(&["step `bad`", "ValueError: 100000", "said by bad"]);
    let run = output.run_id();

    let result = project.bue(&["result", &run, "--json"]).expect_code(1).json();
    assert_eq!(result["state"], "failed");
    assert_eq!(result["results"][0]["value"], json!(null));
    assert_eq!(result["results"][1]["value"].as_str().map(str::len), Some(100_000));
    let job = result["failed"][0]["job"].to_string();
    assert!(project.bue(&["logs", &job]).expect_code(0).stdout.contains("said by bad"));
    assert!(project.bue(&["errors", &run]).expect_code(0).stdout.contains("ValueError: 100000"));
    assert_eq!(project.bue(&["errors", "-e", "ValueError"]).expect_code(0).stdout, "");
    assert!(project.bue(&["status"]).expect_code(0).stdout.contains(&run));
    assert!(project.bue(&["status", &run]).expect_code(0).stdout.contains("bad"));
    assert_eq!(project.bue(&["status", &run, "--json"]).expect_code(0).json()["state"], "failed");
    project.bue(&["wait", &run]).expect_code(1);
    project.bue(&["reset", &run]).expect_code(0).expect_stderr(&["jobs reset: 1"]);
    project.bue(&["wait", &run]).expect_code(1);
    assert_refused(&project.bue(&["wait", "01900000-0000-7000-8000-000000000000"]), "run");

    let run = project.bue(&["submit", "-f", "x.bue", "--json"]).expect_code(0).json()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    project.bue(&["cancel", &run]).expect_code(0);
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

#[test]
fn steps_reach_allowed_servers_but_not_the_workers_own_hub() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "sqlite:hub.db"]);
    let arguments = ["worker", "-b", &hub.address, "-k", &bucket.address, "-s", "default", "--allow-net", "127.0.0.1"];
    let worker = Server::start(&folder, &arguments);
    let (other_server, _) = server();
    let fetch = |name: &str, address: &str| {
        let code = format!(
            "import _bue_net as net\n\
             def {name}():\n    \
                 [(_, what, value)] = net.wait([net.start('GET', 'http://{address}', '/', [])])\n    \
                 return value[0] if what == 'response' else value[1]"
        );
        step(name, &code)
    };
    let steps = [fetch("out", &other_server.to_string()), fetch("hub", &hub.address), fetch("bucket", &bucket.address)];
    let script = format!("!allow net 127.0.0.1\n{}\nout()\nhub()\nbucket()\n", steps.concat());
    let project = Project::new(&[("x.bue", &script), ("bue.toml", &client(&hub, &bucket))]);
    let run = project.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(0).run_id();
    let values = project.bue(&["result", &run, "--json"]).expect_code(0).values();
    assert_eq!(values[0], json!(200));
    for refused in &values[1..] {
        assert!(refused.as_str().is_some_and(|text| text.contains("a server of bue itself")), "{values:?}");
    }
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

/// The settings of clients of these servers.
pub(crate) fn client(hub: &Server, bucket: &Server) -> String {
    format!("[client]\nhub = '{}'\nbucket = '{}'\n", hub.address, bucket.address)
}

fn assert_refused(output: &CommandOutput, word: &str) {
    assert!(output.code == 1 || output.code == 3, "{output:?}");
    assert!(output.stderr.contains(word), "{output:?}");
}

/// A terminal sends Ctrl-C to the whole process group; running steps must finish all the same.
#[test]
fn an_interrupted_worker_finishes_its_running_steps() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0"]);
    let worker = Server::start(&folder, &["worker", "-b", &hub.address, "-k", &bucket.address]);
    let slow = step("slow", "import time\ndef slow():\n    time.sleep(2)\n    return 'done'");
    let project = Project::new(&[("x.bue", &format!("{slow}slow()\n")), ("bue.toml", &client(&hub, &bucket))]);
    let run = project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned();
    let status = || project.bue(&["status", &run, "--json"]).expect_code(0).json();
    wait_until("the step runs", || status()["steps"][0]["running"] == 1);

    let group = format!("-{}", worker.pid());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().expect("kill").success());
    worker.wait();
    let result = project.bue(&["result", &run]).expect_code(0);
    assert_eq!(result.stdout, "\"done\"\n");
}

#[test]
fn a_worker_without_a_hub_waits_for_one() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let arguments = ["worker", "-b", "127.0.0.1:1", "-k", "127.0.0.1:1", "--sandbox", "-s", "default"];
    Server::start(&folder, &arguments).stop();
}
