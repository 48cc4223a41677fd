//! Services that are stopped politely under load, and by whom it cannot be quick enough.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bue_model::RunId;

use super::site::{Site, count, rounds, upload, wait};
use crate::project::Project;
use crate::services::Server;

/// Longer than any test: whatever is put back, no lease ended.
const LONG: u64 = 3_600;
/// Longer than a worker lets its steps go on.
const SLEEP: &str = "import time\ndef round(n):\n    time.sleep(600)";
/// Jobs of a worker.
const SLOTS: usize = 32;

/// Jobs that are out on leases, of all steps of the run.
fn running(project: &Project, run: RunId) -> u64 {
    count(project, run, 0, "running") + count(project, run, 1, "running")
}

/// Whoever is stopped takes ten seconds for its steps; this is for a machine that is busy.
fn expect_end(worker: Server, least: Duration) {
    let begun = Instant::now();
    worker.stop();
    println!("out after {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() >= least, "it did not wait for its steps");
    assert!(begun.elapsed() < Duration::from_secs(60), "it hangs");
}

#[test]
fn a_worker_that_is_stopped_gives_back_what_it_cannot_finish() {
    let site = Site::new(LONG);
    let hub = site.hub();
    let worker = site.worker(SLOTS);
    let project = site.project(&rounds(100, SLEEP));
    let run = upload(&project);
    while count(&project, run, 1, "running") < SLOTS as u64 {}
    expect_end(worker, Duration::from_secs(9));
    assert_eq!((running(&project, run), count(&project, run, 1, "available")), (0, 100));
    hub.stop();
}

#[test]
fn no_job_waits_for_the_lease_of_a_worker_that_was_stopped_under_load() {
    const ROUNDS: u64 = 3_000;
    let site = Site::new(LONG);
    let hub = site.hub();
    let project = site.project(&rounds(ROUNDS, "def round(n):\n    return n"));
    let run = upload(&project);
    for times in 0..6 {
        let worker = site.worker(SLOTS);
        let done = count(&project, run, 1, "completed");
        while count(&project, run, 1, "completed") == done && done < ROUNDS {}
        thread::sleep(Duration::from_millis(17 * times));
        expect_end(worker, Duration::ZERO);
        assert_eq!(running(&project, run), 0);
    }
    let worker = site.worker(SLOTS);
    wait(&project, run);
    [worker, hub].into_iter().for_each(Server::stop);
}

#[test]
fn a_hub_that_is_stopped_answers_what_is_under_way() {
    let site = Site::new(LONG);
    let hub = site.hub();
    let worker = site.worker(SLOTS);
    // nothing changes in it: nobody serves its scope
    let idle = site.project("!scope nobody\nx:\n    python\n    x\n    `\ndef x():\n    return 1\n`\nx()\n");
    let waiting = upload(&idle);
    let busy = site.project(&rounds(2_000, "def round(n):\n    return n"));
    let run = upload(&busy);
    let mut polls: Vec<TcpStream> = (0..20).map(|_| poll(&site.address, waiting)).collect();
    while count(&busy, run, 1, "completed") == 0 {}
    hub.stop();
    for poll in &mut polls {
        let mut answer = String::new();
        poll.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
    let hub = site.hub();
    wait(&busy, run);
    [worker, hub].into_iter().for_each(Server::stop);
}

/// Asks for news of a run of which there are none.
fn poll(address: &str, run: RunId) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the hub");
    let request = format!(
        "GET /v1/runs/{run}?seen=1000000&wait_ms=60000 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

#[test]
fn ctrl_c_twice_ends_a_worker_at_once() {
    let site = Site::new(LONG);
    let hub = site.hub();
    let mut worker = site.worker(SLOTS);
    let project = site.project(&rounds(4, SLEEP));
    let run = upload(&project);
    while count(&project, run, 1, "running") < 4 {}
    let told = Instant::now();
    while worker.goes_on() {
        worker.tell("INT");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(worker.exit_code(), Some(130), "after {:?}: {}", told.elapsed(), worker.said());
    let group = format!("-{}", worker.process());
    let is_there = || Command::new("kill").args(["-0", "--", &group]).output().expect("kill").status.success();
    while is_there() {
        // its sandbox hosts notice by themselves
        thread::sleep(Duration::from_millis(20));
    }
    hub.stop();
}
