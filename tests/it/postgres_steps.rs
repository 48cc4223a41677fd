//! postgres steps from the outside: settings, pipes through several languages, the example.

use std::fs;
use std::net::TcpListener;

use bue_test_support::authority::{Authority, Valid};
use bue_test_support::cluster::{Cluster, shared};
use bue_test_support::wait::wait_until;
use serde_json::json;
use tempfile::TempDir;

use crate::project::{CommandOutput, Project, bue, finish, prepare};
use crate::services::Server;

/// The address of a database, and its parts.
struct Address {
    whole: String,
    host: String,
    database: String,
}

fn database() -> Address {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a reactor");
    let whole = runtime.block_on(shared().step_database());
    let part = |name: &str| {
        let parts = whole.split(' ').filter_map(|part| part.split_once('='));
        parts.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).expect("a part")
    };
    Address { host: part("host"), database: part("dbname"), whole: whole.clone() }
}

/// Runs a script with `--json` and these variables.
fn run(project: &Project, script: &str, variables: &[(&str, &str)]) -> CommandOutput {
    prepare();
    let mut command = project.command(&["run", script, "--json"]);
    command.envs(variables.iter().copied());
    finish(command)
}

const PYTHON_POSTGRES_SQLITE: &str = "
numbers:
    python
    numbers
    `
def numbers():
    return [{'n': n, 'name': f'it\\'s {n}'} for n in range(5000)]
    `
even:
    pg
    numbers
    `
    CREATE TEMP TABLE evens ON COMMIT DROP AS SELECT * FROM numbers WHERE n % 2 = 0;
    SELECT n, name FROM evens ORDER BY n
    `
count:
    sqlite3
    even
    `SELECT count(*) AS rows, sum(n) AS sum, min(name) AS first FROM even`
all = numbers | even | count
all()
";

#[test]
fn python_postgres_and_sqlite_are_one_pipe() {
    let address = database();
    let project = Project::script(PYTHON_POSTGRES_SQLITE);
    let parts = [
        ("POSTGRES_HOST", address.host.as_str()),
        ("POSTGRES_USER", "steps"),
        ("POSTGRES_DATABASE", &address.database),
    ];
    let expected = json!([{"rows": 2500, "sum": 6_247_500, "first": "it's 0"}]);
    assert_eq!(run(&project, "x.bue", &parts).expect_code(0).last(), expected);
    assert_eq!(run(&project, "x.bue", &[("BUE_POSTGRES_URL", &address.whole)]).expect_code(0).last(), expected);
}

#[test]
fn a_loop_runs_over_rows() {
    let address = database();
    let project = Project::script(
        "rows:\n    postgres\n    x\n    `SELECT n FROM generate_series(1, 3) AS n`\n\
         double:\n    postgres\n    x\n    `SELECT n * 2 AS n FROM x`\n\
         source = | rows\ntwice = | double\nfor row in source():\n    twice(row)\n",
    );
    let output = run(&project, "x.bue", &[("BUE_POSTGRES_URL", &address.whole)]).expect_code(0);
    assert_eq!(output.last(), json!([[{"n": 2}], [{"n": 4}], [{"n": 6}]]));
}

#[test]
fn a_named_connection_is_set_in_the_workers_bue_toml() {
    let address = database();
    let script = "!allow postgres reports\nwhere:\n    postgres\n    x\n    `SELECT current_database()::text AS d`\nhere = | where\nhere()\n";
    let project = Project::script(script);
    run(&project, "x.bue", &[]).expect_code(1).expect_stderr(&["[postgres.reports]", "bue.toml"]);
    project.write("bue.toml", &format!("[postgres.reports]\nurl = \"{}\"\n", address.whole));
    assert_eq!(run(&project, "x.bue", &[]).expect_code(0).last(), json!([{"d": address.database}]));
}

