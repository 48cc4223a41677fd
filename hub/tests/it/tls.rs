//! TLS: which certificates are trusted, which errors the others get, and the renewal of certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bue_client::{BucketClient, ClientError, ClientOptions, HubClient, Trust};
use bue_hub::{Access, BlobStore, Bucket, Durability, Hub, SqliteStore, Tls, TlsError, TlsFiles};
use bue_model::RunId;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::raw_http::send_bytes;
use crate::servers::{spawn_bucket, spawn_hub};
use bue_test_support::authority::{Authority, Valid};
use bue_test_support::wait::within_deadline;

/// Whether a server requires client certificates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientCerts {
    Required,
    Ignored,
}

/// Certificates in a folder, and a hub that presents one of them.
struct TlsHub {
    folder: TempDir,
    authority: Authority,
    port: u16,
}

impl TlsHub {
    /// Starts a hub with a certificate for this name. `client_certs` decides whether it requires client certificates.
    async fn start(name: &str, valid: Valid, client_certs: ClientCerts) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        put(folder.path(), "ca.pem", &authority.root);
        put_pair(folder.path(), "server", &authority.sign(name, valid));
        let tls = Tls::open(files(folder.path(), client_certs)).expect("certificates");
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        let hub = Hub::new(Arc::new(store)).with_tls(Some(tls));
        let port = port_of(&spawn_hub(hub).await);
        Self { folder, authority, port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trust(&self) -> Trust {
        Trust { ca: Some(self.path("ca.pem")), identity: None }
    }

    /// The same, with this client certificate.
    fn trust_with_identity(&self, certificate: &(String, String)) -> Trust {
        put_pair(self.folder.path(), "client", certificate);
        Trust { identity: Some((self.path("client.pem"), self.path("client.key"))), ..self.trust() }
    }

    fn client(&self, trust: Trust) -> HubClient {
        let address = format!("https://localhost:{}", self.port);
        HubClient::with_options(&[address], trusting(trust)).expect("a client")
    }

    /// The error text of a client that cannot connect.
    async fn refusal(&self, trust: Trust) -> String {
        let error = self.client(trust).runs().await.expect_err("a refusal");
        assert!(matches!(error, ClientError::Tls { .. }) && !error.is_transient(), "{error:?}");
        error.to_string()
    }
}

fn trusting(trust: Trust) -> ClientOptions {
    ClientOptions { trust, ..ClientOptions::default() }
}

fn put(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file");
}

fn put_pair(folder: &Path, name: &str, (certificate, key): &(String, String)) {
    put(folder, &format!("{name}.pem"), certificate);
    put(folder, &format!("{name}.key"), key);
}

fn files(folder: &Path, client_certs: ClientCerts) -> TlsFiles {
    let client_ca = (client_certs == ClientCerts::Required).then(|| folder.join("ca.pem"));
    TlsFiles { certificate: folder.join("server.pem"), key: folder.join("server.key"), client_ca }
}

fn port_of(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
}

#[tokio::test]
async fn hub_and_bucket_speak_tls_to_clients_that_trust_their_authority() {
    let server = TlsHub::start("localhost", Valid::Now, ClientCerts::Ignored).await;
    assert_eq!(server.client(server.trust()).runs().await.expect("runs"), []);
    let blobs = BlobStore::open(&server.path("blobs"), Durability::Off).expect("a store");
    let tls = Tls::open(files(server.folder.path(), ClientCerts::Ignored)).expect("certificates");
    let bucket = Bucket::new(blobs, Access::open()).with_tls(Some(tls));
    let port = port_of(&spawn_bucket(bucket).await);
    let address = format!("https://localhost:{port}");
    let bucket = BucketClient::with_options(&address, trusting(server.trust())).expect("a client");
    let content = Bytes::from(vec![7; 3_000_000]);
    let blob = bucket.put(RunId(Uuid::from_u128(1)), content.clone()).await.expect("stored");
    assert_eq!(bucket.get(&blob).await.expect("the same bytes"), content);
}

#[tokio::test]
async fn a_client_does_not_talk_to_a_server_it_cannot_verify() {
    let server = TlsHub::start("localhost", Valid::Now, ClientCerts::Ignored).await;
    let error_text = server.refusal(Trust::default()).await;
    assert!(
        error_text.contains("authority") && error_text.contains("--ca FILE") && error_text.contains("BUE_SERVER_CA"),
        "{error_text}"
    );
    put(server.folder.path(), "other.pem", &Authority::new().root);
    let error_text = server.refusal(Trust { ca: Some(server.path("other.pem")), identity: None }).await;
    assert!(error_text.contains("--ca FILE"), "{error_text}");

    let server = TlsHub::start("localhost", Valid::Before, ClientCerts::Ignored).await;
    let error_text = server.refusal(server.trust()).await;
    assert!(error_text.contains("has expired") && error_text.contains("--tls-cert"), "{error_text}");

    let server = TlsHub::start("hub.lan", Valid::Now, ClientCerts::Ignored).await;
    let error_text = server.refusal(server.trust()).await;
    assert!(error_text.contains("hub.lan") && error_text.contains("not for `localhost`"), "{error_text}");
}

#[tokio::test]
async fn a_server_that_requires_certificates_accepts_only_those_of_its_authority() {
    let server = TlsHub::start("localhost", Valid::Now, ClientCerts::Required).await;
    let good = server.trust_with_identity(&server.authority.sign("worker-1", Valid::Now));
    assert_eq!(server.client(good).runs().await.expect("runs"), []);
    let error_text = server.refusal(server.trust()).await;
    assert!(
        error_text.contains("asks for a client certificate") && error_text.contains("--client-cert FILE"),
        "{error_text}"
    );
    let error_text = server.refusal(server.trust_with_identity(&Authority::new().sign("worker-1", Valid::Now))).await;
    assert!(error_text.contains("does not believe our client certificate"), "{error_text}");
    let error_text =
        server.refusal(server.trust_with_identity(&server.authority.sign("worker-1", Valid::Before))).await;
    assert!(error_text.contains("our client certificate has expired"), "{error_text}");
}

#[tokio::test]
async fn mixing_up_http_and_https_gets_a_hint() {
    let server = TlsHub::start("localhost", Valid::Now, ClientCerts::Ignored).await;
    let plain = HubClient::new(&[format!("127.0.0.1:{}", server.port)]).expect("a client");
    let error_text = plain.runs().await.expect_err("a refusal").to_string();
    assert!(error_text.contains("speaks TLS") && error_text.contains("https://HOST:PORT"), "{error_text}");
    let answer = send_bytes(&format!("127.0.0.1:{}", server.port), b"nonsense\r\n\r\n").await;
    assert!(answer.status == 400 && answer.body.starts_with("{\"error\":{\"code\":\"tls_needed\""), "{}", answer.body);

    let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
    let port = port_of(&spawn_hub(Hub::new(Arc::new(store))).await);
    let error_text = TlsHub { port, ..server }.refusal(Trust::default()).await;
    assert!(
        error_text.contains("plain HTTP") && error_text.contains(&format!("http://localhost:{port}")),
        "{error_text}"
    );
}

/// The server is not restarted, and open connections continue.
#[tokio::test]
async fn a_certificate_is_renewed_while_the_server_runs() {
    let server = TlsHub::start("localhost", Valid::Now, ClientCerts::Ignored).await;
    let old = server.client(server.trust());
    old.runs().await.expect("runs");
    let next = Authority::new();
    put(server.folder.path(), "next.pem", &next.root);
    let trust = Trust { ca: Some(server.path("next.pem")), identity: None };
    // an invalid file, and half of a renewal: the previous pair stays in use
    put(server.folder.path(), "server.pem", "nonsense");
    assert_eq!(server.client(server.trust()).runs().await.expect("runs"), []);
    put(server.folder.path(), "server.pem", &next.sign("localhost", Valid::Now).0);
    assert_eq!(server.client(server.trust()).runs().await.expect("runs"), []);
    assert!(server.refusal(trust.clone()).await.contains("--ca"));
    put_pair(server.folder.path(), "server", &next.sign("localhost", Valid::Now));
    assert_eq!(server.client(trust).runs().await.expect("runs"), []);
    assert!(server.refusal(server.trust()).await.contains("--ca"));
    old.runs().await.expect("the open connection continues");
}

#[tokio::test]
async fn invalid_files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    put(folder.path(), "ca.pem", &authority.root);
    let pair = authority.sign("localhost", Valid::Now);
    put_pair(folder.path(), "server", &pair);
    let refused = |file: &str, text: &str| {
        let before = std::fs::read_to_string(folder.path().join(file)).expect("a file");
        put(folder.path(), file, text);
        let error = Tls::open(files(folder.path(), ClientCerts::Required)).expect_err(file);
        put(folder.path(), file, &before);
        let error_text = error.to_string();
        assert!(error_text.contains(file) && !error_text.contains("PRIVATE"), "{error_text}");
        error
    };
    assert!(matches!(refused("server.pem", ""), TlsError::Content { .. }));
    assert!(matches!(refused("server.pem", &pair.1), TlsError::Content { .. }));
    assert!(matches!(refused("server.key", &pair.0), TlsError::Content { .. }));
    assert!(matches!(refused("server.key", &authority.sign("x", Valid::Now).1), TlsError::Pair { .. }));
    assert!(matches!(refused("ca.pem", "nonsense"), TlsError::Content { .. }));
    assert!(matches!(refused("ca.pem", &"x".repeat(2_000_000)), TlsError::Disk { .. }));
    std::fs::remove_file(folder.path().join("server.key")).expect("removed");
    assert!(matches!(Tls::open(files(folder.path(), ClientCerts::Ignored)), Err(TlsError::Disk { .. })));
    let trust = Trust { ca: Some(folder.path().join("nowhere.pem")), identity: None };
    let client = HubClient::with_options(&["https://localhost:1".to_owned()], trusting(trust));
    let error_text = client.expect_err("no file").to_string();
    assert!(error_text.contains("nowhere.pem") && error_text.contains("--ca"), "{error_text}");
}

/// Garbage that begins like a handshake, and a handshake that stops in the middle, do not affect other clients.
#[tokio::test]
async fn a_malformed_handshake_affects_no_other_connection() {
    let server = TlsHub::start("localhost", Valid::Now, ClientCerts::Ignored).await;
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection");
    silent.write_all(&[0x16, 3, 1]).await.expect("sent");
    for garbage in [&[0x16; 600][..], &[0x16, 3, 1, 0xff, 0xff], &[0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection");
        stream.write_all(garbage).await.expect("sent");
        stream.shutdown().await.expect("shut down");
        let mut answer = Vec::new();
        // the server may reset the connection
        let _ = within_deadline("the end of the connection", stream.read_to_end(&mut answer)).await;
        assert!(answer.len() < 100, "an alert at most");
    }
    assert_eq!(server.client(server.trust()).runs().await.expect("runs"), []);
}
