//! A disk that is full, read-only or broken: the hub answers 503 with a hint, acknowledges nothing, and recovers by itself when
//! the disk is repaired.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bue_hub::{Durability, Hub, JobStore, SqliteStore};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{ErrorBody, LeaseRequest, Report, ReportBatch, Verdict};
use bue_model::{RunId, RunState, Timestamp};
use bue_test_support::process;
use uuid::Uuid;

use crate::disk::{ALL_FAULTS, Disk, DiskFault};
use crate::raw_http::{RawResponse, raw_request};
use crate::script::{Script, submission};
use crate::servers::spawn_hub;
use crate::world::completed;

/// The environment variable with the folder of the small file system, in the process that has one.
const SMALL_DISK: &str = "BUE_SMALL_DISK";

/// A hub on port 0 and its store.
struct TestHub {
    store: SqliteStore,
    address: String,
}

impl TestHub {
    async fn start(database: &Path) -> Self {
        let store = SqliteStore::open(database, Durability::Full).expect("a store");
        let address = spawn_hub(Hub::new(Arc::new(store.clone()))).await;
        Self { store, address }
    }

    async fn submit(&self, number: u128) -> RawResponse {
        let mut script = Script::new();
        script.call(&["a", "b"], &[]);
        let body = serde_json::to_vec(&submission(number, script.plan())).expect("json");
        raw_request(&self.address, "POST", "/v1/runs", "application/json", &body).await
    }

    async fn view(&self, number: u128) -> RawResponse {
        raw_request(&self.address, "GET", &format!("/v1/runs/{}", id(number)), "", &[]).await
    }
}

fn id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

fn expect_refusal(answer: &RawResponse, fault: impl std::fmt::Debug) {
    assert_eq!(answer.status, 503, "{fault:?}: {}", answer.body);
    let body: ErrorBody = serde_json::from_str(&answer.body).expect("an error in the usual form");
    assert_eq!(body.error.code, "database", "{fault:?}");
    assert!(body.error.hint.contains("disk"), "{fault:?}: {}", body.error.hint);
}

#[tokio::test]
async fn a_failing_disk_means_503_until_it_is_repaired() {
    for fault in ALL_FAULTS {
        let disk = Disk::new(1);
        let hub = TestHub::start(&disk.path()).await;
        assert_eq!(hub.submit(1).await.status, 200);
        disk.set_fault(Some(fault));
        for number in 2..5 {
            expect_refusal(&hub.submit(number).await, fault);
        }
        // what can be read without the disk still is
        assert_eq!(hub.view(1).await.status, 200, "{fault:?}");
        assert_eq!(hub.view(2).await.status, 404, "{fault:?}: refused, but it exists");
        disk.set_fault(None);
        assert_eq!(hub.view(2).await.status, 404, "{fault:?}: refused, but it exists");
        assert_eq!(hub.submit(2).await.status, 200, "{fault:?}: repaired, but refused");
        disk.cut();
        disk.power_on();
        let store = SqliteStore::open(&disk.path(), Durability::Full).expect("a store");
        for (number, is_there) in [(1, true), (2, true), (3, false)] {
            assert_eq!(store.run(id(number)).await.expect("an answer").is_some(), is_there, "{fault:?}, run {number}");
        }
    }
}

#[tokio::test]
async fn an_outcome_refused_by_a_full_disk_can_be_reported_again() {
    for fault in ALL_FAULTS {
        let disk = Disk::new(1);
        let hub = TestHub::start(&disk.path()).await;
        assert_eq!(hub.submit(1).await.status, 200);
        for _ in 0..2 {
            let scopes = vec!["default".to_owned()];
            let request = LeaseRequest {
                worker: "w".into(),
                scopes,
                reverse: false,
                count: 1,
                wait_ms: 0,
                ..LeaseRequest::default()
            };
            let leased = hub.store.lease(Timestamp(1), request).await.expect("leases").batch;
            let lease = &leased.leases[0];
            let outcome = completed("1");
            let report = Report {
                job: lease.job,
                token: lease.token,
                outcome,
                log: None,
                arguments: Vec::new(),
                usage: AttemptUsage::of_ms(1),
            };
            let batch = ReportBatch { worker: "w".into(), reports: vec![report] };
            disk.set_fault(Some(fault));
            hub.store.complete(Timestamp(2), batch.clone()).await.expect_err("a refusal");
            disk.set_fault(None);
            let verdicts = hub.store.complete(Timestamp(3), batch).await.expect("verdicts");
            assert_eq!(verdicts, [Verdict::Accepted], "{fault:?}");
        }
        let view = hub.store.run(id(1)).await.expect("an answer").expect("the run");
        assert_eq!(view.state, RunState::Completed, "{fault:?}");
    }
}

#[test]
fn a_hub_does_not_start_on_a_disk_it_cannot_write_to() {
    let disk = Disk::new(1);
    disk.set_fault(Some(DiskFault::ReadOnly));
    SqliteStore::open(&disk.path(), Durability::Full).expect_err("the file cannot be created");
    disk.set_fault(None);
    drop(SqliteStore::open(&disk.path(), Durability::Full).expect("a store"));
    disk.wait_until_closed();
    disk.set_fault(Some(DiskFault::ReadOnly));
    SqliteStore::open(&disk.path(), Durability::Full).expect_err("the file is read-only");
}

/// On a file system of two megabytes. Mounting it needs a user namespace, so this test starts itself again in one. Where
/// namespaces are not allowed, only the simulated disks above are tested.
#[tokio::test]
async fn a_hub_survives_a_real_full_file_system() {
    match env::var_os(SMALL_DISK) {
        Some(folder) => fill(Path::new(&folder)).await,
        None if run_in_a_namespace() => {}
        None => println!("skipped: no file system may be mounted here"),
    }
}

/// Returns false if there can be no namespace here.
fn run_in_a_namespace() -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let this = "full_disk::a_hub_survives_a_real_full_file_system";
    let script = format!("mount -t tmpfs -o size=2m none \"$0\" || exit 77; exec \"$1\" {this} --exact --nocapture");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]).arg(folder.path()).arg(env::current_exe().expect("this program"));
    let output = process::output(command.env(SMALL_DISK, folder.path()));
    match output.as_ref().map(|output| output.status.code()) {
        Ok(Some(0)) => true,
        // the exit code of a failed test
        Ok(Some(101)) => panic!("{}", String::from_utf8_lossy(&output.expect("its output").stderr)),
        _ => false,
    }
}

async fn fill(folder: &Path) {
    let hub = TestHub::start(&folder.join("hub.db")).await;
    assert_eq!(hub.submit(1).await.status, 200);
    let ballast = folder.join("ballast");
    let mut file = File::create(&ballast).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
    for number in 2..5 {
        expect_refusal(&hub.submit(number).await, "a full file system");
    }
    assert_eq!(hub.view(1).await.status, 200);
    assert_eq!(hub.view(2).await.status, 404);
    // an open file still takes space
    drop(file);
    fs::remove_file(&ballast).expect("removed");
    assert_eq!(hub.submit(2).await.status, 200);
    assert_eq!(hub.view(2).await.status, 200);
}
