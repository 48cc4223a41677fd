//! Sandbox hosts as processes. This program starts itself as a host, so it has its own `main`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and this `main` prints their names"
)]

#[path = "it/common.rs"]
#[expect(dead_code, reason = "these tests use only a part of it")]
mod common;
mod evil;
#[path = "it/memory_bucket.rs"]
#[expect(dead_code, reason = "these tests use only a part of it")]
mod memory_bucket;
mod wall;
#[path = "wasm/mod.rs"]
mod wasm;
#[path = "it/wheel.rs"]
mod wheel;

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bue_model::{Answer, FailureKind, Value, cbor};
use bue_runtime::{
    Egress, EgressConfig, Event, Finished, HostLifecycle, HostLost, Hosts, HostsConfig, Limits, NetPolicy, Prepared,
    Running, RuntimeError, Secret, Task, WallMode,
};
use bue_test_support::wait::{wait_until, wait_until_async, within_deadline};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use common::{failure, prepared, python, sqlite, value};
use memory_bucket::MemoryBucket;

/// The argument with which this program starts itself as a host.
const SERVE: &str = "sandbox-host";

type Test = (&'static str, fn(&Runtime));

struct Runtime {
    tokio: tokio::runtime::Runtime,
    prepared: Prepared,
}

const TESTS: &[Test] = &[
    ("steps_run_in_child_processes", steps_run_in_child_processes),
    ("a_long_stream_arrives_in_order", a_long_stream_arrives_in_order),
    ("a_stream_waits_for_its_consumer", a_stream_waits_for_its_consumer),
    ("a_dropped_task_stops_in_its_host", a_dropped_task_stops_in_its_host),
    ("sql_without_an_end_stops_at_its_limit_and_others_go_on", sql_without_an_end_stops_at_its_limit_and_others_go_on),
    ("a_host_that_dies_loses_its_steps_and_is_replaced", a_host_that_dies_loses_its_steps_and_is_replaced),
    ("a_host_that_does_not_answer_is_replaced", a_host_that_does_not_answer_is_replaced),
    ("a_host_is_renewed_and_finishes_what_it_has", a_host_is_renewed_and_finishes_what_it_has),
    ("many_modules_do_not_fill_a_host", many_modules_do_not_fill_a_host),
    ("large_values_are_passed", large_values_are_passed),
    ("files_that_are_overwritten_do_not_change_a_host", files_that_are_overwritten_do_not_change_a_host),
    ("a_program_that_is_not_a_host_is_refused", a_program_that_is_not_a_host_is_refused),
    ("hosts_end_with_their_parent", hosts_end_with_their_parent),
    ("after_shutdown_nothing_runs", after_shutdown_nothing_runs),
    ("a_child_sees_no_environment", a_child_sees_no_environment),
    ("a_step_reaches_a_server_through_its_parent", a_step_reaches_a_server_through_its_parent),
    ("the_exchanges_of_a_finished_step_are_closed", the_exchanges_of_a_finished_step_are_closed),
    ("secrets_are_inserted_and_never_shown", secrets_are_inserted_and_never_shown),
    ("a_module_has_no_network_while_it_is_imported", a_module_has_no_network_while_it_is_imported),
    ("what_a_lost_step_was_writing_leaves_nothing", what_a_lost_step_was_writing_leaves_nothing),
    ("hostile_guests_have_their_expected_outcomes", evil::hostile_guests_have_their_expected_outcomes),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == SERVE) {
        return wall::serve(arguments.get(1..).unwrap_or_default());
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let runtime = Runtime { tokio, prepared: prepared() };
    let tests = TESTS.iter().copied().chain(wasm::tests()).chain(wall::tests());
    for (name, test) in tests.filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str()))) {
        println!("test {name}");
        test(&runtime);
    }
    ExitCode::SUCCESS
}

impl Runtime {
    fn config(&self, hosts: usize) -> HostsConfig {
        HostsConfig {
            // not the path, which another user may be unable to reach
            command: ("/proc/self/exe".into(), vec![OsString::from(SERVE)]),
            hosts,
            prepared: self.prepared.clone(),
            egress: Egress::closed(),
            packages: None,
            wall: WallMode::Best,
            lifecycle: HostLifecycle::default(),
        }
    }

