//! Loops whose rounds run while their source still yields: with real services and steps, which meet at a server of the test.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use bue_test_support::process::exit_status;
use bue_test_support::wait::{DEADLINE, wait_until};
use serde_json::{Value, json};

use crate::postgres::database;
use crate::project::{CommandOutput, Project, prepare};
use crate::reliability::test_bed::{TestBed, upload, value, wait};
use crate::services::Server;

/// Where steps meet: `/count/NAME` adds one to a counter and answers what it was before, `/wait/NAME/N` answers when the counter is at
/// least `N`.
struct Meeting {
    address: SocketAddr,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    counts: Mutex<HashMap<String, u64>>,
    changed: Condvar,
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, name: &str) -> u64 {
        let mut counts = self.lock();
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        self.changed.notify_all();
        *count - 1
    }

    fn get(&self, name: &str) -> u64 {
        self.lock().get(name).copied().unwrap_or(0)
    }

    /// A step that waits in vain fails its run with 404.
    fn wait(&self, name: &str, least: u64) -> Option<u64> {
        let is_less = |counts: &mut HashMap<String, u64>| counts.get(name).copied().unwrap_or(0) < least;
        let waited = self.changed.wait_timeout_while(self.lock(), DEADLINE, is_less);
        let (counts, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (!timeout.timed_out()).then(|| counts.get(name).copied().unwrap_or(0))
    }
}

impl Meeting {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let counters = Arc::<Counters>::default();
        let served = Arc::clone(&counters);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, counters) = (client.expect("a connection"), Arc::clone(&served));
                thread::spawn(move || serve(client, &counters));
            }
        });
        Self { address, counters }
    }

    /// A script whose steps are allowed to come here, with `get(path)` in their code.
    fn script(&self, loops: &str, steps: &str) -> String {
        let Self { address, .. } = self;
        let indented: String = steps.lines().map(|line| format!("{line}\n")).collect();
        format!(
            "!allow net {address}\n\
             import python (rows, use, total) `\n\
             import time, urllib.request\n\
             def get(path):\n    \
                 return int(urllib.request.urlopen('http://{address}/' + path).read())\n\
             {indented}\
             `\n\
             {loops}\n"
        )
    }

    /// Runs the script of a project, whose steps may come here.
    fn run(&self, project: &Project) -> CommandOutput {
        prepare();
        project.bue(&["run", "x.bue", "--json", "--allow-net", &self.address.to_string()])
    }

    /// Runs a script, and returns the value of its last call.
    #[track_caller]
    fn last(&self, script: &str) -> Value {
        self.run(&Project::script(script)).expect_code(0).last()
    }

    /// Runs a script that fails.
    #[track_caller]
    fn fails(&self, script: &str, messages: &[&str]) {
        self.run(&Project::script(script)).expect_code(1).expect_stderr(messages);
    }

    fn reaches(&self, name: &str, least: u64) {
        wait_until(&format!("{name} is {least}"), || self.counters.get(name) >= least);
    }
}

fn serve(mut client: TcpStream, counters: &Counters) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path: Vec<&str> = head.split(' ').nth(1)?.split('/').skip(1).collect();
    let number = match *path.as_slice() {
        ["count", name] => Some(counters.count(name)),
        ["wait", name, least] => counters.wait(name, least.parse().ok()?),
        _ => None,
    };
    let (status, body) = number.map_or(("404 Not Found", String::new()), |number| ("200 OK", number.to_string()));
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    client.write_all(answer.as_bytes()).ok()
}

/// The source would wait for ever for a round that does not start before its end.
#[test]
fn rounds_start_while_their_source_yields() {
    let meeting = Meeting::start();
    let steps = "
def rows():
    yield 'first'
    get('wait/round/1')
    yield 'second'
    yield from ['third', 'fourth']
    get('wait/round/4')

def use(row):
    get('count/round')
    return row

def total(rows):
    return rows
";
    let script = meeting.script("all = [use(row) for row in rows()]\ntotal(all)", steps);
    assert_eq!(meeting.last(&script), json!(["first", "second", "third", "fourth"]));
}

