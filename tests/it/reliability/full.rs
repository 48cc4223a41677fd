//! The hub's disk has no room: what was acknowledged stays, what is not there is not acknowledged, and service goes on when
//! there is room again. The same for a file system that is full and for a process that may write nothing more.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use bue_model::RunId;
use tempfile::TempDir;

use super::site::{free_address, upload};
use crate::project::{Project, bue, step};
use crate::services::Server;

/// Where the small file system is, in the process that has one.
const SMALL: &str = "BUE_SMALL_DISK";
/// What a shell does for a hub: a write that is refused is an error, and not the end of the process.
const PATIENT: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";

/// A hub with its database in a folder, a bucket elsewhere, and a client.
struct Field {
    elsewhere: TempDir,
    bucket: Server,
    database: String,
}

impl Field {
    fn new(folder: &Path) -> Self {
        let elsewhere = TempDir::new().expect("a folder");
        let bucket = Server::start(&elsewhere, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
        Self { elsewhere, bucket, database: format!("sqlite:{}", folder.join("hub.db").display()) }
    }

    fn hub(&self) -> Server {
        Server::of(self.command("127.0.0.1:0"))
    }

    fn command(&self, address: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", PATIENT]).arg(bue().get_program());
        command.args(["hub", "-b", address, "-k", &self.bucket.address, "--store", &self.database]);
        command.current_dir(self.elsewhere.path());
        command
    }

    fn project(&self, hub: &str) -> Project {
        let client = format!("[client]\nhub = '{hub}'\nbucket = '{}'\n", self.bucket.address);
        let script = format!("{}one()\n", step("one", "def one():\n    return 1"));
        Project::new(&[("x.bue", &script), ("bue.toml", &client)])
    }

    /// Takes the room away and gives it back.
    fn fill(&self, take: impl Fn(&Server), make_room: impl Fn(&Server)) {
        let mut hub = self.hub();
        let project = self.project(&hub.address);
        let mut taken = vec![upload(&project)];
        for _ in 0..2 {
            take(&hub);
            let refused = project.bue(&["upload", "-f", "x.bue"]).expect(3);
            refused.says(&["disk"]);
            assert_eq!(refused.stdout, "", "no run was taken");
            expect_runs(&project, &taken);
            make_room(&hub);
            taken.push(upload(&project));
            expect_runs(&project, &taken);
        }
        take(&hub);
        hub.kill();
        make_room(&hub);
        let hub = self.hub();
        expect_runs(&self.project(&hub.address), &taken);
        hub.stop();
    }
}

/// These and no others.
fn expect_runs(project: &Project, taken: &[RunId]) {
    let runs = project.bue(&["status", "--json"]).expect(0).json();
    let mut runs: Vec<RunId> = runs.as_array().expect("a list").iter().map(id).collect();
    runs.sort_unstable();
    assert_eq!(runs, taken);
}

fn id(run: &serde_json::Value) -> RunId {
    run["id"].as_str().expect("an id").parse().expect("an id")
}

#[test]
fn a_process_that_may_write_no_more_is_no_end_of_service() {
    let folder = TempDir::new().expect("a folder");
    Field::new(folder.path()).fill(|hub| limit(hub.process(), "1"), |hub| limit(hub.process(), "unlimited"));
}

/// Bytes that files of a process may have. Those of one that was killed went with it.
fn limit(process: u32, bytes: &str) {
    let (process, most) = (process.to_string(), format!("--fsize={bytes}:unlimited"));
    let _ = Command::new("prlimit").args(["--pid", &process, &most]).output().expect("prlimit");
}

/// The log is a file as well, and mostly on the same disk.
#[test]
fn a_log_without_room_is_no_end_of_service() {
    let folder = TempDir::new().expect("a folder");
    let (field, address) = (Field::new(folder.path()), free_address());
    let log = File::options().write(true).open("/dev/full").expect("a device without room");
    let mut hub = field.command(&address).stderr(log).spawn().expect("a hub");
    while TcpStream::connect(&address).is_err() {}
    let project = field.project(&address);
    let first = upload(&project);
    limit(hub.id(), "1");
    project.bue(&["upload", "-f", "x.bue"]).expect(3).says(&["disk"]);
    limit(hub.id(), "unlimited");
    expect_runs(&project, &[first, upload(&project)]);
    hub.kill().expect("killed");
    hub.wait().expect("an end");
}

/// On a file system of two megabytes, which only a process of its own may mount: this test starts itself once more in a
/// namespace. Where that is not allowed the test above is all there is.
#[test]
fn a_file_system_that_is_full_is_no_end_of_service() {
    match env::var_os(SMALL) {
        Some(folder) => fill(Path::new(&folder)),
        None if run_in_a_namespace() => {}
        None => println!("left out: no file system may be mounted here"),
    }
}

fn fill(folder: &Path) {
    let ballast = folder.join("ballast");
    let take = |_: &Server| {
        let mut file = File::options().append(true).create(true).open(&ballast).expect("a file");
        while file.write_all(&[0; 512]).is_ok() {}
    };
    Field::new(folder).fill(take, |_| fs::remove_file(&ballast).expect("room"));
}

/// Whether it could.
fn run_in_a_namespace() -> bool {
    let folder = TempDir::new().expect("a folder");
    let this = "reliability::full::a_file_system_that_is_full_is_no_end_of_service";
    let script = format!("mount -t tmpfs -o size=2m none \"$0\" || exit 77; exec \"$1\" {this} --exact --nocapture");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]).arg(folder.path()).arg(env::current_exe().expect("this program"));
    let ran = command.env(SMALL, folder.path()).output();
    match ran.as_ref().map(|ran| ran.status.code()) {
        Ok(Some(0)) => true,
        // what a failed test ends with
        Ok(Some(101)) => panic!("{}", String::from_utf8_lossy(&ran.expect("its talk").stderr)),
        _ => false,
    }
}