    /// Runs a test against some hosts, and shuts them down.
    fn with_hosts<F: Future<Output = Hosts>>(&self, hosts: usize, test: impl FnOnce(Hosts) -> F) {
        self.tokio.block_on(async {
            let hosts = Hosts::start(self.config(hosts)).await.expect("hosts");
            test(hosts).await.shutdown().await;
        });
    }
}

async fn finish(running: &mut Running) -> Result<Finished, HostLost> {
    loop {
        if let Event::Finished(finished) = running.next().await? {
            return Ok(finished);
        }
    }
}

async fn run(hosts: &Hosts, task: Task) -> Finished {
    finish(&mut hosts.run(task).await.expect("open")).await.expect("alive")
}

/// Starts a step that does not end by itself, and returns after a later step was answered. If there is one host, it has then
/// received the endless step, because messages arrive in order.
async fn start_endless(hosts: &Hosts, task: Task) -> Running {
    let mut running = hosts.run(task).await.expect("open");
    let later = run(hosts, python("def f(): return 1\n", "f", &[])).await;
    assert_eq!(value(&later), Value::Int(1));
    let event = running.next().now_or_never();
    assert!(event.is_none(), "{event:?}");
    running
}

/// Returns the ids of this process's children.
fn children() -> Vec<String> {
    let pid = std::process::id();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("our threads");
    let lists =
        tasks.map(|task| std::fs::read_to_string(task.expect("a thread").path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn kill(pid: &str) {
    signal("-9", pid);
}

fn signal(signal: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([signal, pid]).status().expect("kill").success());
}

fn steps_run_in_child_processes(runtime: &Runtime) {
    runtime.with_hosts(2, async |hosts| {
        assert_eq!(children().len(), 2);
        let code = "def f(x):\n  print('hello', x)\n  return x * 2\n";
        for x in 0..20 {
            let finished = run(&hosts, python(code, "f", &[Value::Int(x)])).await;
            assert_eq!(value(&finished), Value::Int(x * 2));
            assert!(String::from_utf8_lossy(&finished.log).ends_with(&format!("Z hello {x}\n")), "{:?}", finished.log);
        }
        let finished = run(&hosts, sqlite("SELECT 1 AS x", &[])).await;
        assert_eq!(value(&finished), Value::List(vec![Value::Map(vec![(Value::Text("x".into()), Value::Int(1))])]));
        hosts
    });
}

fn a_long_stream_arrives_in_order(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let mut task = python("def rows():\n  for x in range(300000): yield x\n", "rows", &[]);
        task.loop_text = Some("for row in rows() (line 1)".to_owned());
        let mut running = hosts.run(task).await.expect("open");
        let mut next = 0;
        loop {
            match running.next().await.expect("alive") {
                Event::Items { count, items, .. } => {
                    let Ok(Value::List(values)) = cbor::decode(&items) else { panic!("a list") };
                    assert_eq!(values.len(), count as usize);
                    for value in values {
                        assert_eq!(value, Value::Int(next));
                        next += 1;
                    }
                }
                Event::Finished(finished) => {
                    assert!(matches!(finished.answer, Answer::Completed { streamed: true, .. }), "{finished:?}");
                    break;
                }
                Event::Lines { .. } => panic!("lines that were not requested"),
            }
        }
        assert_eq!(next, 300_000);
        assert!(matches!(running.next().await, Err(HostLost { .. })), "nothing follows the end");
        hosts
    });
}

fn a_stream_waits_for_its_consumer(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let mut task = python("def rows():\n  while True: yield 'x' * 1000\n", "rows", &[]);
        task.loop_text = Some("for row in rows() (line 1)".to_owned());
        task.limits = Limits { time: Duration::from_millis(700), ..Limits::default() };
        let mut running = hosts.run(task).await.expect("open");
        // meanwhile nothing is taken: the number of buffered batches stays bounded, and the time limit stops the step, earlier
        // than the limit of a step that begins later and has more time
        let mut later = python("import time\ndef f():\n  time.sleep(1000)\n", "f", &[]);
        later.limits = Limits { time: Duration::from_secs(1), ..Limits::default() };
        assert!(failure(&run(&hosts, later).await).message.contains("1 s"));
        let mut batches = 0;
        let finished = loop {
            match running.next().await.expect("alive") {
                Event::Items { .. } => batches += 1,
                Event::Lines { .. } => panic!("lines that were not requested"),
                Event::Finished(finished) => break finished,
            }
        };
        assert!(batches <= 3, "{batches} batches were buffered");
        assert!(failure(&finished).message.contains("700 ms"), "{finished:?}");
        hosts
    });
}

