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
        what: "a bucket given as a hub",
        files: &[],
        command: "status -b BUCKET",
        code: 3,
        message: &["the server at BUCKET is no hub of bue", "bucket"],
    },
    Mistake {
        what: "a hub given as a bucket",
        files: &[],
        command: "bucket-get key -b HUB -k HUB",
        code: 3,
        message: &["the server at HUB is no bucket of bue", "hub"],
    },
    Mistake {
        what: "a run that does not exist",
        files: &[],
        command: "status abcd1234 -b HUB",
        code: 1,
        message: &["there is no run whose id begins with `abcd1234`", "`bue status` lists the runs"],
    },
    Mistake {
        what: "a job that does not exist",
        files: &[],
        command: "why 999 -b HUB",
        code: 1,
        message: &["there is no job 999"],
    },
    Mistake {
        what: "a key that does not exist",
        files: &[],
        command: "bucket-get nothing -b HUB -k BUCKET",
        code: 1,
        message: &["the bucket has no value called `nothing`"],
    },
    Mistake {
        what: "a run without any worker",
        files: &[("x.bue", "one:\n    python\n    one\n    `\ndef one(): return 1\n`\none()\n")],
        command: "upload -b HUB -k BUCKET -f x.bue",
        code: 0,
        message: &[
            "warning: no worker serves scope `default`",
            "1 job waiting: `one`",
            "start one: bue worker -s default",
        ],
    },
    Mistake {
        what: "a second hub on a file",
        files: &[],
        command: "hub -b 127.0.0.1:0 --store sqlite:FOLDER/hub.db",
        code: 3,
        message: &[
            "another process has the database open",
            "hub.db is in use by another process; stop that process, or give this one a different path",
        ],
    },
    Mistake {
        what: "a second bucket on a folder",
        files: &[],
        command: "bucket -b 127.0.0.1:0 --store dir:FOLDER/blobs",
        code: 3,
        message: &["blobs is in use by another process; stop that process, or give this one a different path"],
    },
];

/// Mistakes with a hub at HUB and a bucket at BUCKET that require tokens, a hub at OPEN that requires none, and the token of a
/// viewer in FOLDER.
const GUARDED: &[Mistake] = &[
    Mistake {
        what: "no token",
        files: &[],
        command: "status -b HUB",
        code: 3,
        message: &["the hub at HUB", "token", "BUE_TOKEN"],
    },
    Mistake {
        what: "a wrong token",
        files: &[(".env", "BUE_TOKEN=bue_0000\n")],
        command: "status -b HUB",
        code: 3,
        message: &["does not know the token", "BUE_TOKEN"],
    },
    Mistake {
        what: "a role that may not do this",
        files: &[("x.bue", "")],
        command: "upload -b HUB -k BUCKET -f x.bue --token-file FOLDER/viewer",
        code: 3,
        message: &["viewer", "submitter"],
    },
    Mistake {
        what: "no token for the bucket",
        files: &[("x.bue", "one:\n    python\n    one\n    `\ndef one(): return 1\n`\none()\n")],
        command: "upload -b OPEN -k BUCKET -f x.bue",
        code: 3,
        message: &["the bucket at BUCKET", "token", "BUE_TOKEN"],
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
    let places = [("HUB", hub.address.as_str()), ("BUCKET", &bucket.address), ("FOLDER", &path)];
    PRESENT.iter().for_each(|mistake| mistake.check_at(&places));
}

#[test]
fn tokens_that_are_missing_or_wrong_are_reported() {
    let (guarded, open) = (Project::new(&[]), TempDir::new().expect("a folder"));
    let token = guarded.bue_writes(&["token", "new", "--role", "viewer"]).expect_code(0).stdout;
    guarded.write("viewer", &token);
    let bucket = Server::start(guarded.folder(), &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(guarded.folder(), &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let open = Server::start(&open, &["hub", "-b", "127.0.0.1:0"]);
    let path = guarded.folder().path().display().to_string();
    let places =
        [("HUB", hub.address.as_str()), ("BUCKET", &bucket.address), ("OPEN", &open.address), ("FOLDER", &path)];
    GUARDED.iter().for_each(|mistake| mistake.check_at(&places));
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
