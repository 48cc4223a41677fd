//! Steps that are stopped leave nothing running in the server.

use core::time::Duration;

use bue_model::FailureKind;
use bue_runtime::{Limits, Query};
use bue_test_support::wait::within_deadline;

use super::common::{Fixture, column, end, failure, query, text};

fn with_time_limit(sql: &str, time: Duration) -> Query {
    Query { limits: Limits { time, ..Limits::default() }, ..query(sql, &[]) }
}

#[tokio::test]
async fn a_timeout_ends_the_step_and_the_statement() {
    let fixture = Fixture::new().await;
    for sql in [
        "SELECT pg_sleep(600)",
        "SELECT pg_sleep(600); SELECT 1",
        "SET statement_timeout = 0; SELECT count(*) FROM generate_series(1, 1000000000000) x, pg_sleep(0)",
        "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$",
    ] {
        let failure = failure(&fixture.run(with_time_limit(sql, Duration::from_millis(200))).await);
        assert_eq!(failure.kind, FailureKind::Limit, "{failure}");
        assert!(failure.message.contains("time limit of"), "{failure}");
        fixture.until_active("active", 0).await;
    }
}

#[tokio::test]
async fn a_dropped_step_is_cancelled() {
    let fixture = Fixture::with_connections(1).await;
    for sql in ["SELECT pg_sleep(600)", "SELECT repeat('x', 1000), generate_series(1, 1000000000)"] {
        let running = fixture.databases.run(Query { streamed: true, ..query(sql, &[]) });
        fixture.until_active("active", 1).await;
        drop(running);
        fixture.until_active("%", 0).await;
    }
    let (first, second) =
        (fixture.databases.run(query("SELECT pg_sleep(600)", &[])), fixture.databases.run(query("SELECT 1", &[])));
    fixture.until_active("active", 1).await;
    // a step that still waits for a connection leaves no trace
    drop(second);
    drop(first);
    fixture.databases.shutdown().await;
    fixture.until_active("%", 0).await;
}

#[tokio::test]
async fn a_statement_cancelled_by_others_is_a_failed_attempt() {
    let fixture = Fixture::new().await;
    let running = fixture.databases.run(query("SELECT pg_sleep(600)", &[]));
    fixture.until_active("active", 1).await;
    let stop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bue step'";
    fixture.client.batch_execute(stop).await.expect("the right to");
    let failure = failure(&end(running).await);
    assert_eq!(failure.kind, FailureKind::Internal);
    assert!(failure.message.contains("57P01"), "{failure}");
}

/// The statement waits for a lock of another transaction; the end of the step does not wait for that lock.
#[tokio::test]
async fn a_step_that_waits_for_a_lock_ends_in_time() {
    let fixture = Fixture::new().await;
    fixture.client.batch_execute("CREATE TABLE t(x int)").await.expect("a table");
    fixture.client.batch_execute("BEGIN; LOCK TABLE t").await.expect("a lock");
    let rows = column(&[text("x")]);
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let step = fixture.run(Query { limits, ..query("SELECT * FROM t, rows", &[rows]) });
    let failure = failure(&within_deadline("the end of a step that waits for a lock", step).await);
    assert_eq!(failure.kind, FailureKind::Limit, "{failure}");
    // the lock was held until after the step had ended
    fixture.client.batch_execute("ROLLBACK").await.expect("no lock");
}