fn a_dropped_task_stops_in_its_host(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        for code in ["def f():\n  while True: pass\n", "import time\ndef f():\n  time.sleep(1000)\n"] {
            for _ in 0..3 {
                drop(start_endless(&hosts, python(code, "f", &[])).await);
            }
        }
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n";
        for _ in 0..10 {
            drop(start_endless(&hosts, sqlite(endless, &[])).await);
        }
        assert!(matches!(run(&hosts, sqlite("SELECT 1", &[])).await.answer, Answer::Completed { .. }));
        assert_eq!(value(&run(&hosts, python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
        hosts
    });
}

/// SQL that computes for hours without an instruction of SQLite's virtual machine in between, or in very many statements.
fn sql_for_hours() -> Vec<String> {
    let long = "printf('%.*c', 4000000, 'a')";
    let needle = "substr(x, 1, 2000000) || 'b'";
    let numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 400000)";
    vec![
        format!("WITH t(x) AS (SELECT {long}) SELECT instr(x, {needle}) FROM t"),
        format!("WITH t(x) AS (SELECT {long}) SELECT length(replace(x, {needle}, 'c')) FROM t"),
        format!("SELECT length(trim({long}, printf('%.*c', 2000000, 'b') || 'a'))"),
        format!("SELECT length(unhex(replace({long}, 'a', 'z'), printf('%.*c', 2000000, 'y') || 'z'))"),
        format!(
            "{numbers}, j(o) AS (SELECT json_group_object('key' || x, x) FROM n) SELECT length(json_patch(o, o)) FROM j"
        ),
        "SELECT 1;".repeat(200_000),
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n".to_owned(),
    ]
}

/// When SQLite ran on threads, it was interrupted only between instructions, and eight such steps ended all SQL of a host.
fn sql_without_an_end_stops_at_its_limit_and_others_go_on(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let start = |time: Duration| {
            let tasks = sql_for_hours().into_iter().cycle().take(14).map(move |sql| {
                let mut task = sqlite(&sql, &[]);
                task.limits.time = time;
                task
            });
            join_all(tasks.map(|task| hosts.run(task)))
        };
        let one = || {
            let mut task = sqlite("SELECT 1 AS x", &[]);
            task.limits.time = Duration::from_secs(20);
            task
        };
        let endless = start(Duration::from_secs(1000)).await;
        let beside = run(&hosts, one()).await;
        assert!(matches!(beside.answer, Answer::Completed { .. }), "beside them: {beside:?}");
        drop(endless);
        for stopped in start(Duration::from_millis(300)).await {
            let failure = failure(&finish(&mut stopped.expect("open")).await.expect("alive"));
            assert_eq!(failure.kind, FailureKind::Limit, "{failure:?}");
            assert!(failure.message.contains("time limit of 300 ms"), "{failure:?}");
        }
        let after = run(&hosts, one()).await;
        assert!(matches!(after.answer, Answer::Completed { .. }), "after them: {after:?}");
        hosts
    });
}

