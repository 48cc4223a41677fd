//! Workers that end by themselves: when there are no jobs, after so many of them, or after a time.

use std::process::Command;
use std::thread;
use std::time::Duration;

use bue_test_support::process::output;
use bue_test_support::wait::wait_until;
use tempfile::TempDir;

use crate::project::{Project, bue, prepare, step};
use crate::services::{Server, client};

/// A hub and a bucket, and a project that uses them.
struct Rig {
    folder: TempDir,
    project: Project,
    hub: Server,
    bucket: Server,
}

impl Rig {
    fn start() -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
        let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
        let script = [
            step("source", "def source():\n    return [1, 2, 3, 4]"),
            step("one", "import time\ndef one(x):\n    time.sleep(0.2)\n    return x"),
            "for x in source():\n    one(x)\n".to_owned(),
        ];
        let project = Project::new(&[("x.bue", &script.concat()), ("bue.toml", &client(&hub, &bucket))]);
        Self { folder, project, hub, bucket }
    }

    fn worker(&self, flags: &[&str]) -> Command {
        let mut command = bue();
        command.args(["worker", "-b", &self.hub.address]).args(flags).current_dir(self.project.folder().path());
        command
    }

    /// Runs a worker until it ends with code 0.
    fn run_worker(&self, flags: &[&str]) {
        let ended = output(&mut self.worker(flags)).expect("a worker");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    fn upload(&self) -> String {
        self.project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned()
    }

    fn completed(&self, run: &str) -> u64 {
        let status = self.project.bue(&["status", run, "--json"]).expect_code(0).json();
        status["counts"]["completed"].as_u64().expect("a count")
    }

    fn stop(self) {
        [self.hub, self.bucket].into_iter().for_each(Server::stop);
    }
}

#[test]
fn a_worker_ends_when_there_are_no_jobs_or_it_has_run_enough() {
    let rig = Rig::start();
    let run = rig.upload();
    rig.run_worker(&["--max-jobs", "2"]);
    assert_eq!(rig.completed(&run), 2);
    rig.run_worker(&["--until-idle", "1s", "--name", "nightly"]);
    assert_eq!(rig.completed(&run), 5);
    let jobs = rig.project.bue(&["status", &run, "--jobs", "--json"]).expect_code(0).json();
    let workers: Vec<&str> =
        jobs["jobs"].as_array().expect("jobs").iter().filter_map(|job| job["worker"].as_str()).collect();
    assert_eq!(workers.iter().filter(|name| name.starts_with("nightly-")).count(), 3, "{workers:?}");
    rig.run_worker(&["--max-time", "1s"]);
    rig.stop();
}

/// A hub that is away may have jobs.
#[test]
fn a_worker_whose_hub_is_away_is_not_idle() {
    let mut rig = Rig::start();
    let worker = Server::from_command(rig.worker(&["--until-idle", "1s"]));
    rig.hub.kill();
    wait_until("the worker notices", || worker.stderr().contains("failed to lease"));
    // twice the time after which it ends, and then it is told that there are none
    thread::sleep(Duration::from_secs(2));
    let tries = worker.stderr_count("failed to lease");
    wait_until("the worker tries again", || worker.stderr_count("failed to lease") > tries);
    rig.hub = Server::start(&rig.folder, &["hub", "-b", &rig.hub.address, "-k", &rig.bucket.address]);
    worker.wait();
    rig.stop();
}

#[test]
fn invalid_ends_are_refused() {
    let project = Project::new(&[]);
    for (flag, value, problem) in [
        ("--until-idle", "30", "is not a duration"),
        ("--max-time", "soon", "is not a duration"),
        ("--max-jobs", "0", "0 is not in"),
        ("--name", "a\u{1b}b", "no control characters"),
    ] {
        project.bue(&["worker", "-b", "127.0.0.1:1", flag, value]).expect_code(2).expect_stderr(&[flag, problem]);
    }
}
