//! Rows and messages that are longer than a step may have are refused with their heads, before the rest is here.

use core::num::NonZeroUsize;
use std::collections::HashMap;

use bue_model::FailureKind;
use bue_runtime::{Database, Databases, DatabasesConfig, Limits, Query};
use bue_test_support::cluster::shared;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::common::{end, failure, json, query, value};

/// Bytes from the server that a connection passes on. Whoever waits for more waits for ever.
const PASSED: u64 = 256 * 1024;

/// Starts a proxy to a database, and returns the address there.
async fn stalling_proxy(database: &str) -> String {
    let part = |name: &str| database.split(' ').find_map(|part| part.strip_prefix(name)).expect("a part").to_owned();
    let server = format!("{}/.s.PGSQL.5432", part("host="));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = UnixStream::connect(&server).await.expect("the server");
            tokio::spawn(pass_on(client, server));
        }
    });
    format!("host=127.0.0.1 port={port} user={} dbname={}", part("user="), part("dbname="))
}

async fn pass_on(mut client: TcpStream, mut server: UnixStream) {
    let (mut from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    let to = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let mut some = from_server.take(PASSED);
    let from = async {
        let _ = copy(&mut some, &mut to_client).await;
        if some.limit() == 0 {
            core::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = to => {}
        () = from => {}
    }
}

#[tokio::test]
async fn a_long_row_or_message_is_refused_before_it_is_here() {
    let address = stalling_proxy(&shared().step_database().await).await;
    let database = Database::from_url(&address, NonZeroUsize::MIN).expect("an address");
    let databases = Databases::new(DatabasesConfig { unnamed: Some(database), named: HashMap::new() });
    let limits = Limits { result_bytes: 1 << 20, ..Limits::default() };
    let limited = |sql: &str| Query { limits: limits.clone(), ..query(sql, &[]) };
    for sql in [
        "SELECT repeat('x', 20000000) AS x",
        "SELECT repeat('x', 20000000); SELECT 1",
        "SELECT repeat('x', 100), n FROM generate_series(1, 10) n UNION ALL SELECT repeat('x', 20000000), 0",
        "DO $$ BEGIN RAISE NOTICE '%', repeat('x', 20000000); END $$",
        "DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 20000000); END $$",
    ] {
        let failure = failure(&end(databases.run(limited(sql))).await);
        assert_eq!(failure.kind, FailureKind::Limit, "{sql}: {failure}");
        for part in ["19.0 MiB", "result limit is 1 MiB", "rolled back"] {
            assert!(failure.message.contains(part), "{sql}: {failure}");
        }
    }
    // the next step has a connection of its own, and rows up to the limit pass
    let found = json(&value(&end(databases.run(limited("SELECT length(repeat('x', 20000000)) AS x"))).await));
    assert_eq!(found, r#"[{"x":20000000}]"#);
    let found = json(&value(&end(databases.run(limited("SELECT repeat('x', 200000) AS x"))).await));
    assert_eq!(found.len(), 200_000 + r#"[{"x":""}]"#.len());
}

/// A value that is longer as text than as a result is accepted up to the limit on results.
#[tokio::test]
async fn a_row_of_bytes_may_be_as_long_as_the_result_limit() {
    let fixture = super::common::Fixture::new().await;
    let limits = Limits { result_bytes: 2 << 20, ..Limits::default() };
    let bytes = "SELECT decode(repeat('ab', 2000000), 'hex') AS x";
    value(&fixture.run(Query { limits: limits.clone(), ..query(bytes, &[]) }).await);
    let long = "SELECT decode(repeat('ab', 2100000), 'hex') AS x";
    let failure = failure(&fixture.run(Query { limits, ..query(long, &[]) }).await);
    assert!(failure.message.contains("rows are more than the result limit of 2 MiB"), "{failure}");
}
