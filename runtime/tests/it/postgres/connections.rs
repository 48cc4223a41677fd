//! Connections: their number, their state when they are reused, and the message if there is none.

use core::num::NonZeroUsize;
use core::time::Duration;
use std::collections::HashMap;

use bue_model::FailureKind;
use bue_runtime::{Database, DatabaseParts, Databases, DatabasesConfig, Query};
use bue_test_support::cluster::{Cluster, shared};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::common::{Fixture, databases, end, failure, json, query, value};

#[tokio::test]
async fn steps_wait_for_a_connection_outside_their_time_limit() {
    let fixture = Fixture::with_connections(2).await;
    let limits = bue_runtime::Limits { time: Duration::from_secs(5), ..Default::default() };
    let running: Vec<_> = (0..300)
        .map(|_| fixture.databases.run(Query { limits: limits.clone(), ..query("SELECT pg_sleep(0.02)::text", &[]) }))
        .collect();
    let mut most = 0;
    for step in running {
        most = most.max(fixture.active("%").await);
        value(&end(step).await);
    }
    assert!((1..=2).contains(&most), "{most} connections");
}

#[tokio::test]
async fn nothing_of_a_step_stays_on_its_connection() {
    // only a superuser may change the session's user
    let fixture = Fixture::privileged().await;
    fixture.client.batch_execute("CREATE ROLE other").await.expect("a role");
    let pid = "SELECT pg_backend_pid() AS pid";
    let first = fixture.json(pid, &[]).await;
    let dirty = "SET search_path = nowhere; SET SESSION AUTHORIZATION other; PREPARE q AS SELECT 1; LISTEN x; \
                 CREATE TEMP TABLE left_over(x int); SELECT pg_advisory_lock(1)::text; SELECT set_config('bue.x', 'y', false)";
    fixture.value(dirty, &[]).await;
    let clean = "SELECT current_setting('search_path') p, session_user = current_user AND current_user <> 'other' u, \
                 (SELECT count(*) FROM pg_prepared_statements) q, (SELECT count(*) FROM pg_listening_channels()) l, \
                 to_regclass('left_over') IS NULL t, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') a, \
                 coalesce(current_setting('bue.x', true), '') = '' x";
    let found = fixture.json(clean, &[]).await;
    // the statement that asks is itself prepared, to learn its types
    assert_eq!(found, r#"[{"p":"\"$user\", public","u":true,"q":1,"l":0,"t":true,"a":0,"x":true}]"#);
    assert_eq!(fixture.json(pid, &[]).await, first, "the connection is the same");
    fixture.failure("SELECT 1/0", &[]).await;
    assert_ne!(fixture.json(pid, &[]).await, first, "after a failure it is another");
    fixture.client.batch_execute("DROP ROLE other").await.expect("a role that is gone");
}

#[tokio::test]
async fn types_of_the_database_are_looked_up_again() {
    let fixture = Fixture::with_connections(1).await;
    fixture.client.batch_execute("CREATE TYPE mood AS ENUM ('sad')").await.expect("a type");
    for _ in 0..3 {
        assert_eq!(fixture.json("SELECT 'sad'::mood AS m", &[]).await, r#"[{"m":"sad"}]"#);
        assert_eq!(fixture.json("DEALLOCATE ALL; SELECT 1 AS x", &[]).await, r#"[{"x":1}]"#);
    }
}

#[tokio::test]
async fn a_worker_without_the_connection_names_the_missing_setting() {
    let none = Databases::new(DatabasesConfig::default());
    let unset = failure(&end(none.run(query("SELECT 1", &[]))).await);
    assert_eq!(unset.kind, FailureKind::Denied);
    for word in ["POSTGRES_HOST", "POSTGRES_PASSWORD", "BUE_POSTGRES_URL", "[postgres]", "bue.toml"] {
        assert!(unset.message.contains(word), "{unset}");
    }
    let named = Query { connection: Some("reports".to_owned()), ..query("SELECT 1", &[]) };
    let unknown = failure(&end(none.run(named)).await);
    assert!(unknown.message.contains("[postgres.reports]"), "{unknown}");
}

#[tokio::test]
async fn a_step_works_on_the_connection_it_names() {
    let (one, two) = (shared().step_database().await, shared().step_database().await);
    let database = |address: &str| Database::from_url(address, NonZeroUsize::MIN).expect("an address");
    let named = HashMap::from([("reports".to_owned(), database(&two))]);
    let databases = Databases::new(DatabasesConfig { unnamed: Some(database(&one)), named });
    for (connection, address) in [(None, &one), (Some("reports".to_owned()), &two)] {
        let query = Query { connection, ..query("SELECT current_database() AS d", &[]) };
        let found = json(&value(&end(databases.run(query)).await));
        let name = address.split("dbname=").nth(1).expect("a name");
        assert_eq!(found, format!(r#"[{{"d":"{name}"}}]"#));
    }
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_the_password() {
    let url = "postgres://ann:s3cret@127.0.0.1:1/sales";
    let parts = DatabaseParts {
        host: Some("127.0.0.1".into()),
        port: Some(1),
        user: Some("ann".into()),
        password: Some("s3cret".into()),
        database: Some("sales".into()),
    };
    let from_url = Database::from_url(url, NonZeroUsize::MIN).expect("an address");
    for database in [from_url, Database::from_parts(&parts, NonZeroUsize::MIN)] {
        assert!(!format!("{database:?} {parts:?}").contains("s3cret"));
        let databases = Databases::new(DatabasesConfig { unnamed: Some(database), named: HashMap::new() });
        let failure = failure(&end(databases.run(query("SELECT 1", &[]))).await);
        assert!(failure.message.contains("host 127.0.0.1, port 1, user ann, database sales"), "{failure}");
        assert!(!failure.message.contains("s3cret"), "{failure}");
    }
    for bad in ["postgres://ann:s3cret@host:port/x", "s3cret", "user=ann password=s3cret", ""] {
        let error = Database::from_url(bad, NonZeroUsize::MIN).expect_err("no address").to_string();
        assert!(!error.contains("s3cret") && error.contains("postgres://USER"), "{error}");
    }
}

#[tokio::test]
async fn a_restarted_server_is_connected_to_again() {
    let cluster = Cluster::start();
    let databases = databases(&cluster.step_database().await, 1);
    value(&end(databases.run(query("SELECT 1", &[]))).await);
    let running = databases.run(query("SELECT pg_sleep(600)", &[]));
    let ended = tokio::spawn(end(running));
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::task::spawn_blocking(move || {
        cluster.stop("immediate");
        cluster.go_on();
        cluster
    })
    .await
    .map(|cluster| async move {
        let lost = failure(&ended.await.expect("an end"));
        assert_eq!(lost.kind, FailureKind::Internal, "{lost}");
        value(&end(databases.run(query("SELECT 1", &[]))).await);
        drop(cluster);
    })
    .expect("a cluster")
    .await;
}

/// A server without TLS responds `N`, and receives no password.
#[tokio::test]
async fn a_server_without_tls_is_refused_if_tls_is_required() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut asked = [0; 8];
        socket.read_exact(&mut asked).await.expect("a request for TLS");
        socket.write_all(b"N").await.expect("an answer");
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.expect("the end");
        rest
    });
    let url = format!("postgres://ann:s3cret@127.0.0.1:{port}/sales?sslmode=verify-full");
    let database = Database::from_url(&url, NonZeroUsize::MIN).expect("an address");
    let databases = Databases::new(DatabasesConfig { unnamed: Some(database), named: HashMap::new() });
    let failure = failure(&end(databases.run(query("SELECT 1", &[]))).await);
    assert!(failure.message.contains("server does not support TLS"), "{failure}");
    assert_eq!(server.await.expect("a server"), Vec::<u8>::new());
}