fn a_host_that_dies_loses_its_steps_and_is_replaced(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let sleep = python("import time\ndef f():\n  time.sleep(1000)\n", "f", &[]);
        for _ in 0..3 {
            let mut first = hosts.run(sleep.clone()).await.expect("open");
            let mut second = hosts.run(sleep.clone()).await.expect("open");
            let [child] = &children()[..] else { panic!("one child") };
            kill(child);
            assert!(matches!(finish(&mut first).await, Err(HostLost { .. })));
            assert!(matches!(finish(&mut second).await, Err(HostLost { .. })));
            // waits for the next child, to which the code must be sent again
            assert_eq!(value(&run(&hosts, python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
        }
        hosts
    });
}

/// The host dies, or the task is dropped, in the middle of writing a value of the bucket.
fn what_a_lost_step_was_writing_leaves_nothing(runtime: &Runtime) {
    let code = "import time\nfrom bue import bucket\ndef f():\n  with bucket.open('a', 'wb') as file:\n    \
                file.write(bytes(3 << 20))\n    bucket.set('written', 'yes')\n    time.sleep(1000)\n";
    runtime.with_hosts(1, async |hosts| {
        for is_killed in [true, false] {
            let bucket = Arc::new(MemoryBucket::default());
            let mut task = python(code, "f", &[]);
            task.permissions.bucket = vec!["*".parse().expect("a pattern")];
            let mut running = hosts.run_with((task, 1), bucket.clone(), ()).await.expect("open");
            let written = async || bucket.value("written").is_some();
            tokio::select! {
                ended = running.next() => panic!("{ended:?}"),
                () = wait_until_async("it has written", written) => {}
            }
            assert!(bucket.parts() > 0);
            if is_killed {
                let [child] = &children()[..] else { panic!("one child") };
                kill(child);
                assert!(matches!(finish(&mut running).await, Err(HostLost { .. })));
            }
            drop(running);
            wait_until_async("the parts are deleted", async || bucket.parts() == 0).await;
            assert_eq!(bucket.value("a"), None);
        }
        hosts
    });
}

/// A stopped process stands for one whose thread never returns to its loop.
fn a_host_that_does_not_answer_is_replaced(runtime: &Runtime) {
    let lifecycle =
        HostLifecycle { ping_interval: Duration::from_millis(500), max_missed_pings: 4, ..HostLifecycle::default() };
    let config = HostsConfig { lifecycle, ..runtime.config(1) };
    runtime.tokio.block_on(async {
        let hosts = Hosts::start(config).await.expect("hosts");
        let sleep = python("import time\ndef f():\n  time.sleep(1000)\n", "f", &[]);
        let mut steps = Vec::new();
        for _ in 0..2 {
            steps.push(start_endless(&hosts, sleep.clone()).await);
        }
        let [child] = &children()[..] else { panic!("one child") };
        signal("-STOP", child);
        for step in &mut steps {
            let lost = within_deadline("the host to be given up", finish(step)).await;
            assert!(matches!(lost, Err(HostLost { alone: false })), "{lost:?}");
        }
        assert_eq!(value(&run(&hosts, python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
        assert!(!children().contains(child), "it was killed");
        // the only step of a host is known to be the only one
        let mut alone = start_endless(&hosts, sleep).await;
        let [child] = &children()[..] else { panic!("one child") };
        signal("-STOP", child);
        let lost = within_deadline("the host to be given up", finish(&mut alone)).await;
        assert!(matches!(lost, Err(HostLost { alone: true })), "{lost:?}");
        hosts.shutdown().await;
    });
}

fn a_host_is_renewed_and_finishes_what_it_has(runtime: &Runtime) {
    let lifecycle = HostLifecycle { steps: 5, ..HostLifecycle::default() };
    let config = HostsConfig { lifecycle, ..runtime.config(1) };
    runtime.tokio.block_on(async {
        let hosts = Hosts::start(config).await.expect("hosts");
        let [first] = &children()[..] else { panic!("one child") };
        let mut stream = python("def f():\n  for x in range(100000): yield x\n", "f", &[]);
        stream.loop_text = Some("for x in f() in line 1".to_owned());
        let mut old = hosts.run(stream).await.expect("open");
        let Event::Items { count, .. } = old.next().await.expect("elements") else { panic!("elements") };
        let mut elements = count;
        wait_until_async("another process gets the steps", async || {
            assert_eq!(value(&run(&hosts, python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
            children().len() > 1
        })
        .await;
        assert!(children().contains(first), "the first process still has a step");
        loop {
            match old.next().await.expect("its host lives") {
                Event::Items { count, .. } => elements += count,
                Event::Lines { .. } => {}
                Event::Finished(finished) => {
                    assert!(matches!(finished.answer, Answer::Completed { .. }), "{finished:?}");
                    break;
                }
            }
        }
        assert_eq!(elements, 100_000);
        wait_until_async("the first process has ended", async || !children().contains(first)).await;
        // step after step, and none is lost
        for _ in 0..100 {
            assert_eq!(value(&run(&hosts, python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
        }
        hosts.shutdown().await;
    });
    assert!(children().is_empty(), "{:?}", children());
}

fn many_modules_do_not_fill_a_host(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        for number in 0..300 {
            let finished = run(&hosts, sqlite(&format!("SELECT {number} AS x"), &[])).await;
            assert!(matches!(finished.answer, Answer::Completed { .. }), "{finished:?}");
        }
        // the first one was forgotten and is loaded again
        assert!(matches!(run(&hosts, sqlite("SELECT 0 AS x", &[])).await.answer, Answer::Completed { .. }));
        hosts
    });
}

fn large_values_are_passed(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let bytes = Value::Bytes(vec![7; 30 << 20]);
        let finished = run(&hosts, python("def f(x): return x\n", "f", std::slice::from_ref(&bytes))).await;
        assert!(value(&finished) == bytes, "the value has changed");
        let mut task = python("def f(x): return 1\n", "f", &[bytes]);
        task.limits.input_bytes = 1 << 20;
        assert!(failure(&run(&hosts, task).await).message.contains("input limit of 1 MiB"));
        hosts
    });
}

/// Whoever can write to the cache can write to the files in place, after they were checked and while hosts run.
fn files_that_are_overwritten_do_not_change_a_host(runtime: &Runtime) {
    let folder = tempfile::tempdir().expect("a folder");
    let (cache, keys) = (folder.path().join("cache"), folder.path().join("keys"));
    let copies = copy_files(&common::cache().join("sandbox"), &cache.join("sandbox"));
    copy_files(&common::keys(), &keys);
    let prepared = Prepared::open(&cache, &keys, &|line| panic!("the copy is not used: {line}")).expect("prepared");
    runtime.tokio.block_on(async {
        let hosts = Hosts::start(HostsConfig { prepared, ..runtime.config(1) }).await.expect("hosts");
        assert_eq!(value(&run(&hosts, python("def f(): return 1\n", "f", &[])).await), Value::Int(1));
        for path in copies {
            let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("a file");
            let len = usize::try_from(file.metadata().expect("metadata").len()).expect("a length");
            std::io::Write::write_all(&mut file, &vec![0; len]).expect("written");
        }
        let code =
            "import decimal, json\ndef f(): return json.dumps([str(decimal.Decimal('1.10')), len(json.__doc__) > 9])\n";
        let finished = run(&hosts, python(code, "f", &[])).await;
        assert_eq!(value(&finished), Value::Text(r#"["1.10", true]"#.into()));
        hosts.shutdown().await;
    });
}

/// Copies the files of a folder, but not its folders. Returns the copies.
fn copy_files(from: &Path, to: &Path) -> Vec<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(to).expect("a folder");
    let entries = std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path());
    let copy = |path: PathBuf| {
        let target = to.join(path.file_name().expect("a name"));
        std::fs::copy(path, &target).expect("copied");
        target
    };
    entries.filter(|path| path.is_file()).map(copy).collect()
}

fn a_program_that_is_not_a_host_is_refused(runtime: &Runtime) {
    for (program, arguments) in [("/bin/true", vec![]), ("/bin/echo", vec!["hello"]), ("/nothing/there", vec![])] {
        let arguments = arguments.into_iter().map(OsString::from).collect();
        let config = HostsConfig { command: (program.into(), arguments), ..runtime.config(1) };
        let refused = runtime.tokio.block_on(Hosts::start(config)).expect_err("no host");
        assert!(matches!(refused, RuntimeError::Refused(_) | RuntimeError::Spawn { .. }), "{refused}");
    }
}

fn hosts_end_with_their_parent(runtime: &Runtime) {
    runtime.tokio.block_on(async {
        let hosts = Hosts::start(runtime.config(2)).await.expect("hosts");
        let mut busy = start_endless(&hosts, python("def f():\n  while True: pass\n", "f", &[])).await;
        hosts.shutdown().await;
        assert!(matches!(busy.next().await, Err(HostLost { .. })));
    });
    wait_until("all children have ended", || children().is_empty());
}

fn after_shutdown_nothing_runs(runtime: &Runtime) {
    runtime.tokio.block_on(async {
        let hosts = Hosts::start(runtime.config(1)).await.expect("hosts");
        let [child] = &children()[..] else { panic!("one child") };
        let mut running = start_endless(&hosts, python("import time\ndef f(): time.sleep(1000)\n", "f", &[])).await;
        kill(child);
        assert!(matches!(finish(&mut running).await, Err(HostLost { .. })));
        // the next step waits for a new host, which the shutdown prevents
        let _ = hosts.run(python("def f(): return 1\n", "f", &[])).now_or_never();
        hosts.shutdown().await;
    });
    assert!(children().is_empty(), "{:?}", children());
}

fn a_child_sees_no_environment(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let [child] = &children()[..] else { panic!("one child") };
        assert!(std::fs::read(format!("/proc/{child}/environ")).expect("readable").is_empty());
        let finished =
            run(&hosts, python("import os\ndef f(): return [len(os.environ), os.getcwd()]\n", "f", &[])).await;
        if let Answer::Completed { .. } = finished.answer {
            assert!(matches!(value(&finished), Value::List(items) if items.first() == Some(&Value::Int(0))));
        }
        hosts
    });
}

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    /// Responds with the head of the request as the body.
    Echo,
    /// Never responds.
    Silence,
}

/// A server, with the numbers of requests that it has received and of connections that were closed.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

async fn start_server(response: Response) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = Server { address, requests: Arc::default(), closed: Arc::default() };
    let (all_requests, all_closed) = (Arc::clone(&server.requests), Arc::clone(&server.closed));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (requests, closed) = (Arc::clone(&all_requests), Arc::clone(&all_closed));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    head.push(byte);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    requests.fetch_add(1, SeqCst);
                    if response == Response::Echo {
                        let start = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
                        stream.write_all(&[start.as_bytes(), &head].concat()).await.expect("a client that reads");
                        head.clear();
                    }
                }
                closed.fetch_add(1, SeqCst);
            });
        }
    });
    server
}

