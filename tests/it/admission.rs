//! How many jobs a worker takes: limited by memory while they wait, by cores while they compute.

use tempfile::TempDir;

use crate::project::{Project, prepare, step};
use crate::services::{Server, client, wait_for_count};

/// A hub, a bucket, a worker, and a run with so many jobs of a step `work`.
struct BusyWorker {
    _folder: TempDir,
    _servers: [Server; 3],
    project: Project,
    run: String,
}

/// Jobs of the step `work`.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    running: u64,
    completed: u64,
}

impl BusyWorker {
    fn new(jobs: usize, code: &str, arguments: &[&str]) -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
        let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0"]);
        let worker = ["worker", "-b", &hub.address, "-k", &bucket.address];
        let worker = Server::start(&folder, &[&worker[..], arguments].concat());
        let source = step("source", &format!("def source():\n    return list(range({jobs}))"));
        let script = format!("{source}{}for x in source():\n    work(x)\n", step("work", code));
        let project = Project::new(&[("x.bue", &script), ("bue.toml", &client(&hub, &bucket))]);
        let run = project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned();
        Self { _folder: folder, _servers: [worker, hub, bucket], project, run }
    }

    /// Returns the counts of the step `work`.
    fn counts(&self) -> Counts {
        let status = self.project.bue(&["status", &self.run, "--json"]).expect_code(0).json();
        let steps = status["steps"].as_array().cloned().unwrap_or_default();
        let work = steps.iter().find(|step| step["name"] == "work").cloned();
        let work = work.unwrap_or_else(|| panic!("no step `work` in {status}"));
        let count = |name: &str| work[name].as_u64().unwrap_or(0);
        Counts { running: count("running"), completed: count("completed") }
    }
}

/// The limit is ten thousand; 600 is what a busy machine starts quickly.
#[test]
fn a_worker_takes_far_more_waiting_steps_than_it_has_cores() {
    let worker = BusyWorker::new(600, "import time\ndef work(x):\n    time.sleep(600)", &[]);
    wait_for_count("600 jobs run", 600, || worker.counts().running);
    worker.project.bue(&["cancel", &worker.run]).expect_code(0);
}

/// A job that a worker cannot start soon should go to another worker.
#[test]
fn a_worker_takes_computing_steps_only_as_cores_become_free() {
    let worker = BusyWorker::new(600, "def work(x):\n    while True: pass", &[]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = u64::try_from(8 * cores).expect("few");
    wait_for_count("the worker is full", most, || worker.counts().running);
    // each request takes longer than the hub needs to lease jobs to a worker that requests them
    for _ in 0..10 {
        assert_eq!(worker.counts(), Counts { running: most, completed: 0 });
    }
    worker.project.bue(&["cancel", &worker.run]).expect_code(0);
}

/// A worker whose memory is used up takes no jobs until some memory is free again.
#[test]
fn a_worker_short_of_memory_takes_jobs_as_others_end() {
    let code = "import time\ndef work(x):\n    data = b'x' * 20_000_000\n    time.sleep(0.5)\n    return len(data)";
    let worker = BusyWorker::new(60, code, &["--memory", "64MiB"]);
    let mut most = 0;
    wait_for_count("60 jobs have completed", 60, || {
        let counts = worker.counts();
        most = most.max(counts.running);
        counts.completed
    });
    // the first jobs are taken before it is known how much memory they need
    assert!(most <= 40, "{most} ran at once");
}