#[test]
fn without_a_connection_the_failure_names_the_settings() {
    let project = Project::script("x:\n    postgres\n    x\n    `SELECT 1`\np = | x\np()\n");
    run(&project, "x.bue", &[]).expect_code(1).expect_stderr(&[
        "POSTGRES_HOST",
        "POSTGRES_PASSWORD",
        "BUE_POSTGRES_URL",
    ]);
    for (name, value, expected) in [
        ("BUE_POSTGRES_URL", "postgres://ann:s3cret@host:port/x", "BUE_POSTGRES_URL is invalid"),
        ("POSTGRES_PORT", "many", "`many` is not a port"),
        ("BUE_POSTGRES_CONNECTIONS", "0", "at least 1"),
    ] {
        let output = run(&project, "x.bue", &[(name, value)]).expect_code(2);
        assert!(output.stderr.contains(expected) && !output.stderr.contains("s3cret"), "{}", output.stderr);
    }
}

#[test]
fn the_postgres_example_gives_the_documented_result() {
    let address = database();
    for _ in 0..2 {
        let variables = [("BUE_POSTGRES_URL", address.whole.as_str())];
        let output = run(&Project::example("postgres"), "pipeline.bue", &variables).expect_code(0);
        assert_eq!(output.last(), json!([{"customer": "Ada", "spent": 130.75}]));
    }
}

/// The day without sales: both databases know the columns, because the script declares them.
#[test]
fn declared_columns_of_an_empty_input() {
    let address = database();
    let script = "
none:
    python
    none
    `
def none():
    return []
    `
lite:
    sqlite3
    sales(id int, day date, amount decimal)
    `SELECT count(*) AS n, sum(amount) AS sum, max(day) AS day FROM sales`
server:
    postgres
    sales(id int, day date, amount decimal)
    `SELECT count(*) AS n, sum(amount) AS sum, max(day) AS day FROM sales`
wrong:
    sqlite3
    sales(n int, day date)
    `SELECT * FROM sales`
a = none | lite
b = none | server
c = none | lite | wrong
a()
b()
c()
";
    let project = Project::script(script);
    let output = run(&project, "x.bue", &[("BUE_POSTGRES_URL", &address.whole)]).expect_code(1);
    let row = json!([{"n": 0, "sum": null, "day": null}]);
    assert_eq!(output.values().iter().filter(|value| **value == row).count(), 2, "{}", output.stdout);
    output.expect_stderr(&["column `sum`, row 1 (the first is row 1): the script does not declare this column"]);
}

/// A worker with the database of its hub, as a common `.env` gives it to both.
#[test]
fn a_step_cannot_use_the_database_of_the_hub() {
    prepare();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a reactor");
    let hub_database = runtime.block_on(shared().database());
    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0", "--store", "dir:blobs"]);
    let with_database = |arguments: &[&str]| {
        let mut command = bue();
        command.args(arguments).current_dir(folder.path()).env("BUE_POSTGRES_URL", &hub_database);
        Server::from_command(command)
    };
    let hub = with_database(&["hub", "-b", "127.0.0.1:0", "-k", &bucket.address, "--store", "postgres:"]);
    let worker = with_database(&["worker", "-b", &hub.address, "-s", "default"]);
    let project =
        Project::script("jobs:\n    postgres\n    x\n    `SELECT count(*) FROM bue.job`\nall = | jobs\nall()\n");
    let upload = ["upload", "-b", &hub.address, "-f", "x.bue", "--wait"];
    let reason = ["the role `postgres`", "superuser", "--allow-privileged-postgres", "docs/sql.md"];
    project.bue(&upload).expect_code(1).expect_stderr(&reason);
    wait_until("the worker says so before a step comes", || worker.stderr().contains("postgres steps will fail"));
    worker.stop();
    let insisting = with_database(&["worker", "-b", &hub.address, "-s", "default", "--allow-privileged-postgres"]);
    project.bue(&upload).expect_code(0);
    assert!(!insisting.stderr().contains("postgres steps will fail"), "{}", insisting.stderr());
    for server in [insisting, hub, bucket] {
        server.stop();
    }
}