/// Also if the stages of one job yield the elements, and if the generator is asynchronous.
#[test]
fn every_kind_of_generator_streams() {
    let meeting = Meeting::start();
    let steps = "
def rows():
    yield 1
    get('wait/round/1')
    yield 2

async def use(numbers):
    for number in numbers:
        yield number * 10

def total(row):
    get('count/round')
    return row
";
    let loops = "p = [rows | use]\nfor row in p():\n    total(row)";
    assert_eq!(meeting.last(&meeting.script(loops, steps)), json!([10, 20]));
}

/// A list is complete when the step returns it; what the step sets with it is for all rounds.
#[test]
fn a_list_and_what_comes_with_an_environment_start_rounds_at_the_end() {
    let meeting = Meeting::start();
    let steps = "
from bue import Result, env

def rows():
    def generate():
        yield 1
        time.sleep(1.5)
        assert get('count/round') == 0, 'a round has started'
        yield 2
    return Result(data=generate(), env={'key': 'value'})

def use(row):
    get('count/round')
    return [row, env['key']]

def total(rows):
    return rows
";
    let script = meeting.script("all = [use(row) for row in rows()]\ntotal(all)", steps);
    assert_eq!(meeting.last(&script), json!([[1, "value"], [2, "value"]]));
}

#[test]
fn a_source_that_sets_something_for_rounds_that_have_started_fails() {
    let meeting = Meeting::start();
    let steps = "
from bue import Result

def rows():
    yield 1
    get('wait/round/1')
    return Result(env={'key': 'value'})

def use(row):
    get('count/round')

def total(rows):
    return rows
";
    let script = meeting.script("for row in rows():\n    use(row)", steps);
    meeting.fails(&script, &["its loop had started already", "Return `Result(data=…, env=…)`"]);
}

#[test]
fn a_retry_yields_the_same_elements_and_its_rounds_run_once() {
    let meeting = Meeting::start();
    let steps = "
def rows():
    yield 0
    yield {'text': 'x' * 70_000}
    if get('count/attempt') == 0:
        get('wait/round/2')
        raise ValueError('broken')
    yield 2

def use(row):
    get('count/round')
    return row if isinstance(row, int) else len(row['text'])

def total(rows):
    return rows
";
    let script = meeting.script("all = [use(row) for row in rows()]\ntotal(all)", steps);
    let script = script.replace("rows, use", "rows !retries 1, use");
    assert_eq!(meeting.last(&script), json!([0, 70_000, 2]));
    assert_eq!((meeting.counters.get("round"), meeting.counters.get("attempt")), (3, 2));
}

/// Another element, or fewer of them.
#[test]
fn a_retry_that_yields_other_elements_fails_and_names_the_position() {
    for (second, message) in [
        (
            "yield 'other'\n        yield 2",
            "for row in … (line 23): element 1 is another one than in an earlier attempt",
        ),
        ("pass", "the step yielded 1 elements this time, and 2 in an earlier attempt"),
    ] {
        let meeting = Meeting::start();
        let steps = format!(
            "
def rows():
    yield 0
    if get('count/attempt') == 0:
        yield 1
        get('wait/round/2')
        raise ValueError('broken')
    else:
        {second}

def use(row):
    get('count/round')

def total(rows):
    pass
"
        );
        let script =
            meeting.script("for row in rows():\n    use(row)", &steps).replace("rows, use", "rows !retries 1, use");
        meeting.fails(&script, &[message, "return a list instead of yielding"]);
    }
}

