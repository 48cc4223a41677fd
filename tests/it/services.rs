//! Hub, bucket and worker as processes of their own, and the verbs that talk to them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use crate::network::server;
use crate::project::{Project, Ran, bue, prepare, step};

/// A server that is ended with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    talk: Arc<Mutex<String>>,
}

/// Reads what a server says as long as it talks, and tells the place where it listens, or an empty one when it works.
fn listen(talk: ChildStderr, said: &Mutex<String>, started: &Sender<String>) {
    for line in BufReader::new(talk).lines().map_while(Result::ok) {
        if let Some((_, rest)) = line.split_once("listens on ") {
            let _ = started.send(rest.split([',', ' ']).next().unwrap_or_default().to_owned());
        } else if line.contains(" serves ") {
            let _ = started.send(String::new());
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&line);
        said.push('\n');
    }
}

impl Server {
    /// Starts one and reads from its talk where it listens, if it does.
    pub(crate) fn start(folder: &TempDir, arguments: &[&str]) -> Self {
        let mut command = bue();
        command.args(arguments).current_dir(folder.path());
        Self::of(command)
    }

    /// Starts one with settings in its environment.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("bue");
        let (talk, said) = (child.stderr.take().expect("stderr"), Arc::<Mutex<String>>::default());
        let (start, started) = channel();
        let heard = said.clone();
        thread::spawn(move || listen(talk, &heard, &start));
        let mut server = Self { child, address: String::new(), talk: said };
        server.address = started.recv().unwrap_or_else(|_| panic!("{command:?} ended: {}", server.said()));
        server
    }

    /// All it said so far.
    pub(crate) fn said(&self) -> String {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it said this.
    pub(crate) fn said_times(&self, what: &str) -> usize {
        self.said().matches(what).count()
    }

    /// Sends a signal: TERM, INT, STOP, CONT.
    pub(crate) fn tell(&self, signal: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().expect("kill").success());
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Its exit code, when it has ended; `None` after a signal.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("an end").code()
    }

    /// Ends it politely, and checks that it ends well.
    pub(crate) fn stop(self) {
        self.tell("TERM");
        self.wait();
    }

    /// Ends it as a crash would, at whatever it is.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }

    /// Waits until it has ended, well.
    fn wait(mut self) {
        assert_eq!(self.exit_code(), Some(0), "{}", self.said());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Services on loopback, which need no tokens.
#[test]
fn a_script_runs_on_services_of_their_own() {
    runs_on_services("sqlite:hub.db");
}

/// Runs a script on services and asks all there is to ask, with this as the hub's `--store`.
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
    let ran = project.bue(&["upload", "-f", "x.bue", "--wait"]).expect(1);
    ran.says(&["step `bad`", "ValueError: 100000", "said by bad"]);
    let run = ran.stdout.trim().to_owned();

    let result = project.bue(&["result", &run, "--json"]).expect(1).json();
    assert_eq!(result["state"], "failed");
    assert_eq!(result["results"][0]["value"], json!(null));
    assert_eq!(result["results"][1]["value"].as_str().map(str::len), Some(100_000));
    let job = result["failed"][0]["job"].to_string();
    assert!(project.bue(&["logs", &job]).expect(0).stdout.contains("said by bad"));
    assert!(project.bue(&["errors", &run]).expect(0).stdout.contains("ValueError: 100000"));
    assert_eq!(project.bue(&["errors", "-e", "ValueError"]).expect(0).stdout, "");
    assert!(project.bue(&["status"]).expect(0).stdout.contains(&run));
    assert!(project.bue(&["status", &run]).expect(0).stdout.contains("bad"));
    assert_eq!(project.bue(&["status", &run, "--json"]).expect(0).json()["state"], "failed");
    project.bue(&["wait", &run]).expect(1);
    project.bue(&["reset", &run]).expect(0).says(&["jobs reset: 1"]);
    project.bue(&["wait", &run]).expect(1);
    assert_refused(&project.bue(&["wait", "01900000-0000-7000-8000-000000000000"]), "run");

    let run =
        project.bue(&["submit", "-f", "x.bue", "--json"]).expect(0).json()["run"].as_str().expect("an id").to_owned();
    project.bue(&["cancel", &run]).expect(0);
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

#[test]
fn a_worker_lets_steps_out_but_not_to_its_own_hub() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "sqlite:hub.db"]);
    let arguments = ["worker", "-b", &hub.address, "-k", &bucket.address, "-s", "default", "--allow-net", "127.0.0.1"];
    let worker = Server::start(&folder, &arguments);
    let (elsewhere, _) = server();
    let ask = |name: &str, place: &str| {
        let code = format!(
            "import _bue_net as net\n\
             def {name}():\n    \
                 [(_, what, value)] = net.wait([net.start('GET', 'http://{place}', '/', [])])\n    \
                 return value[0] if what == 'response' else value[1]"
        );
        step(name, &code)
    };
    let steps = [ask("out", &elsewhere.to_string()), ask("hub", &hub.address), ask("bucket", &bucket.address)];
    let script = format!("!allow net 127.0.0.1\n{}\nout()\nhub()\nbucket()\n", steps.concat());
    let project = Project::new(&[("x.bue", &script), ("bue.toml", &client(&hub, &bucket))]);
    let run = project.bue(&["upload", "-f", "x.bue", "--wait"]).expect(0).stdout.trim().to_owned();
    let values = project.bue(&["result", &run, "--json"]).expect(0).values();
    assert_eq!(values[0], json!(200));
    for refused in &values[1..] {
        assert!(refused.as_str().is_some_and(|text| text.contains("a server of bue itself")), "{values:?}");
    }
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

pub(crate) fn client(hub: &Server, bucket: &Server) -> String {
    format!("[client]\nhub = '{}'\nbucket = '{}'\n", hub.address, bucket.address)
}

fn assert_refused(ran: &Ran, word: &str) {
    assert!(ran.code == 1 || ran.code == 3, "{ran:?}");
    assert!(ran.stderr.contains(word), "{ran:?}");
}

/// A terminal sends Ctrl-C to the whole group of processes; a step that runs must end well all the same.
#[test]
fn a_worker_that_is_interrupted_lets_its_steps_end() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0"]);
    let worker = Server::start(&folder, &["worker", "-b", &hub.address, "-k", &bucket.address]);
    let slow = step("slow", "import time\ndef slow():\n    time.sleep(2)\n    return 'done'");
    let project = Project::new(&[("x.bue", &format!("{slow}slow()\n")), ("bue.toml", &client(&hub, &bucket))]);
    let run = project.bue(&["upload", "-f", "x.bue"]).expect(0).stdout.trim().to_owned();
    while project.bue(&["status", &run, "--json"]).expect(0).json()["steps"][0]["running"] != 1 {}

    let group = format!("-{}", worker.process());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().expect("kill").success());
    worker.wait();
    let result = project.bue(&["result", &run]).expect(0);
    assert_eq!(result.stdout, "\"done\"\n");
}

#[test]
fn a_worker_without_a_hub_waits_for_one() {
    prepare();
    let folder = TempDir::new().expect("a folder");
    let arguments = ["worker", "-b", "127.0.0.1:1", "-k", "127.0.0.1:1", "--sandbox", "-s", "default"];
    Server::start(&folder, &arguments).stop();
}
