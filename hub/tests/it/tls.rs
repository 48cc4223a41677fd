//! Servers that speak TLS: who believes whom, what is said to those who do not, and certificates that are renewed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bue_client::{BucketClient, ClientError, HubClient, Trust};
use bue_hub::{
    Access, BlobStore, Bucket, Durability, Hub, SqliteStore, Tls, TlsError, TlsFiles, serve_bucket, serve_hub,
};
use bue_model::RunId;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::http::send;
use bue_test_support::authority::{Authority, Valid};

/// Certificates in a folder, and a hub that shows one of them.
struct Secure {
    folder: TempDir,
    authority: Authority,
    port: u16,
}

impl Secure {
    /// With a certificate for a name; asking for clients' certificates or not.
    async fn start(name: &str, valid: Valid, asks: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        put(folder.path(), "ca.pem", &authority.root);
        put_pair(folder.path(), "server", &authority.sign(name, valid));
        let tls = Tls::open(files(folder.path(), asks)).expect("certificates");
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        let hub = Hub::new(Arc::new(store)).with_tls(Some(tls));
        let (listener, port) = listen().await;
        tokio::spawn(serve_hub(listener, hub, std::future::pending()));
        Self { folder, authority, port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trusting(&self) -> Trust {
        Trust { ca: Some(self.path("ca.pem")), identity: None }
    }

    /// The same, with a certificate of our own.
    fn showing(&self, certificate: &(String, String)) -> Trust {
        put_pair(self.folder.path(), "client", certificate);
        Trust { identity: Some((self.path("client.pem"), self.path("client.key"))), ..self.trusting() }
    }

    fn client(&self, trust: Trust) -> HubClient {
        let address = format!("https://localhost:{}", self.port);
        HubClient::new(&[address]).and_then(|client| client.with_trust(trust)).expect("a client")
    }

    /// What a client is told that is not let in.
    async fn refusal(&self, trust: Trust) -> String {
        let error = self.client(trust).runs().await.expect_err("a refusal");
        assert!(matches!(error, ClientError::Tls { .. }) && !error.is_transient(), "{error:?}");
        error.to_string()
    }
}

fn put(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file");
}

fn put_pair(folder: &Path, name: &str, (certificate, key): &(String, String)) {
    put(folder, &format!("{name}.pem"), certificate);
    put(folder, &format!("{name}.key"), key);
}

fn files(folder: &Path, asks: bool) -> TlsFiles {
    let client_ca = asks.then(|| folder.join("ca.pem"));
    TlsFiles { certificate: folder.join("server.pem"), key: folder.join("server.key"), client_ca }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

#[tokio::test]
async fn hub_and_bucket_speak_tls_to_those_who_believe_their_authority() {
    let server = Secure::start("localhost", Valid::Now, false).await;
    assert_eq!(server.client(server.trusting()).runs().await.expect("runs"), []);
    let blobs = BlobStore::open(&server.path("blobs"), Durability::Off).expect("a store");
    let tls = Tls::open(files(server.folder.path(), false)).expect("certificates");
    let (listener, port) = listen().await;
    tokio::spawn(serve_bucket(
        listener,
        Bucket::new(blobs, Access::open()).with_tls(Some(tls)),
        std::future::pending(),
    ));
    let bucket = BucketClient::new(&format!("https://localhost:{port}")).expect("a client");
    let bucket = bucket.with_trust(server.trusting()).expect("trust");
    let content = Bytes::from(vec![7; 3_000_000]);
    let blob = bucket.put(RunId(Uuid::from_u128(1)), content.clone()).await.expect("stored");
    assert_eq!(bucket.get(&blob).await.expect("the same bytes"), content);
}

#[tokio::test]
async fn a_server_that_cannot_be_believed_is_not_spoken_to() {
    let server = Secure::start("localhost", Valid::Now, false).await;
    let said = server.refusal(Trust::default()).await;
    assert!(said.contains("authority") && said.contains("--ca FILE") && said.contains("BUE_SERVER_CA"), "{said}");
    put(server.folder.path(), "other.pem", &Authority::new().root);
    let said = server.refusal(Trust { ca: Some(server.path("other.pem")), identity: None }).await;
    assert!(said.contains("--ca FILE"), "{said}");

    let server = Secure::start("localhost", Valid::Before, false).await;
    let said = server.refusal(server.trusting()).await;
    assert!(said.contains("has expired") && said.contains("--tls-cert"), "{said}");

    let server = Secure::start("hub.lan", Valid::Now, false).await;
    let said = server.refusal(server.trusting()).await;
    assert!(said.contains("hub.lan") && said.contains("not for `localhost`"), "{said}");
}

#[tokio::test]
async fn a_server_that_asks_for_certificates_lets_only_its_own_in() {
    let server = Secure::start("localhost", Valid::Now, true).await;
    let good = server.showing(&server.authority.sign("worker-1", Valid::Now));
    assert_eq!(server.client(good).runs().await.expect("runs"), []);
    let said = server.refusal(server.trusting()).await;
    assert!(said.contains("asks for a client certificate") && said.contains("--client-cert FILE"), "{said}");
    let said = server.refusal(server.showing(&Authority::new().sign("worker-1", Valid::Now))).await;
    assert!(said.contains("does not believe our client certificate"), "{said}");
    let said = server.refusal(server.showing(&server.authority.sign("worker-1", Valid::Before))).await;
    assert!(said.contains("our client certificate has expired"), "{said}");
}

#[tokio::test]
async fn who_mixes_http_and_https_up_is_told_so() {
    let server = Secure::start("localhost", Valid::Now, false).await;
    let plain = HubClient::new(&[format!("127.0.0.1:{}", server.port)]).expect("a client");
    let said = plain.runs().await.expect_err("a refusal").to_string();
    assert!(said.contains("speaks TLS") && said.contains("https://HOST:PORT"), "{said}");
    let answer = send(&format!("127.0.0.1:{}", server.port), b"nonsense\r\n\r\n").await;
    assert!(answer.status == 400 && answer.body.starts_with("{\"error\":{\"code\":\"tls_needed\""), "{}", answer.body);

    let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
    let (listener, port) = listen().await;
    tokio::spawn(serve_hub(listener, Hub::new(Arc::new(store)), std::future::pending()));
    let said = Secure { port, ..server }.refusal(Trust::default()).await;
    assert!(said.contains("plain HTTP") && said.contains(&format!("http://localhost:{port}")), "{said}");
}

/// The server is not restarted, and who talks to it goes on.
#[tokio::test]
async fn a_certificate_is_renewed_while_the_server_runs() {
    let server = Secure::start("localhost", Valid::Now, false).await;
    let old = server.client(server.trusting());
    old.runs().await.expect("runs");
    let next = Authority::new();
    put(server.folder.path(), "next.pem", &next.root);
    let trust = Trust { ca: Some(server.path("next.pem")), identity: None };
    // half of a renewal, and a file that is none: the pair before stays in force
    put(server.folder.path(), "server.pem", "nonsense");
    assert_eq!(server.client(server.trusting()).runs().await.expect("runs"), []);
    put(server.folder.path(), "server.pem", &next.sign("localhost", Valid::Now).0);
    assert_eq!(server.client(server.trusting()).runs().await.expect("runs"), []);
    assert!(server.refusal(trust.clone()).await.contains("--ca"));
    put_pair(server.folder.path(), "server", &next.sign("localhost", Valid::Now));
    assert_eq!(server.client(trust).runs().await.expect("runs"), []);
    assert!(server.refusal(server.trusting()).await.contains("--ca"));
    old.runs().await.expect("the connection that was open lives on");
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    put(folder.path(), "ca.pem", &authority.root);
    let pair = authority.sign("localhost", Valid::Now);
    put_pair(folder.path(), "server", &pair);
    let refused = |file: &str, text: &str| {
        let before = std::fs::read_to_string(folder.path().join(file)).expect("a file");
        put(folder.path(), file, text);
        let error = Tls::open(files(folder.path(), true)).expect_err(file);
        put(folder.path(), file, &before);
        let said = error.to_string();
        assert!(said.contains(file) && !said.contains("PRIVATE"), "{said}");
        error
    };
    assert!(matches!(refused("server.pem", ""), TlsError::Content { .. }));
    assert!(matches!(refused("server.pem", &pair.1), TlsError::Content { .. }));
    assert!(matches!(refused("server.key", &pair.0), TlsError::Content { .. }));
    assert!(matches!(refused("server.key", &authority.sign("x", Valid::Now).1), TlsError::Pair { .. }));
    assert!(matches!(refused("ca.pem", "nonsense"), TlsError::Content { .. }));
    assert!(matches!(refused("ca.pem", &"x".repeat(2_000_000)), TlsError::Disk { .. }));
    std::fs::remove_file(folder.path().join("server.key")).expect("removed");
    assert!(matches!(Tls::open(files(folder.path(), false)), Err(TlsError::Disk { .. })));
    let trust = Trust { ca: Some(folder.path().join("nowhere.pem")), identity: None };
    let client = HubClient::new(&["https://localhost:1".to_owned()]).expect("a client");
    let said = client.with_trust(trust).expect_err("no file").to_string();
    assert!(said.contains("nowhere.pem") && said.contains("--ca"), "{said}");
}

/// Garbage that begins like a handshake, and one that stops in the middle, cost nobody else anything.
#[tokio::test]
async fn a_handshake_that_is_none_ends_alone() {
    let server = Secure::start("localhost", Valid::Now, false).await;
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection");
    silent.write_all(&[0x16, 3, 1]).await.expect("sent");
    for garbage in [&[0x16; 600][..], &[0x16, 3, 1, 0xff, 0xff], &[0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection");
        stream.write_all(garbage).await.expect("sent");
        stream.shutdown().await.expect("all said");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        let _ = read.expect("it ends");
        assert!(answer.len() < 100, "an alert at most");
    }
    assert_eq!(server.client(server.trusting()).runs().await.expect("runs"), []);
}