impl Runtime {
    /// The configuration of a host whose steps have network access.
    fn network_config(&self, config: EgressConfig) -> HostsConfig {
        HostsConfig { egress: Egress::new(config, None::<&Path>).expect("no file"), ..self.config(1) }
    }
}

/// A task with a Python step whose script allows a host and secrets.
fn network_task(code: &str, rule: &str, secrets: &[&str]) -> Task {
    let mut task = python(code, "f", &[]);
    task.permissions.net = vec![rule.parse().expect("a rule")];
    task.permissions.secrets = secrets.iter().map(|name| (*name).to_owned()).collect();
    task
}

/// A worker that allows public hosts and this machine.
fn allow_all() -> EgressConfig {
    let allowed = NetPolicy::Public(vec!["127.0.0.0/8".parse().expect("a rule")]);
    EgressConfig { allowed, ..EgressConfig::default() }
}

fn a_step_reaches_a_server_through_its_parent(runtime: &Runtime) {
    runtime.tokio.block_on(async {
        let server = start_server(Response::Echo).await.address;
        let hosts = Hosts::start(runtime.network_config(allow_all())).await.expect("hosts");
        let code = format!(
            "import _bue_net as net\n\
             def f():\n  \
               tickets = [net.start('GET', 'http://{server}', f'/{{n}}', [('x-n', str(n))]) for n in range(200)]\n  \
               results = {{}}\n  \
               while len(results) < 200:\n    \
                 for ticket, what, value in net.wait([t for t in tickets if t not in results], 10.0):\n      \
                   results[ticket] = (what, value)\n  \
               status, version, reason, headers, body, last = results[tickets[7]][1]\n  \
               return [status, version, reason, body.split()[1].decode(), last, {{what for what, _ in results.values()}} == {{'response'}}]\n"
        );
        let finished = run(&hosts, network_task(&code, &server.to_string(), &[])).await;
        let expected = [
            Value::Int(200),
            Value::Int(11),
            Value::Text("OK".into()),
            Value::Text("/7".into()),
            Value::Bool(true),
            Value::Bool(true),
        ];
        assert_eq!(value(&finished), Value::List(expected.to_vec()));
        let denied = "import _bue_net as net\n\
             def f():\n  \
               [(_, what, (kind, message))] = net.wait([net.start('GET', 'http://10.0.0.1', '/', [])])\n  \
               return [what, kind]\n";
        let finished = run(&hosts, network_task(denied, &server.to_string(), &[])).await;
        assert_eq!(value(&finished), Value::List(vec![Value::Text("failed".into()), Value::Text("denied".into())]));
        let log = String::from_utf8_lossy(&finished.log).into_owned();
        assert!(log.contains("bue: refused:") && log.contains("`!allow net 10.0.0.1:80`"), "{log}");
        hosts.shutdown().await;
    });
}

