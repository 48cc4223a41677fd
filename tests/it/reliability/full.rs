//! The hub's disk is full: what was acknowledged is kept, what was not stored is not acknowledged, and the service continues when
//! there is space again. The same for a full file system and for a process whose file size is limited.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use bue_model::RunId;
use bue_test_support::process;
use bue_test_support::wait::wait_until;
use tempfile::TempDir;

use super::test_bed::{free_address, upload};
use crate::project::{Project, bue, step};
use crate::services::Server;

/// The variable with the folder of the small file system, in the process that has mounted one.
const SMALL_DISK: &str = "BUE_SMALL_DISK";
/// The shell script that starts a hub: it ignores SIGXFSZ, so that a refused write is an error and does not kill the process.
const IGNORE_SIGXFSZ: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";

/// A bucket on a healthy disk, and a hub whose database is in a folder without space.
struct FullDisk {
    other_folder: TempDir,
    bucket: Server,
    database: String,
}

impl FullDisk {
    fn new(folder: &Path) -> Self {
        let other_folder = TempDir::new().expect("a folder");
        let bucket = Server::start(&other_folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
        Self { other_folder, bucket, database: format!("sqlite:{}", folder.join("hub.db").display()) }
    }

    fn hub(&self) -> Server {
        Server::from_command(self.command("127.0.0.1:0"))
    }

    fn command(&self, address: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", IGNORE_SIGXFSZ]).arg(bue().get_program());
        command.args(["hub", "-b", address, "-k", &self.bucket.address, "--store", &self.database]);
        command.current_dir(self.other_folder.path());
        command
    }

    fn project(&self, hub: &str) -> Project {
        let client = format!("[client]\nhub = '{hub}'\nbucket = '{}'\n", self.bucket.address);
        let script = format!("{}one()\n", step("one", "def one():\n    return 1"));
        Project::new(&[("x.bue", &script), ("bue.toml", &client)])
    }

    /// Takes the space away and frees it again, and checks what the hub does.
    fn check(&self, take_space: impl Fn(&Server), free_space: impl Fn(&Server)) {
        let mut hub = self.hub();
        let project = self.project(&hub.address);
        let mut accepted = vec![upload(&project)];
        for _ in 0..2 {
            take_space(&hub);
            let refused = project.bue(&["upload", "-f", "x.bue"]).expect_code(3);
            refused.expect_stderr(&["disk"]);
            assert_eq!(refused.stdout, "", "no run was accepted");
            expect_runs(&project, &accepted);
            free_space(&hub);
            accepted.push(upload(&project));
            expect_runs(&project, &accepted);
        }
        take_space(&hub);
        hub.kill();
        free_space(&hub);
        let hub = self.hub();
        expect_runs(&self.project(&hub.address), &accepted);
        hub.stop();
    }
}

/// Checks that the hub has exactly these runs.
fn expect_runs(project: &Project, expected: &[RunId]) {
    let runs = project.bue(&["status", "--json"]).expect_code(0).json();
    let mut runs: Vec<RunId> = runs.as_array().expect("a list").iter().map(id).collect();
    runs.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(runs, expected);
}

fn id(run: &serde_json::Value) -> RunId {
    run["id"].as_str().expect("an id").parse().expect("an id")
}

#[test]
fn service_survives_a_write_limit() {
    let folder = TempDir::new().expect("a folder");
    FullDisk::new(folder.path()).check(|hub| limit(hub.pid(), "1"), |hub| limit(hub.pid(), "unlimited"));
}

/// Limits the size of a process's files, in bytes. Ignores a process that has been killed.
fn limit(process: u32, bytes: &str) {
    let (pid, most) = (process.to_string(), format!("--fsize={bytes}:unlimited"));
    let _ = process::output(Command::new("prlimit").args(["--pid", &pid, &most])).expect("prlimit");
}

/// The log is a file too, and usually on the same disk.
#[test]
fn service_survives_a_full_log() {
    let folder = TempDir::new().expect("a folder");
    let (disk, address) = (FullDisk::new(folder.path()), free_address());
    let log = File::options().write(true).open("/dev/full").expect("a full device");
    let mut hub = disk.command(&address).stderr(log).spawn().expect("a hub");
    wait_until("the hub listens", || TcpStream::connect(&address).is_ok());
    let project = disk.project(&address);
    let first = upload(&project);
    limit(hub.id(), "1");
    project.bue(&["upload", "-f", "x.bue"]).expect_code(3).expect_stderr(&["disk"]);
    limit(hub.id(), "unlimited");
    expect_runs(&project, &[first, upload(&project)]);
    hub.kill().expect("killed");
    hub.wait().expect("an end");
}

/// On a file system of two megabytes, which can be mounted in a new namespace: this test runs itself again in one. Where that is
/// not permitted, the test is skipped.
#[test]
fn service_survives_a_full_file_system() {
    match env::var_os(SMALL_DISK) {
        Some(folder) => check_on_small_disk(Path::new(&folder)),
        None if run_in_a_namespace() => {}
        None => println!("skipped: no file system can be mounted here"),
    }
}

fn check_on_small_disk(folder: &Path) {
    let ballast = folder.join("ballast");
    let take_space = |_: &Server| {
        let mut file = File::options().append(true).create(true).open(&ballast).expect("a file");
        while file.write_all(&[0; 512]).is_ok() {}
    };
    FullDisk::new(folder).check(take_space, |_| fs::remove_file(&ballast).expect("space"));
}

/// Runs this test in a new namespace; returns whether that is possible.
fn run_in_a_namespace() -> bool {
    let folder = TempDir::new().expect("a folder");
    let this = "reliability::full::service_survives_a_full_file_system";
    let script = format!("mount -t tmpfs -o size=2m none \"$0\" || exit 77; exec \"$1\" {this} --exact --nocapture");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]).arg(folder.path()).arg(env::current_exe().expect("this program"));
    let output = process::output(command.env(SMALL_DISK, folder.path()));
    match output.as_ref().map(|output| output.status.code()) {
        Ok(Some(0)) => true,
        // the exit code of a failed test
        Ok(Some(101)) => panic!("{}", String::from_utf8_lossy(&output.expect("output").stderr)),
        _ => false,
    }
}
