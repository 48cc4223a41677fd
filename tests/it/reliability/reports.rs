//! Many large reports at once, as after a pause of the hub, and reports that are refused: no job loses its outcome to another one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use bue_test_support::wait::{DEADLINE, wait_until};

use super::ledger::Ledger;
use super::test_bed::{TestBed, upload, value, wait};
use crate::network::server;
use crate::project::step;
use crate::services::Server;

/// Seconds of a lease, longer than the tests: no job runs again because its lease ended.
const LONG_LEASE: u64 = 3_600;
/// What a worker logs when a batch was refused.
const HALVES: &str = "sending it in halves";

/// A script whose rounds tell the server that they are about to end, and then return and print large texts.
fn script(server: SocketAddr, rounds: usize, result: &str, printed: usize) -> String {
    let source = step("numbers", &format!("def numbers():\n    return list(range({rounds}))"));
    let code = format!(
        "import urllib.request\n\
         def round(n):\n    \
             print('x' * {printed})\n    \
             value = {result}\n    \
             urllib.request.urlopen('http://{server}/').read()\n    \
             return value"
    );
    format!("!allow net {server}\n{source}{}for n in numbers():\n    round(n)\n", step("round", &code))
}

fn worker(test_bed: &TestBed, hub: &str, slots: usize, server: SocketAddr) -> Server {
    let (slots, server) = (slots.to_string(), server.to_string());
    let bucket = &test_bed.bucket.address;
    let arguments = ["worker", "-b", hub, "-k", bucket, "--slots", &slots, "--allow-net", &server];
    Server::start(&test_bed.folder, &arguments)
}

/// Together the reports are larger than a request to the hub may be.
#[test]
fn large_reports_that_gather_while_the_hub_is_paused_are_all_recorded() {
    const ROUNDS: usize = 640;
    let test_bed = TestBed::with_ledger(LONG_LEASE);
    let hub = test_bed.hub();
    let gate = Gate::start();
    let worker = worker(&test_bed, &hub.address, ROUNDS, gate.address);
    let project = test_bed.project(&script(gate.address, ROUNDS, "str(n) + 'x' * 60_000", 60_000));
    let run = upload(&project);
    wait_until("all rounds wait", || gate.waiting.load(Ordering::SeqCst) == ROUNDS);
    hub.send_signal("STOP");
    gate.open();
    // on a machine that needs longer, fewer reports gather
    thread::sleep(Duration::from_secs(3));
    hub.send_signal("CONT");
    wait(&project, run);
    let results = value(&project, run);
    let results = results.as_array().expect("a list");
    assert_eq!(results.len(), ROUNDS);
    assert!((0..).zip(results).all(|(n, result)| result == &format!("{n}{}", "x".repeat(60_000))));
    assert_eq!(worker.stderr_count("refused"), 0, "{}", worker.stderr());
    [worker, hub].into_iter().for_each(Server::stop);
    let ledger = Ledger::open(&test_bed.database());
    assert!(ledger.rounds(run.0.as_u128()).iter().all(|(_, leases)| *leases == 1), "a round ran twice");
}

/// A server that answers once it is open.
struct Gate {
    address: SocketAddr,
    waiting: Arc<AtomicUsize>,
    is_open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (waiting, is_open) = (Arc::<AtomicUsize>::default(), Arc::<(Mutex<bool>, Condvar)>::default());
        let (count, open) = (Arc::clone(&waiting), Arc::clone(&is_open));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, open) = (client.expect("a connection"), Arc::clone(&open));
                count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    read_head(&mut client)?;
                    let (is_open, opened) = &*open;
                    let is_open = is_open.lock().expect("a lock");
                    drop(opened.wait_timeout_while(is_open, DEADLINE, |is_open| !*is_open));
                    client.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                });
            }
        });
        Self { address, waiting, is_open }
    }

    fn open(&self) {
        let (is_open, opened) = &*self.is_open;
        *is_open.lock().expect("a lock") = true;
        opened.notify_all();
    }
}

/// A proxy such as those in front of many servers: it refuses large requests. A batch of honest reports is larger than its limit, and
/// so is one of them alone.
#[test]
fn a_batch_that_is_refused_costs_only_the_report_that_is_too_large() {
    const ROUNDS: usize = 40;
    const TOO_LARGE: usize = 17;
    let test_bed = TestBed::new(LONG_LEASE);
    let hub = test_bed.hub();
    let (server, requests) = server();
    let ended = Arc::clone(&requests);
    let is_held = move || (1..ROUNDS).contains(&ended.load(Ordering::SeqCst));
    let proxy = LimitingProxy::start(&hub.address, is_held);
    let worker = worker(&test_bed, &proxy.address, ROUNDS, server);
    let result = format!("str(n) + 'x' * (60_000 if n == {TOO_LARGE} else 5_000)");
    let project = test_bed.project(&script(server, ROUNDS, &result, 10));
    let run = upload(&project);
    project.bue(&["wait", &run.to_string()]).expect_code(1);
    assert!(worker.stderr_count(HALVES) > 0, "{}", worker.stderr());
    assert!(proxy.refused.load(Ordering::SeqCst) > 1);
    let errors = project.bue(&["errors", &run.to_string()]).expect_code(0).stdout;
    assert!(errors.contains("the hub refused what the step returned"), "{errors}");
    let status = project.bue(&["status", &run.to_string(), "--json"]).expect_code(0).json();
    let round = &status["steps"][1];
    assert_eq!((round["completed"].as_u64(), round["failed"].as_u64()), (Some(39), Some(1)), "{status}");
    [worker, hub].into_iter().for_each(Server::stop);
}

/// Bytes of a request for reports at most.
const MAX_BODY: usize = 40_000;

/// Passes requests on to a hub, but none with more than [`MAX_BODY`] bytes of reports.
struct LimitingProxy {
    address: String,
    refused: Arc<AtomicUsize>,
}

impl LimitingProxy {
    /// Keeps reports back for as long as `is_held`, so that those behind them gather.
    fn start(hub: &str, is_held: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let refused = Arc::<AtomicUsize>::default();
        let (hub, is_held, count) = (hub.to_owned(), Arc::new(is_held), Arc::clone(&refused));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let (hub, is_held, count) = (hub.clone(), Arc::clone(&is_held), Arc::clone(&count));
                // an error is the end of the connection
                thread::spawn(move || pass_on(client, &hub, &*is_held, &count));
            }
        });
        Self { address, refused }
    }
}

/// Passes the requests of a connection on, one after the other, and the answers back as they come.
fn pass_on(client: TcpStream, hub: &str, is_held: &dyn Fn() -> bool, refused: &AtomicUsize) -> io::Result<()> {
    let server = TcpStream::connect(hub)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let copied = io::copy(&mut from_server, &mut to_client);
        to_client.shutdown(Shutdown::Write).and(copied)
    });
    let (mut from_client, mut to_client, mut to_server) = (io::BufReader::new(client.try_clone()?), client, server);
    loop {
        let head = read_head(&mut from_client)?;
        let mut body = vec![0; content_length(&head)];
        from_client.read_exact(&mut body)?;
        if head.starts_with("POST /v1/outcomes ") {
            wait_until("the reports may pass", || !is_held());
            if body.len() > MAX_BODY {
                refused.fetch_add(1, Ordering::SeqCst);
                to_client.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            }
        }
        to_server.write_all(&[head.as_bytes(), &body].concat())?;
    }
}

fn read_head(from: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut length =
        lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
    length.next().map_or(0, |value| value.parse().expect("a length"))
}
