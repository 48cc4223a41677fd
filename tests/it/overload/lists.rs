//! Runs of many steps with long names, and many requests at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bue_client::HubClient;
use bue_model::plan::{PLAN_VERSION, Settings, Source};
use bue_model::wire::{LeaseRequest, Submission};
use bue_model::{BlobHash, BlobRef, Call, CallIndex, JobNode, Language, Node, NodeId, Plan, RunId, Step, StepIndex};
use bue_test_support::wait::DEADLINE;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{Services, WorkerOptions, expect_others_get_on, memory_kib};

/// Test N: twenty runs of 5,000 steps, whose names have a thousand letters, are listed while the hub is asked a thousand times whether
/// it is ready.
#[test]
fn lists_of_large_runs_and_many_requests_delay_no_worker() {
    const RUNS: u128 = 20;
    let services = Services::start(WorkerOptions::default());
    let runtime = Runtime::new().expect("a runtime");
    let hub = HubClient::new(std::slice::from_ref(&services.hub.address)).expect("a client");
    let plan = plan_of_long_names(5_000);
    for run in 0..RUNS {
        let code = plan.steps.iter().map(|_| BlobRef { hash: BlobHash([7; 32]), len: 1 }).collect();
        let run = RunId(Uuid::from_u128(run + 1));
        let submission = Submission { run, name: "large.bue".into(), plan: plan.clone(), code };
        runtime.block_on(hub.submit(&submission)).expect("a run");
    }
    let address = services.hub.address.clone();
    let lists = thread::spawn(move || {
        for _ in 0..2 {
            let answers = get_at_once(&address, &[("/readyz", 500), ("/v1/runs", 20)]);
            assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{:?}", answers.first());
            // of its steps, a run has the three that no worker serves
            let longest = answers.iter().map(String::len).max().unwrap_or_default();
            assert!(longest < 128 * 1024, "{longest} bytes");
        }
    });
    let mut times = Vec::new();
    while !lists.is_finished() {
        let request =
            LeaseRequest { worker: "w".into(), scopes: vec!["none".into()], count: 1, ..LeaseRequest::default() };
        let asked_at = Instant::now();
        runtime.block_on(hub.lease(&request)).expect("an answer");
        times.push(asked_at.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    lists.join().expect("the lists");
    times.sort_unstable();
    let peak = memory_kib(services.hub.pid(), "VmHWM") / 1024;
    let (leases, p99) = (times.len(), times.get(times.len() * 99 / 100));
    println!("the hub had at most {peak} MiB; {leases} requests for leases, p99 {p99:?}");
    assert!(peak < 1024, "{peak} MiB");
    expect_others_get_on(&services);
    services.expect_leases_kept();
    services.stop();
}

/// Returns a plan of so many steps, which are called once each, in a scope without workers.
fn plan_of_long_names(steps: u32) -> Plan {
    let step = |index| Step {
        name: format!("{}{index:04}", "n".repeat(992)),
        language: Language::Python,
        function: "f".into(),
        source: Source::File("steps.py".into()),
        line: 1,
        settings: Settings { scope: "elsewhere".into(), ..Settings::default() },
    };
    let node = |id| JobNode { id: NodeId(id), step: StepIndex(id), call: CallIndex(id), inputs: Vec::new() };
    let call = |id| Call { line: id + 1, name: None, first: NodeId(id), last: NodeId(id), nested: false };
    Plan {
        version: PLAN_VERSION,
        steps: (0..steps).map(step).collect(),
        nodes: (0..steps).map(|id| Node::Job(node(id))).collect(),
        calls: (0..steps).map(call).collect(),
        params: Vec::new(),
    }
}

/// Sends so many requests for each path, all before the first answer is read. Returns the answers.
fn get_at_once(address: &str, requests: &[(&str, usize)]) -> Vec<String> {
    let paths = requests.iter().flat_map(|(path, count)| std::iter::repeat_n(*path, *count));
    let streams: Vec<TcpStream> = paths.map(|path| send(address, path)).collect();
    streams.into_iter().map(read).collect()
}

fn send(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the hub");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("a request");
    stream
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
