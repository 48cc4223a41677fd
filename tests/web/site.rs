//! [`Site`]: a hub with a bucket and workers, in processes of their own, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use bue_test_support::process::{self, Lines};
use bue_test_support::wait::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::wait_until_with;
use crate::http;

/// What the pages of most tests show: parameters of every kind, a loop, results that nest.
pub(crate) const REPORT: &str = r#"
param region: text = "north" ("north", "south")
param rounds: int = 3 (1..100)
param day: date = "2026-11-01"
param fast: bool = false
param more: json = {"a": [1, 2]}

shops:
    python
    shops
    `
def shops(region, rounds):
    print("the shops of", region)
    return [{"region": region, "shop": number} for number in range(rounds)]
    `

sales:
    python
    sales
    `
def sales(shop):
    return {"shop": shop, "sales": [shop["shop"] * 10, 7]}
    `

report:
    python
    report
    `
def report(all, day, fast, more):
    print("reported", len(all), "shops")
    return {"day": str(day), "shops": all, "more": more}
    `

all_sales = [sales(shop) for shop in shops(region, rounds)]
report(all_sales, day, fast, more)
"#;

/// A step that fails, with code of which the traceback shows lines, and one that needs its result.
pub(crate) const BROKEN: &str = r#"
broken:
    python
    broken
    `
def inner(value):
    print("about to divide")
    return value / 0

def broken():
    return inner(7)
    `

after:
    python
    after
    `
def after(value):
    return value
    `

pipe = broken | after
pipe()
"#;

/// Steps that no worker serves, so that they wait until somebody cancels them.
pub(crate) const WAITING: &str = r#"
!scope nowhere
idle:
    python
    idle
    `
def idle():
    return 1
    `

last:
    python
    last
    `
def last(value):
    return value
    `

pipe = idle | last
pipe()
"#;

/// A step that runs until somebody cancels it.
const SLEEPING: &str = r#"
sleeping:
    python
    sleeping
    `
import time
def sleeping():
    print("going to sleep")
    time.sleep(3600)
    `

sleeping()
"#;

/// A process of bue.
pub(crate) struct Service {
    child: Child,
    /// Where it listens; empty for a worker.
    pub(crate) address: String,
    /// Keeps its output open.
    stderr: Mutex<Lines>,
}

