//! Hubs on PostgreSQL as processes of their own: everything there is to ask, and two of them on one database.

use std::collections::BTreeMap;
use std::future::Future;

use bue_test_support::cluster::{LEDGER, shared};
use serde_json::json;
use tempfile::TempDir;

use crate::project::{Project, prepare, step};
use crate::services::{Server, runs_on_services};

/// Rounds of the loop, each a quarter of a second long: more than one worker of one slot is done with before a hub is killed.
const ROUNDS: usize = 40;

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// A database of its own, as `host=… user=… dbname=…`.
pub(crate) fn database() -> String {
    wait_for(shared().database())
}

/// The rows that statements give, in a database; their first column.
pub(crate) fn ask(database: &str, sql: &str) -> Vec<i64> {
    wait_for(async {
        let (client, connection) = tokio_postgres::connect(database, tokio_postgres::NoTls).await.expect("connected");
        tokio::spawn(connection);
        let messages = client.simple_query(sql).await.expect(sql);
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        rows.collect()
    })
}

#[test]
fn a_script_runs_on_a_hub_on_postgres() {
    runs_on_services(&format!("postgres:{}", database()));
}

#[test]
fn a_hub_that_is_killed_is_replaced_by_another() {
    prepare();
    let (database, folder) = (database(), TempDir::new().expect("a folder"));
    let store = format!("postgres:{database}");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let hub = || Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", &store]);
    let (mut first, second) = (hub(), hub());
    ask(&database, LEDGER);
    let hubs = format!("{},{}", first.address, second.address);
    let worker = |slots| {
        let arguments = ["worker", "-b", &hubs, "-k", &bucket.address, "--sandbox", "--slots", slots];
        Server::start(&folder, &arguments)
    };
    let slow = worker("1");
    let script = [
        step("numbers", &format!("def numbers():\n    return list(range({ROUNDS}))")),
        step("twice", "import time\ndef twice(n):\n    time.sleep(0.25)\n    return n * 2"),
        "for n in numbers():\n    twice(n)\n".to_owned(),
    ];
    let client = format!("[client]\nhub = '{hubs}'\nbucket = '{}'\n", bucket.address);
    let project = Project::new(&[("x.bue", &script.concat()), ("bue.toml", &client)]);
    let run = project.bue(&["upload", "-b", &hubs, "-f", "x.bue"]).expect(0).stdout.trim().to_owned();
    let status = || project.bue(&["status", &run, "--json"]).expect(0).json();
    while status()["steps"][1]["completed"].as_u64().unwrap_or_default() < 2 {}

    first.kill();
    assert_eq!(status()["state"], "running", "the hub was killed too late");
    let fast = worker("8");
    project.bue(&["wait", &run]).expect(0);
    let result = project.bue(&["result", &run, "--json"]).expect(0).json();
    let doubled: Vec<usize> = (0..ROUNDS).map(|n| n * 2).collect();
    assert_eq!(result["results"][1]["value"], json!(doubled));
    let mut ledger: BTreeMap<i64, u32> = BTreeMap::new();
    ask(&database, "SELECT job FROM ledger").into_iter().for_each(|job| *ledger.entry(job).or_default() += 1);
    // the source, its rounds, and the loop itself
    assert_eq!(ledger.len(), ROUNDS + 2);
    assert!(ledger.values().all(|times| *times == 1), "{ledger:?}");
    for server in [slow, fast, second, bucket] {
        server.stop();
    }
}

#[test]
fn a_database_that_cannot_be_used_is_said_without_its_password() {
    let secret = "hunter2";
    let hub = |store: &str| Project::new(&[]).bue(&["hub", "-b", "127.0.0.1:0", "--store", store]);
    let cases = [
        (format!("postgres://bue:{secret}@127.0.0.1:1/runs"), 3, "database `runs` of user `bue` at 127.0.0.1:1"),
        (format!("postgres://bue:{secret}@127.0.0.1:1/runs"), 3, "check whether PostgreSQL runs"),
        (format!("postgres:{} user=nobody password={secret}", database()), 3, "of user `nobody`"),
        (format!("postgres://bue:{secret}@127.0.0.1:one/runs"), 2, "postgres://USER:PASSWORD@HOST:PORT/DATABASE"),
        (format!("postgres://bue:{secret}@127.0.0.1/runs?sslmode=maybe"), 2, "verify-full"),
        ("postgres:".to_owned(), 2, "POSTGRES_USER"),
    ];
    for (store, code, said) in cases {
        let ran = hub(&store).expect(code);
        ran.says(&[said]);
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

/// As the systems before bue had it.
#[test]
fn the_database_may_stand_in_the_environment() {
    let database = database();
    let part = |key: &str| database.split(' ').find_map(|word| word.strip_prefix(key)).expect(key);
    let project = Project::new(&[]);
    let mut command = project.command(&["hub", "-b", "127.0.0.1:0", "--store", "postgres:"]);
    let names = [("POSTGRES_HOST", "host="), ("POSTGRES_USER", "user="), ("POSTGRES_DATABASE", "dbname=")];
    command.envs(names.map(|(name, key)| (name, part(key))));
    Server::of(command).stop();
    assert_eq!(ask(&database, "SELECT count(*) FROM bue.run"), [0]);
}