/// `bue run` alone refuses such a role as well.
#[test]
fn a_superuser_must_be_allowed_on_a_laptop_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a reactor");
    let address = runtime.block_on(shared().database());
    let project = Project::script("one:\n    postgres\n    x\n    `SELECT 1::bigint AS n`\np = | one\np()\n");
    let url = ("BUE_POSTGRES_URL", address.as_str());
    run(&project, "x.bue", &[url]).expect_code(1).expect_stderr(&["superuser", "--allow-privileged-postgres"]);
    let allowed = run(&project, "x.bue", &[url, ("BUE_ALLOW_PRIVILEGED_POSTGRES", "true")]).expect_code(0);
    assert_eq!(allowed.last(), json!([{"n": 1}]));
}

#[test]
fn a_connection_is_for_the_scopes_that_the_worker_names() {
    let address = database();
    let step = |scope: &str, setting: &str| {
        format!("!scope {scope}\n{setting}\none:\n    postgres\n    x\n    `SELECT 1::bigint AS n`\np = | one\np()\n")
    };
    let project = Project::new(&[]);
    let url = &address.whole;
    let settings =
        format!("[postgres]\nurl = '{url}'\nscopes = ['a', 'b']\n[postgres.reports]\nurl = '{url}'\nscopes = ['c']\n");
    project.write("bue.toml", &settings);
    for (scope, setting, code) in
        [("b", "", 0), ("c", "", 1), ("c", "!allow postgres reports", 0), ("b", "!allow postgres reports", 1)]
    {
        project.write("x.bue", &step(scope, setting));
        let output = run(&project, "x.bue", &[]).expect_code(code);
        if code == 1 {
            output.expect_stderr(&[&format!("not for steps of the scope `{scope}`"), "`scopes`"]);
        }
    }
    project.write("bue.toml", &format!("[postgres.reports]\nurl = '{url}'\nscopes = 'c'\n"));
    run(&project, "x.bue", &[]).expect_code(2).expect_stderr(&["`scopes` of `[postgres.reports]`", "list of texts"]);
}

/// Test L of the security review, against a server that accepts TLS only: what is measured is inside of TLS records.
#[test]
fn over_tls_a_server_is_verified_and_a_long_row_is_refused() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost", Valid::Now);
    // free a moment ago; no other test of this program binds ports by number
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let settings = format!("listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\n");
    let access = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    let files = [("pg_hba.conf", access), ("server.crt", certificate.as_str()), ("server.key", key.as_str())];
    let cluster = Cluster::start_with(&settings, &files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a reactor");
    runtime.block_on(async {
        let address = format!("host={} port={port} user=postgres dbname=postgres", cluster.folder().display());
        let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.expect("connected");
        tokio::spawn(connection);
        client.batch_execute("CREATE USER steps PASSWORD 'right'").await.expect("a user");
    });
    let select = |sql: &str| format!("x:\n    postgres\n    x\n    `{sql}`\np = | x\np()\n");
    let project = Project::new(&[
        ("small.bue", &select("SELECT length(repeat('x', 900000000)) AS n")),
        ("long.bue", &select("SELECT repeat('x', 900000000) AS x")),
    ]);
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("root.crt"), &authority.root).expect("a file");
    let root = folder.path().join("root.crt").display().to_string();
    let url = format!("postgres://steps:right@localhost:{port}/postgres?sslmode=require");
    let trusting = [("BUE_POSTGRES_URL", url.as_str()), ("SSL_CERT_FILE", root.as_str())];
    assert_eq!(run(&project, "small.bue", &trusting).expect_code(0).last(), json!([{"n": 900_000_000}]));
    let long = run(&project, "long.bue", &trusting).expect_code(1);
    long.expect_stderr(&["858.3 MiB", "result limit"]);
    run(&project, "small.bue", &[("BUE_POSTGRES_URL", &url)]).expect_code(1).expect_stderr(&["certificate"]);
}