impl Service {
    /// Starts a process and waits until it writes this.
    fn start(folder: &Path, arguments: &[&str], ready: &str) -> Self {
        let mut command = bue(folder);
        let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("bue");
        let stderr = Mutex::new(Lines::new(child.stderr.take().expect("stderr")));
        // ended by `drop` if it does not become ready
        let mut service = Self { child, address: String::new(), stderr };
        let mut lines = Vec::new();
        loop {
            let line = service
                .stderr
                .get_mut()
                .expect("no panic")
                .next(ready)
                .unwrap_or_else(|| panic!("bue {arguments:?} ended: {lines:#?}"));
            lines.push(line.clone());
            if let Some((_, rest)) =
                line.split_once("hub listens on ").or_else(|| line.split_once("bucket listens on "))
                && service.address.is_empty()
            {
                rest.split([',', ' ']).next().unwrap_or_default().clone_into(&mut service.address);
            }
            if line.contains(ready) {
                return service;
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder and the processes in it.
pub(crate) struct Site {
    folder: TempDir,
    /// Killed before the folder is removed.
    pub(crate) services: Vec<Service>,
    /// Of the hub.
    pub(crate) address: String,
    /// With which the test asks the hub; `None` where no token is needed.
    pub(crate) token: Option<String>,
}

impl Site {
    /// Starts `bue serve` with these scripts as pipelines, for everyone on this machine.
    pub(crate) fn serve(scripts: &[(&str, &str)], flags: &[&str]) -> Self {
        let site = Self::in_folder(scripts);
        site.serving(scripts, flags)
    }

    /// The same with tokens: one of each role, which are returned in their order, and one for the test.
    pub(crate) fn serve_with_tokens(scripts: &[(&str, &str)], roles: &[&str]) -> (Self, Vec<String>) {
        let mut site = Self::in_folder(scripts);
        site.token = Some(site.new_token("admin", "test"));
        let tokens = roles.iter().map(|role| site.new_token(role, role)).collect();
        (site.serving(scripts, &[]), tokens)
    }

    fn in_folder(scripts: &[(&str, &str)]) -> Self {
        prepare();
        let site = Self::empty();
        for (name, text) in scripts {
            site.write(&format!("{name}.bue"), text);
        }
        site
    }

    fn empty() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self { folder, services: Vec::new(), address: String::new(), token: None }
    }

    fn serving(mut self, scripts: &[(&str, &str)], flags: &[&str]) -> Self {
        let files: Vec<_> = scripts.iter().map(|(name, _)| format!("{name}.bue")).collect();
        let mut arguments = vec!["serve", "-b", "127.0.0.1:0", "--bucket-bind", "127.0.0.1:0", "--data", "state"];
        arguments.extend(flags);
        arguments.extend(files.iter().map(String::as_str));
        let service = Service::start(self.folder.path(), &arguments, " serves ");
        self.address.clone_from(&service.address);
        self.services.push(service);
        self
    }

    /// Starts hub, bucket and worker as separate processes, in this order.
    pub(crate) fn separate(scripts: &[(&str, &str)]) -> Self {
        let mut site = Self::in_folder(scripts);
        let folder = site.folder.path().to_owned();
        let bucket = Service::start(&folder, &["bucket", "-b", "127.0.0.1:0"], "listens on");
        let hub = Service::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address], "listens on");
        let flags = ["worker", "-b", &hub.address, "-k", &bucket.address, "-s", "default", "--sandbox"];
        let worker = Service::start(&folder, &flags, " serves ");
        site.address.clone_from(&hub.address);
        site.services = vec![hub, bucket, worker];
        for (name, _) in scripts {
            site.bue(&["publish", &format!("{name}.bue")]);
        }
        site
    }

    /// Starts a worker of a scope that no other one serves.
    pub(crate) fn add_worker(&mut self, scope: &str) {
        self.add_worker_named(scope, "added");
    }

    /// The same with a name.
    pub(crate) fn add_worker_named(&mut self, scope: &str, name: &str) {
        let flags = ["worker", "-b", &self.address, "-s", scope, "--name", name, "--sandbox"];
        self.services.push(Service::start(self.folder.path(), &flags, " serves "));
    }

    /// Starts the hub again where it was.
    pub(crate) fn restart_hub(&mut self) {
        let bucket = self.services.get(1).expect("the bucket").address.clone();
        let hub = Service::start(self.folder.path(), &["hub", "-b", &self.address, "-k", &bucket], "listens on");
        *self.services.get_mut(0).expect("the hub") = hub;
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a file");
    }

    /// Makes a token, and returns it.
    pub(crate) fn new_token(&self, role: &str, name: &str) -> String {
        self.bue(&["token", "new", "--role", role, "--name", name]).trim().to_owned()
    }

    /// Runs a command that must succeed, and returns what it prints.
    #[track_caller]
    pub(crate) fn bue(&self, arguments: &[&str]) -> String {
        let mut command = bue(self.folder.path());
        command.args(arguments).env("BUE_HUB", &self.address);
        if let Some(token) = &self.token {
            command.env("BUE_TOKEN", token);
        }
        let output = process::output(&mut command).expect("bue");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "bue {arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Makes a link that logs in once, as the holder of the test's token. Returns its path.
    pub(crate) fn new_link(&self) -> String {
        let link = self.bue(&["web"]);
        let path = link.trim().strip_prefix(&format!("http://{}", self.address));
        path.unwrap_or_else(|| panic!("{link} is not an address of {}", self.address)).to_owned()
    }

    /// Asks the hub's API.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, value) = self.try_get(path);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// The same for what may not be there.
    #[track_caller]
    pub(crate) fn try_get(&self, path: &str) -> (u16, Value) {
        http::get(&self.address, path, self.token.as_deref()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a run of a pipeline, with `NAME=VALUE` as parameters. Returns its id.
    pub(crate) fn invoke(&self, pipeline: &str, parameters: &[&str]) -> String {
        let arguments = [&["invoke", pipeline][..], parameters].concat();
        self.bue(&arguments).trim().to_owned()
    }

    /// Waits until a run is in a state.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, run: &str, state: &str) {
        let mut view = Value::Null;
        wait_until_with(
            || {
                view = self.get(&format!("/v1/runs/{run}"));
                view["state"] == state
            },
            || format!("run {run} is {state}"),
        );
    }

    /// The jobs of a run, in the order of the script.
    #[track_caller]
    pub(crate) fn jobs(&self, run: &str) -> Vec<Value> {
        self.get(&format!("/v1/runs/{run}/jobs"))["jobs"].as_array().cloned().expect("a list")
    }

    /// The id of the first job of a step.
    #[track_caller]
    pub(crate) fn job(&self, run: &str, step: &str) -> u64 {
        let jobs = self.jobs(run);
        let job = jobs.iter().find(|job| job["step"] == step).unwrap_or_else(|| panic!("no {step} in {jobs:?}"));
        job["id"].as_u64().expect("an id")
    }

    /// Waits until a job is in a state.
    #[track_caller]
    pub(crate) fn wait_for_job(&self, job: u64, state: &str) {
        wait_until(&format!("job {job} is {state}"), || self.get(&format!("/v1/jobs/{job}"))["state"] == state);
    }

    /// What people did to a run, such as `run.cancel`.
    pub(crate) fn audit(&self, run: &str) -> Vec<String> {
        self.actions(&format!("/v1/runs/{run}/audit"))
    }

    /// What people did to anything.
    pub(crate) fn audit_of_all(&self) -> Vec<String> {
        self.actions("/v1/audit")
    }

    fn actions(&self, path: &str) -> Vec<String> {
        let entries = self.get(path)["entries"].as_array().cloned().expect("a list");
        entries.iter().map(|entry| entry["action"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.services.clear();
    }
}

/// A site with runs in every state, for tests that change nothing.
pub(crate) struct Populated {
    pub(crate) site: Site,
    pub(crate) completed: String,
    pub(crate) rerun: String,
    pub(crate) failed: String,
    pub(crate) waiting: String,
    pub(crate) running: String,
    pub(crate) cancelled: String,
}

/// The site that tests which change nothing share while they run.
pub(crate) fn shared() -> Arc<Populated> {
    static SHARED: Mutex<Weak<Populated>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(site) = shared.upgrade() {
        return site;
    }
    let site = Arc::new(Populated::start());
    *shared = Arc::downgrade(&site);
    site
}

impl Populated {
    fn start() -> Self {
        let scripts = [("report", REPORT), ("broken", BROKEN), ("waiting", WAITING), ("sleeping", SLEEPING)];
        let site = Site::serve(&scripts, &[]);
        let completed = site.invoke("report", &["region=south", "rounds=4"]);
        let failed = site.invoke("broken", &[]);
        let waiting = site.invoke("waiting", &[]);
        let running = site.invoke("sleeping", &[]);
        let cancelled = site.invoke("waiting", &[]);
        site.bue(&["cancel", &cancelled]);
        site.bue(&[
            "schedule",
            "add",
            "nightly",
            "--pipeline",
            "report",
            "--cron",
            "0 6 * * *",
            "--param",
            "region=south",
        ]);
        site.bue(&["schedule", "add", "often", "--pipeline", "broken", "--every", "15m"]);
        site.bue(&["schedule", "pause", "often"]);
        site.wait_for_state(&completed, "completed");
        site.wait_for_state(&failed, "failed");
        site.wait_for_job(site.job(&running, "sleeping"), "running");
        let rerun = site.bue(&["rerun", &completed, "--from", "report"]).trim().to_owned();
        site.wait_for_state(&rerun, "completed");
        Self { site, completed, rerun, failed, waiting, running, cancelled }
    }

    /// The name and the address of every page, with those parts that have addresses of their own.
    pub(crate) fn pages(&self) -> Vec<(&'static str, String)> {
        let Self { site, completed, rerun, failed, waiting, running, .. } = self;
        let run = |id: &String, tab: &str| format!("/runs/{id}?tab={tab}");
        let job = |run: &String, step: &str| format!("/jobs/{}", site.job(run, step));
        vec![
            ("overview", "/".to_owned()),
            ("overview-week", "/?period=7d".to_owned()),
            ("activity", "/activity".to_owned()),
            ("runs", "/runs".to_owned()),
            ("runs-filtered", "/runs?state=failed&since=1d".to_owned()),
            ("start", "/runs/new".to_owned()),
            ("start-report", "/runs/new?pipeline=report".to_owned()),
            ("run-completed", run(completed, "jobs")),
            ("run-timeline", run(completed, "timeline")),
            ("run-plan", run(completed, "plan")),
            ("run-results", run(completed, "results")),
            ("run-parameters", run(completed, "parameters")),
            ("run-activity", run(&self.cancelled, "activity")),
            ("run-failed", run(failed, "jobs")),
            ("run-waiting", run(waiting, "jobs")),
            ("run-running", run(running, "jobs")),
            ("diff", format!("/runs/{rerun}/diff/{completed}")),
            ("job-completed", job(completed, "report")),
            ("job-failed", job(failed, "broken")),
            ("job-blocked", job(failed, "after")),
            ("job-waiting", job(waiting, "idle")),
            ("job-running", job(running, "sleeping")),
            ("errors", "/errors".to_owned()),
            ("pipelines", "/pipelines".to_owned()),
            ("pipeline", "/pipelines/report".to_owned()),
            ("schedules", "/schedules".to_owned()),
            ("schedule", "/schedules/nightly".to_owned()),
            ("workers", "/workers".to_owned()),
            ("settings", "/settings".to_owned()),
        ]
    }
}

/// A command, without the settings of the user who runs the tests, and with the cache of sandboxes that all tests share.
fn bue(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    let names = std::env::vars_os().map(|(name, _)| name);
    let is_setting = |name: &str| {
        ["BUE_", "PIPE", "BUCKET_", "POSTGRES_", "WORKER_", "BUELON_", "AWS_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    names.filter(|name| name.to_str().is_some_and(is_setting)).for_each(|name| {
        command.env_remove(name);
    });
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
    command.env("BUE_CACHE_DIR", shared.join("cache")).env("BUE_STATE_DIR", shared.join("state"));
    command.env("BUE_CONFIG_DIR", shared.join("config")).current_dir(folder).stdin(Stdio::null());
    command
}

/// The program beside this one.
fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    let binary = here.ancestors().nth(2).expect("the folder of the build").join("bue");
    assert!(binary.is_file(), "there is no {}: type `cargo build` first", binary.display());
    binary
}

/// Prepares the Python sandbox once, so that no test waits for that.
fn prepare() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        let site = Site::empty();
        site.write("x.bue", "one:\n    python\n    one\n    `\ndef one():\n    return 1\n    `\none()\n");
        let printed = site.bue(&["run", "x.bue", "--json"]);
        let value: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(value["results"][0]["value"], json!(1));
    });
}