fn the_exchanges_of_a_finished_step_are_closed(runtime: &Runtime) {
    runtime.tokio.block_on(async {
        let Server { address: server, requests, closed } = start_server(Response::Silence).await;
        let hosts = Hosts::start(runtime.network_config(allow_all())).await.expect("hosts");
        let start = format!(
            "import _bue_net as net\nimport time\ndef f():\n  t = net.start('GET', 'http://{server}', '/', [])\n"
        );
        // a step that returns, one that exceeds its time limit, and one that is dropped while it waits
        run(&hosts, network_task(&format!("{start}  net.wait([t], 0.2)\n"), &server.to_string(), &[])).await;
        let mut task = network_task(&format!("{start}  net.wait([t])\n"), &server.to_string(), &[]);
        task.limits.time = Duration::from_millis(500);
        assert!(failure(&run(&hosts, task).await).message.contains("500 ms"));
        let mut dropped = hosts
            .run(network_task(&format!("{start}  net.wait([t])\n"), &server.to_string(), &[]))
            .await
            .expect("open");
        wait_until_async("the third request has arrived", async || requests.load(SeqCst) == 3).await;
        assert!(dropped.next().now_or_never().is_none());
        drop(dropped);
        wait_until_async("all connections are closed", async || closed.load(SeqCst) == 3).await;
        hosts.shutdown().await;
    });
}

