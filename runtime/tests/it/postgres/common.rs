//! What the tests share: a database, and short ways to run a step.

use core::num::NonZeroUsize;
use std::collections::HashMap;
use std::sync::Arc;

use bue_model::{Answer, Bundle, Failure, Json, SourceFile, Value, cbor};
use bue_runtime::{Database, Databases, DatabasesConfig, Event, Finished, Limits, Placeholders, Query, Running};
use bue_test_support::cluster::shared;
use bue_test_support::wait::wait_until_async;
use bytes::Bytes;
use tokio_postgres::{Client, NoTls};

/// A database of one test.
pub(crate) struct Fixture {
    pub(crate) databases: Databases,
    /// A connection of the test itself.
    pub(crate) client: Client,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_connections(4).await
    }

    /// One whose role is a superuser, and a single connection.
    pub(crate) async fn privileged() -> Self {
        let address = shared().database().await;
        let unnamed = Database::from_url(&address, NonZeroUsize::MIN).expect("an address");
        let config = DatabasesConfig { unnamed: Some(unnamed), named: HashMap::new() };
        Self { databases: Databases::new(config.allow_privileged_roles()), client: connect(&address).await }
    }

    pub(crate) async fn with_connections(connections: usize) -> Self {
        let address = shared().step_database().await;
        let client = connect(&address).await;
        Self { databases: databases(&address, connections), client }
    }

    pub(crate) async fn run(&self, query: Query) -> Finished {
        end(self.databases.run(query)).await
    }

    pub(crate) async fn value(&self, sql: &str, inputs: &[Value]) -> Value {
        value(&self.run(query(sql, inputs)).await)
    }

    pub(crate) async fn json(&self, sql: &str, inputs: &[Value]) -> String {
        json(&self.value(sql, inputs).await)
    }

    pub(crate) async fn failure(&self, sql: &str, inputs: &[Value]) -> Failure {
        failure(&self.run(query(sql, inputs)).await)
    }

    /// Returns the number of bue's connections in a state like this one on this test's database.
    pub(crate) async fn active(&self, state: &str) -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND application_name = 'bue step' AND state LIKE $1";
        self.client.query_one(count, &[&state]).await.expect("a count").get(0)
    }

    /// Waits until this many of bue's connections are in this state.
    pub(crate) async fn until_active(&self, state: &str, count: i64) {
        let what = format!("{count} connections are in the state {state:?}");
        wait_until_async(&what, async || self.active(state).await == count).await;
    }
}

pub(crate) async fn connect(address: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

pub(crate) fn databases(address: &str, connections: usize) -> Databases {
    let connections = NonZeroUsize::new(connections).expect("some");
    let unnamed = Database::from_url(address, connections).expect("an address");
    Databases::new(DatabasesConfig { unnamed: Some(unnamed), named: HashMap::new() })
}

/// A step whose first input becomes `rows`.
pub(crate) fn query(sql: &str, inputs: &[Value]) -> Query {
    let file = SourceFile { path: "query.sql".to_owned(), content: Bytes::copy_from_slice(sql.as_bytes()) };
    Query {
        bundle: Arc::new(Bundle { entry: file.path.clone(), first_line: 1, files: vec![file], ..Bundle::default() }),
        table: "rows".to_owned(),
        placeholders: Placeholders { scope: "eu".to_owned(), priority: 5, timeout_s: 60, retries: 2 },
        connection: None,
        inputs: inputs.iter().map(|value| Bytes::from(cbor::encode(value))).collect(),
        streamed: false,
        limits: Limits::default(),
    }
}

/// Follows a step that streams nothing.
pub(crate) async fn end(mut running: Running) -> Finished {
    match running.next().await.expect("an end") {
        Event::Finished(finished) => finished,
        Event::Items { .. } | Event::Lines { .. } => panic!("an event that was not requested"),
    }
}

pub(crate) fn value(finished: &Finished) -> Value {
    match &finished.answer {
        Answer::Completed { value, streamed: false, .. } => cbor::decode(value).expect("CBOR"),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn failure(finished: &Finished) -> Failure {
    match &finished.answer {
        Answer::Failed(failure) => failure.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn json(value: &Value) -> String {
    serde_json::to_string(&Json(value)).expect("JSON")
}

pub(crate) fn log(finished: &Finished) -> String {
    String::from_utf8(finished.log.to_vec()).expect("UTF-8")
}

/// Values as a test writes them.
pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (text(key), value.clone())).collect())
}

pub(crate) fn list(items: &[Value]) -> Value {
    Value::List(items.to_vec())
}

/// A table of one column `x`.
pub(crate) fn column(values: &[Value]) -> Value {
    list(&values.iter().map(|value| map(&[("x", value.clone())])).collect::<Vec<_>>())
}

pub(crate) fn numbers() -> Value {
    list(&[map(&[("a", Value::Int(1)), ("b", text("x"))]), map(&[("a", Value::Int(2)), ("c", Value::Null)])])
}
