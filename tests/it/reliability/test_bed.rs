//! Bucket, hub and workers of one test, in a folder that is deleted after it.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bue_model::RunId;
use serde_json::Value;
use tempfile::TempDir;

use super::ledger::Ledger;
use crate::project::{Project, bue, prepare, step};
use crate::services::Server;

/// Ports below the ephemeral range, so that no client takes a hub's port while the hub is dead.
const PORTS: std::ops::Range<u16> = 10_240..32_000;

/// The services of one test.
pub(crate) struct TestBed {
    pub(crate) folder: TempDir,
    /// The address of the hub, before and after restarts.
    pub(crate) address: String,
    pub(crate) bucket: Server,
    /// Seconds of a lease.
    lease: u64,
}

impl TestBed {
    /// Starts the bucket. Leases last so many seconds.
    pub(crate) fn new(lease: u64) -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
        Self { folder, address: free_address(), bucket, lease }
    }

    /// Starts the bucket and creates a database that keeps a ledger.
    pub(crate) fn with_ledger(lease: u64) -> Self {
        let test_bed = Self::new(lease);
        test_bed.hub().stop();
        Ledger::create(&test_bed.database());
        test_bed
    }

    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("hub.db")
    }

    /// Starts the hub.
    pub(crate) fn hub(&self) -> Server {
        self.hub_on(&self.address, "sqlite:hub.db")
    }

    /// Starts a hub with another database or another address.
    pub(crate) fn hub_on(&self, address: &str, store: &str) -> Server {
        let mut command = bue();
        command.args(["hub", "-b", address, "-k", &self.bucket.address, "--store", store]);
        command.env("BUE_LEASE", self.lease.to_string()).current_dir(self.folder.path());
        Server::from_command(command)
    }

    /// Starts a worker of the hub.
    pub(crate) fn worker(&self, slots: usize) -> Server {
        self.worker_of(&self.address, slots)
    }

    /// Starts a worker of the hub at this address.
    pub(crate) fn worker_of(&self, hub: &str, slots: usize) -> Server {
        let arguments = ["worker", "-b", hub, "-k", &self.bucket.address, "--slots", &slots.to_string()];
        Server::start(&self.folder, &arguments)
    }

    /// Creates a client's folder, with a script and the addresses of the servers.
    pub(crate) fn project(&self, script: &str) -> Project {
        self.project_of(&self.address, script)
    }

    /// Creates a client's folder with another address of the hub.
    pub(crate) fn project_of(&self, hub: &str, script: &str) -> Project {
        let client = format!("[client]\nhub = '{hub}'\nbucket = '{}'\n", self.bucket.address);
        Project::new(&[("x.bue", script), ("bue.toml", &client)])
    }
}

/// Submits the script.
pub(crate) fn upload(project: &Project) -> RunId {
    project.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().parse().expect("a run's id")
}

/// Waits until the run has ended, and checks that it completed.
pub(crate) fn wait(project: &Project, run: RunId) {
    project.bue(&["wait", &run.to_string()]).expect_code(0);
}

/// Returns the value of the last call statement of the script.
pub(crate) fn value(project: &Project, run: RunId) -> Value {
    project.bue(&["result", &run.to_string(), "--json"]).expect_code(0).last()
}

/// Returns one of the counts that `bue status` shows for a step.
pub(crate) fn count(project: &Project, run: RunId, step: usize, state: &str) -> u64 {
    let status = project.bue(&["status", &run.to_string(), "--json"]).expect_code(0).json();
    status["steps"][step][state].as_u64().expect("a count")
}

/// Returns an address on this machine that no server uses.
pub(crate) fn free_address() -> String {
    loop {
        let address = format!("127.0.0.1:{}", fastrand::u16(PORTS));
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Several clients submit the script, wait for its run and fetch its value, again and again until `is_enough`, but at least
/// once each. Returns their runs with the values.
pub(crate) fn keep_busy(
    test_bed: &TestBed,
    script: &str,
    clients: usize,
    is_enough: &AtomicBool,
) -> Vec<(RunId, Value)> {
    let client = || {
        let project = test_bed.project(script);
        let mut runs = Vec::new();
        loop {
            let run = upload(&project);
            wait(&project, run);
            runs.push((run, value(&project, run)));
            if is_enough.load(Ordering::Relaxed) {
                return runs;
            }
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client that succeeds")).collect()
    })
}

/// Ends [`keep_busy`] when it is dropped, also by a failed assertion: a scope of threads waits for its clients.
pub(crate) struct EnoughOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for EnoughOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A script with a loop of so many rounds of a Python step called `round`.
pub(crate) fn rounds(count: u64, step_code: &str) -> String {
    let source = step("numbers", &format!("def numbers():\n    return list(range({count}))"));
    format!("{source}{}for n in numbers():\n    round(n)\n", step("round", step_code))
}
