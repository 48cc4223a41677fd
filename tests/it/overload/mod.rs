//! Steps that use as much of a worker as they can get. The worker has to keep its leases, and others have to get on.
//!
//! The letters are those of the security review's tests.
//!
//! ```text
//! compiler     P      modules that take long to compile
//! connections  M      exchanges that are never read, over HTTP/1 and HTTP/2
//! database     B, L   SQL that takes long to read, rows that are too long
//! lists        N      runs of many steps with long names, many requests at once
//! values       D, Q   results and inputs that do not fit into memory
//! ```

mod compiler;
mod connections;
mod database;
mod lists;
mod values;

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::project::{Project, bue, copy_environment, prepare, step};
use crate::services::{Server, client};

/// A hub, a bucket and a worker.
struct Services {
    _folder: TempDir,
    worker: Server,
    hub: Server,
    bucket: Server,
}

/// How a worker is started.
#[derive(Clone, Copy, Debug, Default)]
struct WorkerOptions<'a> {
    /// What the shell does before: `ulimit -n 100;`.
    limits: &'a str,
    flags: &'a [&'a str],
    variables: &'a [(&'a str, &'a str)],
}

impl Services {
    fn start(worker: WorkerOptions<'_>) -> Self {
        prepare();
        let WorkerOptions { limits, flags, variables } = worker;
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
        let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0"]);
        let program = bue();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits} exec \"$0\" \"$@\"")]).arg(program.get_program());
        command.args(["worker", "-b", &hub.address, "-k", &bucket.address]).args(flags).current_dir(folder.path());
        copy_environment(&program, &mut command);
        command.envs(variables.iter().copied());
        Self { worker: Server::from_command(command), _folder: folder, hub, bucket }
    }

    fn project(&self, files: &[(&str, &str)]) -> Project {
        let project = Project::new(files);
        project.write("bue.toml", &client(&self.hub, &self.bucket));
        project
    }

    /// Returns the largest amount of memory that the worker itself, without its sandbox hosts, has had, in MiB.
    fn peak_mib(&self) -> u64 {
        memory_kib(self.worker.pid(), "VmHWM") / 1024
    }

    /// The worker lost no lease.
    fn expect_leases_kept(&self) {
        assert_eq!(self.worker.stderr_count("lost"), 0, "{}", self.worker.stderr());
    }

    fn stop(self) {
        [self.worker, self.hub, self.bucket].into_iter().for_each(Server::stop);
    }
}

fn upload(project: &Project) -> String {
    project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned()
}

/// Returns one of the counts of a run.
fn count(project: &Project, run: &str, state: &str) -> u64 {
    let status = project.bue(&["status", run, "--json"]).expect_code(0).json();
    status["counts"][state].as_u64().unwrap_or_else(|| panic!("no count `{state}` in {status}"))
}

/// All failed jobs of a run failed for this reason.
fn expect_failure(project: &Project, run: &str, reason: &str) {
    let page = project.bue(&["status", run, "--state", "failed", "--json"]).expect_code(0).json();
    for job in page["jobs"].as_array().expect("jobs") {
        assert!(job["failure"]["message"].as_str().is_some_and(|message| message.contains(reason)), "{job}");
    }
}

/// Returns a number of kilobytes in `/proc/PID/status`.
fn memory_kib(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Runs a trivial step of somebody else.
fn expect_others_get_on(services: &Services) {
    let other = services.project(&[("x.bue", &format!("{}one()\n", step("one", "def one():\n    return 1")))]);
    other.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(0);
}
