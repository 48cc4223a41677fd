//! Connecting to PostgreSQL over TCP: TLS, passwords, names, and the errors where it fails. The certificates are made here.

use std::net::TcpListener;

use bue_hub::PostgresStore;
use bue_test_support::cluster::Cluster;
use bue_test_support::wait::wait_until_async;
use tempfile::TempDir;

use bue_test_support::authority::{Authority, Valid};

/// A password that no message may contain.
const WRONG: &str = "hunter2-and-wrong";
/// The server requires TLS and a password, except from the test through the socket, and from `plain`.
const HBA: &str = "local all all trust\nhost all plain 127.0.0.1/32 scram-sha-256\n\
     hostssl all all 127.0.0.1/32 scram-sha-256\n";

/// A server for `localhost` with a certificate of an authority that no system knows.
struct Server {
    cluster: Cluster,
    port: u16,
    /// Contains the authority's certificate.
    folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.sign("localhost", Valid::Now);
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("root.crt"), &authority.root).expect("a file");
        // free a moment ago; no other test binds ports by number
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let settings = format!("listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\n");
        let files = [("pg_hba.conf", HBA), ("server.crt", certificate.as_str()), ("server.key", key.as_str())];
        let cluster = Cluster::start_with(&settings, &files);
        let server = Self { cluster, port, folder };
        let sql =
            "CREATE USER bue PASSWORD 'right'; CREATE USER plain PASSWORD 'right'; CREATE DATABASE runs OWNER bue;
             CREATE DATABASE other; REVOKE CREATE ON DATABASE other FROM PUBLIC";
        for statement in sql.split(';') {
            server.execute(statement).await;
        }
        server
    }

    /// Executes a statement as the administrator.
    async fn execute(&self, sql: &str) {
        let address =
            format!("host={} port={} user=postgres dbname=postgres", self.cluster.folder().display(), self.port);
        let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.expect("connected");
        tokio::spawn(connection);
        client.batch_execute(sql).await.expect(sql);
    }

    /// Connects a store; `ROOT` is replaced by the file of the authority.
    async fn connect(&self, user: &str, host: &str, rest: &str) -> Result<(), String> {
        let root = self.folder.path().join("root.crt");
        let rest = rest.replace("ROOT", &root.display().to_string());
        let url = format!("postgres://{user}@{host}:{}/{rest}", self.port);
        PostgresStore::connect(&url).await.map(drop).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn a_certificate_is_checked_as_sslmode_demands() {
    let server = Server::start().await;
    let good = [
        ("127.0.0.1", "runs"),
        ("127.0.0.1", "runs?sslmode=prefer"),
        ("127.0.0.1", "runs?sslmode=require"),
        ("127.0.0.1", "runs?sslmode=verify-ca&sslrootcert=ROOT"),
        ("localhost", "runs?sslmode=verify-full&sslrootcert=ROOT"),
    ];
    for (host, rest) in good {
        assert_eq!(server.connect("bue:right", host, rest).await, Ok(()), "{host} {rest}");
    }
    let bad = [
        ("127.0.0.1", "runs?sslmode=verify-full&sslrootcert=ROOT", "certificate"),
        ("localhost", "runs?sslmode=verify-full", "sslrootcert=PATH"),
        ("localhost", "runs?sslmode=verify-ca", "sslrootcert=PATH"),
        ("localhost", "runs?sslmode=verify-full&sslrootcert=/nowhere.crt", "sslrootcert /nowhere.crt"),
        ("127.0.0.1", "runs?sslmode=disable", "sslmode=require"),
    ];
    for (host, rest, expected) in bad {
        let error = server.connect("bue:right", host, rest).await.expect_err(rest);
        assert!(error.contains(expected), "{rest}: {error}");
    }
    server.execute("ALTER SYSTEM SET ssl = off").await;
    server.execute("SELECT pg_reload_conf()").await;
    // the server applies the new settings a moment later
    let mut result = Ok(());
    let without_tls = async || {
        result = server.connect("plain:right", "127.0.0.1", "runs?sslmode=require").await;
        result.as_ref().err().is_none_or(|error| error.contains("TLS"))
    };
    wait_until_async("the server refuses TLS", without_tls).await;
    let error = result.expect_err("no TLS");
    assert!(error.contains("does not support TLS") && error.contains("sslmode=disable"), "{error}");
}

#[tokio::test]
async fn a_connection_error_says_what_to_do() {
    let server = Server::start().await;
    let wrong = format!("bue:{WRONG}");
    let cases = [
        (wrong.as_str(), "runs", "user `bue`", "set the right password"),
        ("bue", "runs", "database `runs`", "POSTGRES_PASSWORD"),
        ("bue:right", "missing", "database \"missing\" does not exist", "createdb"),
        ("bue:right", "other", "permission denied", "GRANT CREATE ON DATABASE"),
    ];
    for (user, database, reason, hint) in cases {
        let error = server.connect(user, "127.0.0.1", database).await.expect_err(database);
        assert!(error.contains(reason) && error.contains(hint), "{user} {database}: {error}");
        assert!(!error.contains(WRONG) && !error.contains(":right"), "{error}");
    }
    let unused = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let address = format!("postgres://bue:{WRONG}@{unused}/runs");
    let error = PostgresStore::connect(&address).await.expect_err("no server").to_string();
    assert!(error.contains(&unused.to_string()) && error.contains("whether PostgreSQL runs"), "{error}");
    assert!(!error.contains(WRONG), "{error}");
}

#[tokio::test]
async fn a_schema_of_another_program_is_left_alone() {
    for theirs in
        ["CREATE SCHEMA bue; CREATE TABLE bue.run (x INT)", "CREATE SCHEMA bue; CREATE TABLE bue.layout (x INT)"]
    {
        let database = bue_test_support::cluster::shared().database().await;
        let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.expect("connected");
        tokio::spawn(connection);
        client.batch_execute(theirs).await.expect("a schema");
        let error = PostgresStore::connect(&database).await.expect_err("a refusal").to_string();
        assert!(error.contains("tables that are not bue's"), "{error}");
        let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'bue'::regnamespace";
        assert_eq!(client.query_one(tables, &[]).await.expect("a count").get::<_, i64>(0), 1);
    }
}
