//! The roles that steps do not run as, and the scopes that connections are for.

use core::num::NonZeroUsize;
use std::collections::HashMap;

use bue_model::FailureKind;
use bue_runtime::{Database, Databases, DatabasesConfig, Placeholders, Query};
use bue_test_support::cluster::shared;

use super::common::{connect, end, failure, json, query, value};

/// Roles, as the SQL that creates them; `{role}` is the role's name. The second text is a part of the reason.
const PRIVILEGED: [(&str, &str); 11] = [
    ("CREATE ROLE {role} LOGIN SUPERUSER", "superuser"),
    ("CREATE ROLE {role} LOGIN NOINHERIT; GRANT postgres TO {role}", "superuser"),
    ("CREATE ROLE {role} LOGIN NOINHERIT; GRANT pg_read_server_files TO {role}", "files"),
    ("CREATE ROLE {role} LOGIN; GRANT pg_write_server_files TO {role}", "files"),
    ("CREATE ROLE {role} LOGIN; GRANT pg_execute_server_program TO {role}", "files"),
    ("CREATE ROLE {role} LOGIN; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {role}", "files"),
    ("CREATE ROLE {role} LOGIN; GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO {role}", "files"),
    ("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA bue TO {role}", "schema `bue`"),
    ("CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA bue TO {role}", "schema `bue`"),
    (
        "CREATE ROLE {role}_hub; GRANT USAGE ON SCHEMA bue TO {role}_hub; \
         CREATE ROLE {role} LOGIN NOINHERIT; GRANT {role}_hub TO {role}",
        "schema `bue`",
    ),
    // a superuser whose search path has a function that denies it
    (
        "CREATE SCHEMA {role}_lies; CREATE FUNCTION {role}_lies.pg_has_role(name, oid, text) RETURNS boolean \
         LANGUAGE sql AS 'SELECT false'; CREATE ROLE {role} LOGIN SUPERUSER; \
         ALTER ROLE {role} SET search_path = {role}_lies, pg_catalog",
        "superuser",
    ),
];

fn database(address: &str, role: &str) -> Database {
    Database::from_url(&address.replace("user=postgres", &format!("user={role}")), NonZeroUsize::MIN)
        .expect("an address")
}

fn config(database: Database) -> DatabasesConfig {
    DatabasesConfig { unnamed: Some(database), named: HashMap::new() }
}

/// A database with the schema of a hub, and the prefix of its roles: roles belong to the whole server.
async fn hub_database() -> (String, String) {
    let address = shared().database().await;
    let client = connect(&address).await;
    client.batch_execute("CREATE SCHEMA bue; CREATE TABLE bue.job(id bigint)").await.expect("a schema");
    let name = address.split("dbname=").nth(1).expect("a name").to_owned();
    (address, name)
}

#[tokio::test]
async fn steps_do_not_run_as_a_role_that_reaches_the_hub_or_the_server() {
    let (address, prefix) = hub_database().await;
    let client = connect(&address).await;
    for (number, (create, reason)) in PRIVILEGED.iter().enumerate() {
        let role = format!("{prefix}_role{number}");
        client.batch_execute(&create.replace("{role}", &role)).await.expect(create);
        let config = config(database(&address, &role));
        let refused = failure(&end(Databases::new(config.clone()).run(query("SELECT 1 AS x", &[]))).await);
        assert_eq!(refused.kind, FailureKind::Denied, "{create}: {refused}");
        for word in [&role, *reason, "--allow-privileged-postgres"] {
            assert!(refused.message.contains(word), "{create}: no `{word}` in {refused}");
        }
        assert_eq!(config.refused_roles().await, [refused.message], "{create}");
        let allowed = Databases::new(config.allow_privileged_roles());
        assert_eq!(json(&value(&end(allowed.run(query("SELECT 1 AS x", &[]))).await)), r#"[{"x":1}]"#, "{create}");
    }
}

/// Until PostgreSQL 16, such a role can make itself a member of `pg_execute_server_program`.
#[tokio::test]
async fn a_role_that_creates_roles_is_refused_where_it_can_take_any() {
    let (address, prefix) = hub_database().await;
    let (client, role) = (connect(&address).await, format!("{prefix}_creator"));
    client.batch_execute(&format!("CREATE ROLE {role} LOGIN CREATEROLE")).await.expect("a role");
    let number = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await.expect("a version");
    let refused = config(database(&address, &role)).refused_roles().await;
    assert_eq!(refused.len(), usize::from(number.get::<_, i32>(0) < 160_000), "{refused:?}");
}

#[tokio::test]
async fn an_ordinary_role_is_accepted_beside_a_hub() {
    let (address, prefix) = hub_database().await;
    let (client, role) = (connect(&address).await, format!("{prefix}_ordinary"));
    client.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await.expect("a role");
    let config = config(database(&address, &role));
    assert_eq!(config.refused_roles().await, [""; 0]);
    let databases = Databases::new(config);
    assert_eq!(json(&value(&end(databases.run(query("SELECT 1 AS x", &[]))).await)), r#"[{"x":1}]"#);
    let denied = failure(&end(databases.run(query("SELECT count(*) FROM bue.job", &[]))).await);
    assert!(
        denied.kind == FailureKind::Denied && denied.message.contains("permission denied for schema bue"),
        "{denied}"
    );
}

#[tokio::test]
async fn a_server_that_is_down_refuses_no_role() {
    let url = "postgres://ann@127.0.0.1:1/sales";
    assert_eq!(config(Database::from_url(url, NonZeroUsize::MIN).expect("a URL")).refused_roles().await, [""; 0]);
}

#[tokio::test]
async fn a_connection_may_be_for_certain_scopes() {
    let address = shared().step_database().await;
    let reports = || {
        Database::from_url(&address, NonZeroUsize::MIN).expect("an address").restricted_to(vec!["reports".to_owned()])
    };
    let named = HashMap::from([("stock".to_owned(), reports())]);
    let databases = Databases::new(DatabasesConfig { unnamed: Some(reports()), named });
    let step = |connection: Option<&str>, scope: &str| {
        let query = query("SELECT 1 AS x", &[]);
        let placeholders = Placeholders { scope: scope.to_owned(), ..query.placeholders.clone() };
        databases.run(Query { connection: connection.map(str::to_owned), placeholders, ..query })
    };
    for (connection, table) in [(None, "`[postgres]`"), (Some("stock"), "`[postgres.stock]`")] {
        value(&end(step(connection, "reports")).await);
        let denied = failure(&end(step(connection, "eu")).await);
        assert_eq!(denied.kind, FailureKind::Denied, "{denied}");
        assert!(denied.message.contains("the scope `eu`") && denied.message.contains(table), "{denied}");
    }
}
