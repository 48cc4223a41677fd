//! Named values of the bucket in steps, from the script to the bucket, shared with the people who type `bue bucket-set`.

use std::fs;
use std::path::Path;

use bue_test_support::wait::wait_until;
use serde_json::json;
use tempfile::TempDir;

use crate::project::{CommandOutput, Project, bue, finish_command, prepare, python, step};
use crate::services::{Server, wait_for_count};

/// Bytes of a large value: more than the memory of a step.
const LARGE: usize = 260 << 20;
/// Parts in which it is written.
const PARTS: u64 = 260;
/// Bytes by which the memory of worker and sandbox hosts together may grow while a step copies it.
const MAX_GROWTH: u64 = 64 << 20;

#[test]
fn a_step_without_permission_is_told_the_line_to_write() {
    prepare();
    // a name that is no text in the call is known only when the step runs
    let code = "from bue import bucket\nNAME = 'reports/today'\ndef save():\n    with bucket.open(NAME, 'w') as file:\n        \
                file.write('x')";
    let script = python("save", code, "save()");
    let written = Project::script(&script.replace("open(NAME", "open('reports/today'"));
    written
        .bue(&["run", "x.bue"])
        .expect_code(1)
        .expect_stderr(&["E0069", "write `!allow bucket reports/today` above"]);
    let denied = Project::script(&script);
    let output = denied.bue(&["run", "x.bue", "--explain-deny"]).expect_code(1);
    output.expect_stderr(&[
        "PermissionError: the script does not allow the value `reports/today` of the bucket: write `!allow bucket \
         reports/today` above the step",
        "bue: refused: ",
        "what was refused would be allowed by",
    ]);
    let (_, line) = output.stderr.split_once("in the script, above the step:  ").expect("the line to write");
    let line = line.lines().next().expect("a line");
    let allowed = Project::script(&format!("{line}\n{script}"));
    allowed.bue(&["run", "x.bue"]).expect_code(0);
    let pattern = Project::script(&format!("!allow bucket reports/*\n{script}"));
    pattern.bue(&["run", "x.bue"]).expect_code(0);
    pattern.bue(&["try", "x.bue", "save"]).expect_code(0);
    denied.bue(&["try", "x.bue", "save"]).expect_code(1).expect_stderr(&["!allow bucket reports/today"]);
}

#[test]
fn values_of_local_runs_stay_in_their_folder() {
    prepare();
    let code = "from bue import bucket\ndef count():\n    number = int(bucket.get('count', b'0')) + 1\n    \
                bucket.set('count', str(number))\n    return number";
    let project = Project::script(&format!("!allow bucket count\n{}", python("count", code, "count()")));
    for expected in [1, 2] {
        let output = project.bue_writes(&["run", "x.bue", "--json", "--data", "data"]).expect_code(0);
        assert_eq!(output.last(), json!(expected));
    }
    // without a folder, each run begins with an empty bucket
    assert_eq!(project.run().expect_code(0).last(), json!(1));
    let bucket = Server::start(project.folder(), &["bucket", "-b", "127.0.0.1:0", "--store", "dir:data/blobs"]);
    let value = project.bue(&["bucket-get", "count", "-k", &bucket.address]).expect_code(0).stdout;
    assert_eq!(value, "2");
    bucket.stop();
}

/// Hub, bucket and worker, of which the worker has its own token.
struct Services {
    project: Project,
    folder: TempDir,
    hub: Server,
    bucket: Server,
    worker: String,
    submitter: String,
}

