//! Services that are stopped with SIGTERM or Ctrl-C under load.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bue_model::RunId;
use bue_test_support::process;
use bue_test_support::wait::{DEADLINE, wait_until};

use super::test_bed::{TestBed, count, rounds, upload, wait};
use crate::project::Project;
use crate::services::{Server, wait_for_count};

/// Seconds of a lease, longer than any test: if jobs are requeued, it is not because a lease ended.
const LONG_LEASE: u64 = 3_600;
/// A step that takes longer than a stopping worker waits.
const SLEEP: &str = "import time\ndef round(n):\n    time.sleep(600)";
/// The most jobs of a worker.
const SLOTS: usize = 32;

/// Returns the number of jobs on leases, of both steps of the run.
fn running(project: &Project, run: RunId) -> u64 {
    count(project, run, 0, "running") + count(project, run, 1, "running")
}

/// Stops a worker, and checks that it waits for its steps at least so long.
fn stop_worker(worker: Server, least: Duration) {
    let stopped_at = Instant::now();
    worker.stop();
    println!("exited after {:.1} s", stopped_at.elapsed().as_secs_f64());
    assert!(stopped_at.elapsed() >= least, "it did not wait for its steps");
}

#[test]
fn a_worker_that_is_stopped_gives_back_what_it_cannot_finish() {
    let test_bed = TestBed::new(LONG_LEASE);
    let hub = test_bed.hub();
    let worker = test_bed.worker(SLOTS);
    let project = test_bed.project(&rounds(100, SLEEP));
    let run = upload(&project);
    wait_for_count("the worker is full", SLOTS as u64, || count(&project, run, 1, "running"));
    stop_worker(worker, Duration::from_secs(9));
    assert_eq!((running(&project, run), count(&project, run, 1, "available")), (0, 100));
    hub.stop();
}

#[test]
fn no_job_waits_for_the_lease_of_a_worker_that_was_stopped_under_load() {
    const ROUNDS: u64 = 3_000;
    let test_bed = TestBed::new(LONG_LEASE);
    let hub = test_bed.hub();
    let project = test_bed.project(&rounds(ROUNDS, "def round(n):\n    return n"));
    let run = upload(&project);
    for times in 0..6 {
        let worker = test_bed.worker(SLOTS);
        let completed = || count(&project, run, 1, "completed");
        let before = completed();
        wait_until("a round completes", || completed() > before || before == ROUNDS);
        thread::sleep(Duration::from_millis(17 * times));
        stop_worker(worker, Duration::ZERO);
        assert_eq!(running(&project, run), 0);
    }
    let worker = test_bed.worker(SLOTS);
    wait(&project, run);
    [worker, hub].into_iter().for_each(Server::stop);
}

#[test]
fn a_hub_that_is_stopped_answers_what_is_under_way() {
    let test_bed = TestBed::new(LONG_LEASE);
    let hub = test_bed.hub();
    let worker = test_bed.worker(SLOTS);
    // nothing changes in this run, because no worker serves its scope
    let idle = test_bed.project("!scope nobody\nx:\n    python\n    x\n    `\ndef x():\n    return 1\n`\nx()\n");
    let waiting = upload(&idle);
    let busy = test_bed.project(&rounds(2_000, "def round(n):\n    return n"));
    let run = upload(&busy);
    let mut polls: Vec<TcpStream> = (0..20).map(|_| poll(&test_bed.address, waiting)).collect();
    wait_until("a round completes", || count(&busy, run, 1, "completed") > 0);
    hub.stop();
    for poll in &mut polls {
        poll.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let mut answer = String::new();
        poll.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
    let hub = test_bed.hub();
    wait(&busy, run);
    [worker, hub].into_iter().for_each(Server::stop);
}

/// Sends a long poll for a run that does not change.
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
    let test_bed = TestBed::new(LONG_LEASE);
    let hub = test_bed.hub();
    let mut worker = test_bed.worker(SLOTS);
    let project = test_bed.project(&rounds(4, SLEEP));
    let run = upload(&project);
    wait_for_count("all jobs run", 4, || count(&project, run, 1, "running"));
    worker.send_signal("INT");
    wait_until("the worker exits", || {
        // one more Ctrl-C may come before the worker listens for it
        thread::sleep(Duration::from_millis(200));
        let is_running = worker.is_running();
        if is_running {
            worker.send_signal("INT");
        }
        !is_running
    });
    assert_eq!(worker.exit_code(), Some(130), "{}", worker.stderr());
    let group = format!("-{}", worker.pid());
    let exists = || process::output(Command::new("kill").args(["-0", "--", &group])).expect("kill").status.success();
    // sandbox hosts notice on their own that their worker has exited
    wait_until("the sandbox hosts exit", || !exists());
    hub.stop();
}
