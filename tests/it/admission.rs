//! How many jobs a worker takes: by memory while they wait, by cores while they run.

use tempfile::TempDir;

use crate::project::{Project, prepare, step};
use crate::services::{Server, client};

/// A hub, a bucket, a worker, and a run of as many jobs of one step.
struct Site {
    _folder: TempDir,
    _servers: [Server; 3],
    project: Project,
    run: String,
}

impl Site {
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
        let run = project.bue(&["upload", "-f", "x.bue"]).expect(0).stdout.trim().to_owned();
        Self { _folder: folder, _servers: [worker, hub, bucket], project, run }
    }

    /// Jobs of `work` that run and that are done.
    fn work(&self) -> (u64, u64) {
        let status = self.project.bue(&["status", &self.run, "--json"]).expect(0).json();
        let steps = status["steps"].as_array().cloned().unwrap_or_default();
        let work = steps.iter().find(|step| step["name"] == "work").cloned();
        let work = work.unwrap_or_else(|| panic!("no step `work` in {status}"));
        (work["running"].as_u64().unwrap_or(0), work["completed"].as_u64().unwrap_or(0))
    }
}

/// Ten thousand may; here are as many as a busy machine starts in little time.
#[test]
fn steps_that_wait_are_taken_far_beyond_the_cores() {
    let site = Site::new(600, "import time\ndef work(x):\n    time.sleep(600)", &[]);
    while site.work().0 < 600 {}
    site.project.bue(&["cancel", &site.run]).expect(0);
}

/// What a worker does not begin soon is another's.
#[test]
fn steps_that_compute_are_taken_as_cores_can_begin_them() {
    let site = Site::new(600, "def work(x):\n    while True: pass", &[]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = u64::try_from(8 * cores).expect("few");
    while site.work().0 < most {}
    // each look takes longer than the hub needs to give jobs to a worker that asks
    for _ in 0..10 {
        assert_eq!(site.work(), (most, 0));
    }
    site.project.bue(&["cancel", &site.run]).expect(0);
}

/// Memory that is used up stops a worker from taking more until some is free again.
#[test]
fn a_worker_short_of_memory_takes_jobs_as_others_end() {
    let code = "import time\ndef work(x):\n    data = b'x' * 20_000_000\n    time.sleep(0.5)\n    return len(data)";
    let site = Site::new(60, code, &["--memory", "64MiB"]);
    let mut most = 0;
    while site.work().1 < 60 {
        most = most.max(site.work().0);
    }
    // those that were taken while the ones before had not shown yet what they need, and no more
    assert!(most <= 40, "{most} ran at once");
}