impl Services {
    fn start() -> Self {
        prepare();
        let (project, folder) = (Project::new(&[]), TempDir::new().expect("a folder"));
        let token = |role: &str| {
            let mut command = bue();
            command.args(["token", "new", "--role", role, "--name", role]).current_dir(folder.path());
            finish_command(&mut command).expect_code(0).stdout.trim().to_owned()
        };
        let (worker, submitter) = (token("worker"), token("submitter"));
        let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
        let arguments = ["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "sqlite:hub.db"];
        let hub = Server::start(&folder, &arguments);
        Self { project, folder, hub, bucket, worker, submitter }
    }

    fn start_worker(&self) -> Server {
        let mut command = bue();
        command.args(["worker", "-b", &self.hub.address, "-k", &self.bucket.address, "--slots", "1"]);
        command.env("BUE_TOKEN", &self.worker).current_dir(self.folder.path());
        Server::from_command(command)
    }

    /// Runs `bue` as somebody who may submit runs.
    fn bue(&self, arguments: &[&str]) -> CommandOutput {
        let mut command = self.project.command(arguments);
        command.env("BUE_HUB", &self.hub.address).env("BUE_BUCKET", &self.bucket.address);
        finish_command(command.env("BUE_TOKEN", &self.submitter))
    }

    fn value(&self, name: &str) -> String {
        self.bue(&["bucket-get", name]).expect_code(0).stdout
    }

    /// Uploads a script, waits for its run and returns the value of its last call.
    fn run(&self, script: &str) -> serde_json::Value {
        self.project.write("x.bue", script);
        let run = self.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(0).run_id();
        self.bue(&["result", &run, "--json"]).expect_code(0).last()
    }

    /// The number of values and of parts that the bucket has.
    fn stored(&self) -> usize {
        let shards = fs::read_dir(self.folder.path().join("blobs/keys")).into_iter().flatten().flatten();
        shards.map(|shard| fs::read_dir(shard.path()).into_iter().flatten().count()).sum()
    }

    fn stop(self) {
        self.hub.stop();
        self.bucket.stop();
    }
}

#[test]
fn steps_and_people_share_values() {
    let services = Services::start();
    let worker = services.start_worker();
    services.project.write("sales.csv", "day,sales\n1,10\n2,32\n");
    services.bue(&["bucket-set", "sales/2026", "sales.csv"]).expect_code(0);
    services.bue(&["bucket-set", "sales/old", "sales.csv"]).expect_code(0);
    let code = "import csv\nfrom bue import bucket\ndef total():\n    \
                with bucket.open('sales/2026', newline='') as file:\n        \
                    total = sum(int(row['sales']) for row in csv.DictReader(file))\n    \
                bucket.set('reports/total', str(total))\n    \
                with bucket.open('reports/large', 'wb') as file:\n        \
                    for number in range(5):\n            file.write(bytes([48 + number]) * 700_000)\n    \
                bucket.delete('sales/old')\n    return total";
    let script = format!("!allow bucket sales/*, bucket reports/*\n{}", python("total", code, "total()"));
    assert_eq!(services.run(&script), json!(42));
    assert_eq!(services.value("reports/total"), "42");
    let large = services.value("reports/large");
    assert_eq!(large.len(), 3_500_000);
    assert!(large.as_bytes().chunks(700_000).zip(b'0'..).all(|(chunk, digit)| chunk.iter().all(|byte| *byte == digit)));
    services.bue(&["bucket-get", "sales/old"]).expect_code(1).expect_stderr(&["no value called `sales/old`"]);
    services.bue(&["bucket-delete", "reports/total"]).expect_code(0);
    // a job that is run again by hand uses the same bucket
    services.bue(&["run-job", "1"]).expect_code(0);
    assert_eq!(services.value("reports/total"), "42");
    wait_until("the parts are deleted", || services.stored() == 3);
    worker.stop();
    services.stop();
}

/// Anonymous and shared memory of a process and of its children, in bytes.
fn memory(process: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()).collect::<Vec<_>>();
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("RssAnon:") || line.starts_with("RssShmem:"));
    let own: u64 = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
    (own << 10) + children.into_iter().map(memory).sum::<u64>()
}

