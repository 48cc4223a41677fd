//! Libraries that have a protocol of their own, against the servers they are made for.

use bue_test_support::authority::{Authority, Valid};
use bue_test_support::cluster::Cluster;
use bue_test_support::servers::{Identity, Server};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::{Network, check_in, wheels};

/// An authority, and the identity of a server for `localhost` that it has signed.
fn authority() -> (Authority, Identity) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost", Valid::Now);
    (authority, Identity { certificate, key })
}

/// Runs a program with these packages against these servers, given by name, port, and the names of hosts.
async fn check(authority: &Authority, name: &str, wheels: &wheels::Wheels, servers: Vec<(&'static str, String)>) {
    if let Some(files) = wheels::files(wheels) {
        let folder = TempDir::new().expect("a folder");
        check_in(&Network::of_tcp(servers, authority, &folder), name, &files).await;
    }
}

#[tokio::test]
async fn redis_works_as_published() {
    let (authority, identity) = authority();
    let server = Server::redis(&identity);
    let servers = vec![
        ("redis", format!("127.0.0.1:{}", server.ports[0])),
        ("redis_tls", format!("localhost:{}", server.ports[1])),
    ];
    check(&authority, "with_redis.py", &wheels::REDIS, servers).await;
}

#[tokio::test]
async fn pymysql_works_as_published() {
    let (authority, identity) = authority();
    let server = Server::mariadb(&identity);
    let servers = vec![("mysql", format!("localhost:{}", server.ports[0]))];
    check(&authority, "with_pymysql.py", &wheels::PYMYSQL, servers).await;
}

#[tokio::test]
async fn pg8000_works_as_published() {
    let (authority, identity) = authority();
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let settings = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n"
    );
    let access = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let files = [("server.pem", identity.certificate.as_str()), ("server.key", &identity.key), ("pg_hba.conf", access)];
    let cluster = Cluster::start_with(&settings, &files);
    let address = format!("host={} port={port} user=postgres dbname=postgres", cluster.folder().display());
    let (client, connection) = tokio_postgres::connect(&address, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("CREATE ROLE step LOGIN PASSWORD 'secret'").await.expect("a role");
    client.batch_execute("CREATE DATABASE shop OWNER step").await.expect("a database");
    let servers = vec![("postgres", format!("localhost:{port}"))];
    check(&authority, "with_pg8000.py", &wheels::PG8000, servers).await;
}

#[tokio::test]
async fn smtplib_sends_mails() {
    let (authority, identity) = authority();
    let servers = Server::smtp(&identity);
    let folder = TempDir::new().expect("a folder");
    let addresses = vec![
        ("smtp", format!("localhost:{}", servers[0].ports[0])),
        ("smtps", format!("localhost:{}", servers[1].ports[0])),
    ];
    check_in(&Network::of_tcp(addresses, &authority, &folder), "with_smtplib.py", &[]).await;
    for (server, expected) in servers.iter().zip([&["in the clear", "after STARTTLS"][..], &["from the beginning"]]) {
        let mails = server.mails();
        assert_eq!(mails.len(), expected.len(), "{mails:?}");
        for text in expected {
            assert!(mails.iter().any(|mail| mail.contains(text)), "{text}: {mails:?}");
        }
    }
}

#[tokio::test]
async fn ftplib_transfers_files() {
    let server = Server::ftp();
    let folder = TempDir::new().expect("a folder");
    let [port, first, last] = server.ports[..] else { panic!("{:?}", server.ports) };
    let addresses = vec![("ftp", format!("127.0.0.1:{port}")), ("data", format!("127.0.0.1:{first}-{last}"))];
    check_in(&Network::of_tcp(addresses, &Authority::new(), &folder), "with_ftplib.py", &[]).await;
}
