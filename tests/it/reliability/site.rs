//! Bucket, hub and workers of one test, in a folder that is gone after it.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bue_model::RunId;
use serde_json::Value;
use tempfile::TempDir;

use super::ledger::Ledger;
use crate::project::{Project, bue, prepare, step};
use crate::services::Server;

/// Below the ports that the system gives to clients: nobody else takes one while its hub is dead.
const PORTS: std::ops::Range<u16> = 10_240..32_000;

/// One place where jobs are worked at.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    /// Where the hub listens, in all its lives.
    pub(crate) address: String,
    pub(crate) bucket: Server,
    lease: u64,
}

impl Site {
    /// Everything but the hub and workers. Leases last so many seconds.
    pub(crate) fn new(lease: u64) -> Self {
        prepare();
        let folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
        Self { folder, address: free_address(), bucket, lease }
    }

    /// The same with a database that keeps a ledger.
    pub(crate) fn with_ledger(lease: u64) -> Self {
        let site = Self::new(lease);
        site.hub().stop();
        Ledger::found(&site.database());
        site
    }

    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("hub.db")
    }

    /// A life of the hub.
    pub(crate) fn hub(&self) -> Server {
        self.hub_on(&self.address, "sqlite:hub.db")
    }

    /// A hub on another database or at another place.
    pub(crate) fn hub_on(&self, address: &str, store: &str) -> Server {
        let mut command = bue();
        command.args(["hub", "-b", address, "-k", &self.bucket.address, "--store", store]);
        command.env("BUE_LEASE", self.lease.to_string()).current_dir(self.folder.path());
        Server::of(command)
    }

    /// A worker of the site's hub.
    pub(crate) fn worker(&self, slots: usize) -> Server {
        self.worker_of(&self.address, slots)
    }

    /// A worker that finds its hub here.
    pub(crate) fn worker_of(&self, hub: &str, slots: usize) -> Server {
        let arguments = ["worker", "-b", hub, "-k", &self.bucket.address, "--slots", &slots.to_string()];
        Server::start(&self.folder, &arguments)
    }

    /// A client's folder with a script, and where the servers are.
    pub(crate) fn project(&self, script: &str) -> Project {
        self.project_of(&self.address, script)
    }

    /// The same with another way to the hub.
    pub(crate) fn project_of(&self, hub: &str, script: &str) -> Project {
        let client = format!("[client]\nhub = '{hub}'\nbucket = '{}'\n", self.bucket.address);
        Project::new(&[("x.bue", script), ("bue.toml", &client)])
    }
}

/// Hands the script in.
pub(crate) fn upload(project: &Project) -> RunId {
    project.bue(&["upload", "-f", "x.bue"]).expect(0).stdout.trim().parse().expect("a run's id")
}

/// Waits for the run's end, and that it ends well.
pub(crate) fn wait(project: &Project, run: RunId) {
    project.bue(&["wait", &run.to_string()]).expect(0);
}

/// The value of the last call statement of the script.
pub(crate) fn value(project: &Project, run: RunId) -> Value {
    project.bue(&["result", &run.to_string(), "--json"]).expect(0).last()
}

/// One of the counts that `bue status` shows of a step.
pub(crate) fn count(project: &Project, run: RunId, step: usize, what: &str) -> u64 {
    let status = project.bue(&["status", &run.to_string(), "--json"]).expect(0).json();
    status["steps"][step][what].as_u64().expect("a count")
}

/// A place on this machine where nobody listens.
pub(crate) fn free_address() -> String {
    loop {
        let address = format!("127.0.0.1:{}", fastrand::u16(PORTS));
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Uploads the script, waits for its run and looks at its value, from several clients again and again until `is_enough`.
/// Each does it at least once. Gives their runs with their values.
pub(crate) fn keep_busy(site: &Site, script: &str, clients: usize, is_enough: &AtomicBool) -> Vec<(RunId, Value)> {
    let client = || {
        let project = site.project(script);
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

/// A loop of so many rounds of a Python step called `round`.
pub(crate) fn rounds(count: u64, step_code: &str) -> String {
    let source = step("numbers", &format!("def numbers():\n    return list(range({count}))"));
    format!("{source}{}for n in numbers():\n    round(n)\n", step("round", step_code))
}
