//! Servers that are absent, mistaken for each other, or refuse.

use tempfile::TempDir;

use super::mistake::{Mistake, expect_in_order};
use crate::project::{Project, step};
use crate::services::Server;

const ABSENT: &[Mistake] = &[
    Mistake {
        what: "no hub, for `bue status`",
        files: &[],
        command: "status -b 127.0.0.1:1",
        code: 3,
        message: &[
            "failed to fetch the runs",
            "127.0.0.1:1",
            "Connection refused",
            "is it running, and is the address right?",
        ],
    },
    Mistake {
        what: "no hub, for `bue upload`",
        files: &[("x.bue", "")],
        command: "upload -b 127.0.0.1:1 -f x.bue",
        code: 3,
        message: &["127.0.0.1:1", "Connection refused", "is it running, and is the address right?"],
    },
    Mistake {
        what: "no bucket",
        files: &[],
        command: "bucket-get key -k 127.0.0.1:1",
        code: 3,
        message: &["127.0.0.1:1", "Connection refused"],
    },
];

/// Mistakes with a hub at HUB and a bucket at BUCKET.
const PRESENT: &[Mistake] = &[
    Mistake {
        what: "https instead of http",
        files: &[],
        command: "status -b https://HUB",
        code: 3,
        message: &["it speaks plain HTTP", "http://"],
    },
    Mistake {
        what: "what is not a run",
        files: &[],
        command: "status zzz -b HUB",
        code: 2,
        message: &["zzz", "`bue status` lists"],
    },
    Mistake {
        what: "a second hub on a file",
        files: &[],
        command: "hub -b 127.0.0.1:0 --store sqlite:FOLDER/hub.db",
        code: 3,
        message: &["hub.db is in use by another process; stop that process, or give this one a different path"],
    },
    Mistake {
        what: "a second bucket on a folder",
        files: &[],
        command: "bucket -b 127.0.0.1:0 --store dir:FOLDER/blobs",
        code: 3,
        message: &["blobs is in use by another process; stop that process, or give this one a different path"],
    },
];

#[test]
fn servers_that_are_absent_are_reported() {
    ABSENT.iter().for_each(Mistake::check);
}

#[test]
fn servers_that_are_mistaken_for_each_other_are_reported() {
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "sqlite:hub.db"]);
    let path = folder.path().display().to_string();
    for mistake in PRESENT {
        let command = mistake.command.replace("HUB", &hub.address).replace("BUCKET", &bucket.address);
        let command = command.replace("FOLDER", &path);
        let arguments: Vec<&str> = command.split_whitespace().collect();
        mistake.check_output(&Project::new(mistake.files).bue(&arguments));
    }
}

/// What waits says for what, and what to type.
#[test]
fn a_job_without_a_worker_says_what_to_start() {
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let script = format!("!scope heavy\n{}one()\n", step("one", "def one():\n    return 1"));
    let project = Project::script(&script);
    let upload = project.bue(&["upload", "-b", &hub.address, "-f", "x.bue"]).expect_code(0);
    let why = project.bue(&["why", "1", "-b", &hub.address]).expect_code(0);
    expect_in_order(
        "why",
        &["job 1 (step `one`", "is available", "scope `heavy`", "`bue worker -s heavy` starts one"],
        &why.stdout,
    );
    assert!(!upload.stdout.is_empty());
}