fn secrets_are_inserted_and_never_shown(runtime: &Runtime) {
    const CANARY: &str = "canary-5f1d";
    runtime.tokio.block_on(async {
        let server = start_server(Response::Echo).await.address;
        let secret = |readable, hosts: &[&str]| Secret {
            value: CANARY.to_owned(),
            hosts: hosts.iter().map(|rule| rule.parse().expect("a rule")).collect(),
            readable,
            // the server of this test has no certificate
            insecure: true,
            ..Secret::default()
        };
        let secrets = [
            ("KEY".to_owned(), secret(false, &[])),
            ("OPEN".to_owned(), secret(true, &[])),
            ("ELSEWHERE".to_owned(), secret(false, &["api.example.com"])),
        ];
        let config = EgressConfig { secrets: secrets.into_iter().collect(), ..allow_all() };
        let hosts = Hosts::start(runtime.network_config(config)).await.expect("hosts");
        let send = |header: &str| {
            format!(
                "import _bue_net as net\nimport bue\n\
                 def f():\n  \
                   [(_, what, value)] = net.wait([net.start('GET', 'http://{server}', '/', [('Authorization', '{header}')])])\n  \
                   return value[4].decode() if what == 'response' else str(value)\n"
            )
        };
        let names = ["KEY", "OPEN", "ELSEWHERE"];
        let sent = run(&hosts, network_task(&send("Bearer secret:KEY"), &server.to_string(), &names)).await;
        assert!(matches!(value(&sent), Value::Text(text) if text.contains(&format!("authorization: Bearer {CANARY}"))));
        let read = "import bue\ndef f(): return bue.secret('OPEN')\n";
        assert_eq!(value(&run(&hosts, network_task(read, "a.example", &names)).await), Value::Text(CANARY.into()));
        // all other attempts fail, and the value is in no result and no log
        let unread = "import bue\ndef f(): return bue.secret('KEY')\n".to_owned();
        for (code, allowed) in [
            (send("secret:ELSEWHERE"), names.as_slice()),
            (send("secret:KEY"), &["OPEN"]),
            (send("secret:KEY\\n"), &names),
            (unread.clone(), &names),
            (unread, &[]),
        ] {
            let finished = run(&hosts, network_task(&code, &server.to_string(), allowed)).await;
            let output = format!("{finished:?} {}", String::from_utf8_lossy(&finished.log));
            assert!(!output.contains(CANARY), "{output}");
            assert!(output.contains("secret") || output.contains("control character"), "{output}");
        }
        hosts.shutdown().await;
    });
}

fn a_module_has_no_network_while_it_is_imported(runtime: &Runtime) {
    runtime.tokio.block_on(async {
        let hosts = Hosts::start(runtime.network_config(allow_all())).await.expect("hosts");
        let code = "import _bue_net as net\n[(_, _, ERROR)] = net.wait([net.start('GET', 'http://127.0.0.1:1', '/', [])])\ndef f(): return list(ERROR)\n";
        let Value::List(error) = value(&run(&hosts, network_task(code, "127.0.0.1:1", &[])).await) else { panic!("a list") };
        assert_eq!(error.first(), Some(&Value::Text("denied".into())), "{error:?}");
        assert!(matches!(error.get(1), Some(Value::Text(message)) if message.contains("while a module is imported")), "{error:?}");
        hosts.shutdown().await;
    });
}