/// The source counts what it yields, and each round looks how far it is. Nothing in this test depends on time.
#[test]
fn a_window_holds_the_source() {
    /// In the hub a round more than the window; in the worker a batch, in the sandbox host two, each of one element.
    const AHEAD: u64 = 3 + 1 + 3;
    let meeting = Meeting::start();
    let steps = "
def rows():
    for number in range(40):
        get('count/yielded')
        yield number

def use(number):
    ahead = get('wait/yielded/0') - get('count/round')
    return ahead

def total(ahead):
    return [len(ahead), max(ahead)]
";
    let loops = "all = [use(row) for row in rows() !window 3]\ntotal(all)";
    let result = meeting.last(&meeting.script(loops, steps));
    assert_eq!(result[0], json!(40));
    assert!(result[1].as_u64().expect("a number") <= AHEAD, "{result}");
}

/// It never ends by itself: Ctrl-C cancels it.
#[test]
fn an_endless_source_can_be_stopped() {
    let meeting = Meeting::start();
    let steps = "
def rows():
    number = 0
    while True:
        yield number
        number += 1
        time.sleep(0.05)

def use(row):
    get('count/round')

def total(rows):
    pass
";
    let project = Project::script(&meeting.script("for row in rows():\n    use(row)", steps));
    prepare();
    let command = ["run", "x.bue", "--allow-net", &meeting.address.to_string()];
    let mut child = project.command(&command).stdout(Stdio::null()).spawn().expect("bue");
    meeting.reaches("round", 20);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    assert_eq!(exit_status("bue run exits", &mut child).code(), Some(130));
}

/// Kills a worker, a sandbox host and the hub while the source yields and rounds run.
fn survives_kills(test_bed: &TestBed, store: &str) {
    let meeting = Meeting::start();
    let steps = "
def rows():
    for number in range(60):
        yield number
        get(f'wait/round/{number // 2}')

def use(number):
    get('count/round')
    return number

def total(rows):
    return rows
";
    let project = test_bed.project(&meeting.script("all = [use(row) for row in rows()]\ntotal(all)", steps));
    let worker = || {
        let address = meeting.address.to_string();
        let arguments = ["worker", "-b", &test_bed.address, "-k", &test_bed.bucket.address, "--allow-net", &address];
        Server::start(&test_bed.folder, &arguments)
    };
    let mut hub = test_bed.hub_on(&test_bed.address, store);
    let mut first = worker();
    let run = upload(&project);
    meeting.reaches("round", 8);
    first.kill();
    let second = worker();
    meeting.reaches("round", 20);
    hub.kill();
    let hub = test_bed.hub_on(&test_bed.address, store);
    meeting.reaches("round", 32);
    kill_hosts(&second);
    wait(&project, run);
    assert_eq!(value(&project, run), json!((0..60).collect::<Vec<_>>()));
    let status = project.bue(&["status", &run.to_string(), "--json"]).expect_code(0).json();
    let counts = |step: usize| status["steps"][step]["completed"].as_u64();
    assert_eq!((counts(0), counts(1), counts(2)), (Some(1), Some(60), Some(1)), "{status}");
    [second, hub].into_iter().for_each(Server::stop);
}

/// Kills the sandbox hosts of a worker.
fn kill_hosts(worker: &Server) {
    let process = worker.pid();
    let mut hosts = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).expect("threads") {
        let children = fs::read_to_string(task.expect("a thread").path().join("children")).unwrap_or_default();
        hosts.extend(children.split_whitespace().map(str::to_owned));
    }
    assert!(!hosts.is_empty(), "a worker has sandbox hosts");
    assert!(Command::new("kill").arg("-KILL").args(&hosts).status().expect("kill").success());
}

#[test]
fn a_stream_survives_kills_on_sqlite() {
    let test_bed = TestBed::new(2);
    survives_kills(&test_bed, "sqlite:hub.db");
}

#[test]
fn a_stream_survives_kills_on_postgres() {
    let test_bed = TestBed::new(2);
    survives_kills(&test_bed, &format!("postgres:{}", database()));
}