#[test]
fn a_value_larger_than_the_memory_of_a_step_passes_in_little_memory() {
    let services = Services::start();
    let worker = services.start_worker();
    let file = fs::File::create(services.project.path("large")).expect("a file");
    // a hole, which takes no space on the disk
    file.set_len(LARGE as u64).expect("a length");
    services.bue(&["bucket-set", "in", "large"]).expect_code(0);
    let copy = "import shutil\nfrom bue import bucket\ndef copy():\n    bucket.set('started', b'')\n    \
                with bucket.open('in', 'rb') as source, bucket.open('out', 'wb') as target:\n        \
                shutil.copyfileobj(source, target)\n        return target.tell()";
    let one = step("one", "def one():\n    return 1");
    // the image of the guest is made before the memory is measured
    services.run(&format!("{one}one()\n"));
    let before = memory(worker.pid());
    services.project.write("x.bue", &format!("!allow bucket *\n{}", python("copy", copy, "copy()")));
    let run = services.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned();
    let mut peak = 0;
    wait_for_count("parts are written", PARTS, || {
        peak = memory(worker.pid()).max(peak);
        services.stored() as u64
    });
    wait_until("the value is stored", || {
        peak = memory(worker.pid()).max(peak);
        services.bue(&["status", &run, "--json"]).expect_code(0).json()["state"] != "running"
    });
    assert_eq!(services.bue(&["result", &run, "--json"]).expect_code(0).last(), json!(LARGE));
    let growth = peak.saturating_sub(before);
    println!("{} MiB: worker and hosts grew by {} MiB", LARGE >> 20, growth >> 20);
    assert!(growth < MAX_GROWTH, "{} MiB", growth >> 20);
    worker.stop();
    services.stop();
}

/// The job runs again elsewhere; nobody sees half of what the first worker has written.
#[test]
fn a_worker_that_dies_in_the_middle_of_a_write_leaves_the_old_value() {
    let services = Services::start();
    let mut worker = services.start_worker();
    services.project.write("old", "old");
    services.bue(&["bucket-set", "a", "old"]).expect_code(0);
    let code = "import time\nfrom bue import bucket\ndef write():\n    \
                with bucket.open('a', 'wb') as file:\n        file.write(b'new' * 1_000_000)\n        \
                attempts = int(bucket.get('attempts', b'0')) + 1\n        bucket.set('attempts', str(attempts))\n        \
                if attempts == 1:\n            time.sleep(1000)\n    return attempts";
    services.project.write("x.bue", &format!("!allow bucket *\n{}", python("write", code, "write()")));
    let run = services.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned();
    wait_until("half of it is written", || services.bue(&["bucket-get", "attempts"]).code == 0);
    worker.kill();
    assert_eq!(services.value("a"), "old");
    let worker = services.start_worker();
    services.bue(&["wait", &run]).expect_code(0);
    assert_eq!(services.bue(&["result", &run, "--json"]).expect_code(0).last(), json!(2));
    assert_eq!(services.value("a"), "new".repeat(1_000_000));
    worker.stop();
    services.stop();
}

/// A bucket that is gone is an error of the step, which `!retries` can repeat, and the step can handle.
#[test]
fn a_bucket_that_is_gone_is_an_error_of_the_step() {
    let mut services = Services::start();
    let worker = services.start_worker();
    let code = "import time\nfrom bue import bucket\ndef wait():\n    bucket.set('started', b'x')\n    \
                while True:\n        try:\n            bucket.get('started')\n        except OSError as error:\n            \
                return str(error)\n        time.sleep(0.05)";
    services.project.write("x.bue", &format!("!allow bucket started\n{}", python("wait", code, "wait()")));
    let run = services.bue(&["upload", "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned();
    wait_until("the step has started", || services.bue(&["bucket-get", "started"]).code == 0);
    services.bucket.kill();
    services.bue(&["wait", &run]).expect_code(0);
    let error = services.bue(&["result", &run, "--json"]).expect_code(0).last();
    let error = error.as_str().expect("a text");
    assert!(error.contains("`started` could not be read: bucket unreachable"), "{error}");
    worker.stop();
    services.hub.stop();
}
