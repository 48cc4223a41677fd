//! Hubs on PostgreSQL as separate processes: all verbs, and two hubs on one database.

use std::collections::BTreeMap;
use std::future::Future;

use bue_test_support::cluster::{LEDGER, shared};
use bue_test_support::wait::wait_until;
use serde_json::json;
use tempfile::TempDir;

use crate::project::{Project, prepare, step};
use crate::services::{Server, runs_on_services};

/// Rounds of the loop, each a quarter of a second long: more than a worker with one slot finishes before a hub is killed.
const ROUNDS: usize = 40;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// Creates a database and returns its address, as `host=… user=… dbname=…`.
pub(crate) fn database() -> String {
    block_on(shared().database())
}

/// Runs statements in a database, and returns the first column of their rows.
pub(crate) fn query(database: &str, sql: &str) -> Vec<i64> {
    block_on(async {
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
fn a_second_hub_takes_over_from_a_killed_one() {
    prepare();
    let (database, folder) = (database(), TempDir::new().expect("a folder"));
    let store = format!("postgres:{database}");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let hub = || Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", &store]);
    let (mut first, second) = (hub(), hub());
    query(&database, LEDGER);
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
    let run = project.bue(&["upload", "-b", &hubs, "-f", "x.bue"]).expect_code(0).stdout.trim().to_owned();
    let status = || project.bue(&["status", &run, "--json"]).expect_code(0).json();
    let completed = || status()["steps"][1]["completed"].as_u64().unwrap_or_default();
    wait_until("two rounds have completed", || completed() >= 2);

    first.kill();
    assert_eq!(status()["state"], "running", "the hub was killed too late");
    let fast = worker("8");
    project.bue(&["wait", &run]).expect_code(0);
    let result = project.bue(&["result", &run, "--json"]).expect_code(0).json();
    let doubled: Vec<usize> = (0..ROUNDS).map(|n| n * 2).collect();
    assert_eq!(result["results"][1]["value"], json!(doubled));
    let mut ledger: BTreeMap<i64, u32> = BTreeMap::new();
    query(&database, "SELECT job FROM ledger").into_iter().for_each(|job| *ledger.entry(job).or_default() += 1);
    // the source, its rounds, and the loop itself
    assert_eq!(ledger.len(), ROUNDS + 2);
    assert!(ledger.values().all(|times| *times == 1), "{ledger:?}");
    for server in [slow, fast, second, bucket] {
        server.stop();
    }
}

#[test]
fn an_unusable_database_is_reported_without_its_password() {
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
    for (store, code, message) in cases {
        let output = hub(&store).expect_code(code);
        output.expect_stderr(&[message]);
        assert!(!output.stderr.contains(secret), "{}", output.stderr);
    }
}

/// With the variables of older systems.
#[test]
fn the_database_may_be_set_in_the_environment() {
    let database = database();
    let part = |key: &str| database.split(' ').find_map(|word| word.strip_prefix(key)).expect(key);
    let project = Project::new(&[]);
    let mut command = project.command(&["hub", "-b", "127.0.0.1:0", "--store", "postgres:"]);
    let names = [("POSTGRES_HOST", "host="), ("POSTGRES_USER", "user="), ("POSTGRES_DATABASE", "dbname=")];
    command.envs(names.map(|(name, key)| (name, part(key))));
    Server::from_command(command).stop();
    assert_eq!(query(&database, "SELECT count(*) FROM bue.run"), [0]);
}
