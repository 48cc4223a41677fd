//! Slow and greedy clients, in simulated time: each runs into its timeout or limit exactly, and the others are served meanwhile.

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bue_hub::{BlobStore, Bucket, Durability, Hub, Listener, SqliteStore, Tls, TlsFiles, serve_bucket, serve_hub};
use bue_model::BlobHash;
use bue_model::wire::{CONTENT_TYPE, ErrorBody};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use bue_test_support::authority::{Authority, Valid};

/// Bytes that one side can send before the other side reads.
const PIPE_BUFFER: usize = 16 * 1024;
/// Connections of a server.
const MAX_CONNECTIONS: usize = 4_096;
/// Connections per address.
const MAX_PER_ADDRESS: usize = 1_024;

/// Accepts connections that a [`TestServer`] opens.
struct TestListener {
    connections: UnboundedReceiver<(IpAddr, DuplexStream)>,
    latest: Option<IpAddr>,
}

impl Listener for TestListener {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        let Some((address, stream)) = self.connections.recv().await else { return std::future::pending().await };
        self.latest = Some(address);
        Ok(stream)
    }

    fn peer(&self, _: &DuplexStream) -> Option<IpAddr> {
        self.latest
    }
}

/// A server, reached through pipes from any address.
struct TestServer(UnboundedSender<(IpAddr, DuplexStream)>);

impl TestServer {
    fn new() -> (Self, TestListener) {
        let (sender, connections) = unbounded_channel();
        (Self(sender), TestListener { connections, latest: None })
    }

    fn hub(tls: Option<Tls>) -> Self {
        let (server, listener) = Self::new();
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        tokio::spawn(serve_hub(listener, Hub::new(Arc::new(store)).with_tls(tls), std::future::pending()));
        server
    }

    fn bucket() -> (Self, TempDir) {
        let (server, listener) = Self::new();
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(folder.path(), Durability::Off).expect("a store");
        tokio::spawn(serve_bucket(listener, Bucket::from(blobs), std::future::pending()));
        (server, folder)
    }

    fn connect(&self, from: u32) -> DuplexStream {
        let (here, there) = duplex(PIPE_BUFFER);
        self.0.send((IpAddr::V4(from.into()), there)).expect("a server");
        here
    }

    /// Asserts that a request from an address is answered at once, in simulated time.
    async fn expect_served(&self, from: u32) {
        let (started_at, mut stream) = (Instant::now(), self.connect(from));
        stream.write_all(b"GET /v1/info HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(started_at.elapsed(), Duration::ZERO, "it had to wait");
    }
}

/// Reads until the server closes the connection.
async fn read_to_end(stream: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a piece again and again until the server closes the connection. Returns how long that took, and its response.
async fn trickle(stream: DuplexStream, piece: &'static [u8], interval: Duration) -> (Duration, String) {
    let started_at = Instant::now();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sending = async {
        while writing.write_all(piece).await.is_ok() {
            sleep(interval).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = sending => { let _ = reading.read_to_end(&mut answer).await; }
        _ = reading.read_to_end(&mut answer) => {}
    }
    (started_at.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

/// Asserts a duration in simulated time, in whole seconds.
fn expect_seconds(elapsed: Duration, expected: RangeInclusive<u64>) {
    assert!(expected.contains(&elapsed.as_secs()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let server = TestServer::hub(None);
    let started_at = Instant::now();
    assert_eq!(read_to_end(&mut server.connect(1)).await, "");
    expect_seconds(started_at.elapsed(), 30..=30);
    // and so is one that had a response and sends no further request
    let mut stream = server.connect(1);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let started_at = Instant::now();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
    expect_seconds(started_at.elapsed(), 30..=30);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_times_out() {
    let server = TestServer::hub(None);
    let mut stream = server.connect(1);
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.expect("sent");
    let (took, answer) = trickle(stream, b"x: y\r\n", Duration::from_secs(1)).await;
    expect_seconds(took, 30..=31);
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_trickles_times_out() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let pair = authority.sign("localhost", Valid::Now);
    std::fs::write(&certificate, pair.0).expect("a file");
    std::fs::write(&key, pair.1).expect("a file");
    let server =
        TestServer::hub(Some(Tls::open(TlsFiles { certificate, key, client_ca: None }).expect("certificates")));
    let mut stream = server.connect(1);
    // the head of a message of 512 bytes
    stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await.expect("sent");
    let (took, _) = trickle(stream, &[0], Duration::from_secs(1)).await;
    expect_seconds(took, 10..=11);
    let started_at = Instant::now();
    assert_eq!(read_to_end(&mut server.connect(1)).await, "");
    expect_seconds(started_at.elapsed(), 10..=10);
}

/// On both servers.
#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_refused_and_a_slow_steady_one_is_not() {
    let hub = TestServer::hub(None);
    let (bucket, folder) = TestServer::bucket();
    for (server, head) in [
        (&hub, format!("POST /v1/outcomes HTTP/1.1\r\ncontent-type: {CONTENT_TYPE}\r\n")),
        (&hub, format!("POST /v1/runs HTTP/1.1\r\ncontent-type: {CONTENT_TYPE}\r\n")),
        (&bucket, "PUT /v1/keys/a HTTP/1.1\r\n".to_owned()),
        (&bucket, format!("PUT /v1/blobs/{} HTTP/1.1\r\n", BlobHash([1; 32]))),
    ] {
        let mut stream = server.connect(1);
        let head = format!("{head}host: localhost\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let (took, answer) = trickle(stream, b"x", Duration::from_millis(900)).await;
        expect_seconds(took, 30..=31);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let error: ErrorBody = serde_json::from_str(body).expect("the one shape of errors");
        assert!(error.error.code == "slow_body" && !error.error.hint.is_empty(), "{body}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("part")).expect("a folder").count(), 0, "no file is left");
    let mut stream = bucket.connect(1);
    let head = "PUT /v1/keys/a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 400000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let started_at = Instant::now();
    for _ in 0..400 {
        stream.write_all(&[7; 1_000]).await.expect("the server keeps reading");
        sleep(Duration::from_millis(800)).await;
    }
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert!(started_at.elapsed() > Duration::from_secs(300));
}

/// The reply is larger than the pipe's buffer.
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_not_read_is_given_up() {
    let (bucket, _folder) = TestServer::bucket();
    let mut stream = bucket.connect(1);
    let head = "PUT /v1/keys/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n";
    stream.write_all(&[head.as_bytes(), &vec![7; 4_000_000]].concat()).await.expect("sent");
    stream.write_all(b"GET /v1/keys/a HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let started_at = Instant::now();
    sleep(Duration::from_secs(60)).await;
    let taken = read_to_end(&mut stream).await;
    assert!(taken.len() < 2 * PIPE_BUFFER, "{} bytes", taken.len());
    expect_seconds(started_at.elapsed(), 60..=60);
}

#[tokio::test(start_paused = true)]
async fn many_slow_clients_do_not_stop_the_others() {
    let server = TestServer::hub(None);
    let mut slow = Vec::new();
    for from in 0..3_000 {
        let mut stream = server.connect(from / 500);
        stream.write_all(b"POST /v1/leases HTTP/1.1\r\ncontent-length: 9\r\n").await.expect("sent");
        if from % 2 == 0 {
            stream
                .write_all(format!("content-type: {CONTENT_TYPE}\r\nhost: localhost\r\n\r\n").as_bytes())
                .await
                .expect("sent");
        }
        slow.push(stream);
    }
    server.expect_served(77).await;
    let started_at = Instant::now();
    for mut stream in slow {
        let answer = read_to_end(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    expect_seconds(started_at.elapsed(), 30..=61);
    server.expect_served(77).await;
}

/// Sends a request whose reply never ends, so that the connection is never idle.
async fn stay_busy(connection: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    connection.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    connection.read_exact(&mut [0; 12]).await.expect("a reply");
}

/// One address takes all connections it can get; others are still served. Closed connections are free again.
#[tokio::test(start_paused = true)]
async fn an_address_has_its_share_of_connections_and_no_more() {
    let server = TestServer::hub(None);
    let mut kept: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| server.connect(1)).collect();
    for connection in &mut kept {
        stay_busy(connection).await;
    }
    assert_eq!(read_to_end(&mut server.connect(1)).await, "", "closed at once");
    server.expect_served(2).await;
    kept.pop();
    tokio::task::yield_now().await;
    server.expect_served(1).await;
    drop(kept);
    tokio::task::yield_now().await;
    server.expect_served(1).await;
}

/// Connections that do nothing cannot lock others out: the oldest of them gives way.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_gives_way_when_all_are_taken() {
    let server = TestServer::hub(None);
    let mut kept: Vec<_> = (0..MAX_CONNECTIONS as u32).map(|at| server.connect(at / 500)).collect();
    let mut late = server.connect(99);
    late.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
    assert!(read_to_end(&mut late).await.starts_with("HTTP/1.1 200"));
    assert_eq!(read_to_end(&mut kept[0]).await, "", "the oldest was closed");
    kept[1].write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
    assert!(read_to_end(&mut kept[1]).await.starts_with("HTTP/1.1 200"), "no other was");
}

#[tokio::test(start_paused = true)]
async fn the_total_number_of_connections_is_limited_too() {
    let server = TestServer::hub(None);
    let mut kept: Vec<_> = (0..MAX_CONNECTIONS as u32).map(|at| server.connect(at / 500)).collect();
    for connection in &mut kept {
        stay_busy(connection).await;
    }
    let mut late = server.connect(99);
    late.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut start = [0; 12];
    // in simulated time this returns when every task is idle, so it depends on no machine
    let early = tokio::time::timeout(Duration::from_secs(5), late.read_exact(&mut start)).await;
    assert!(early.is_err(), "the server has no free connection");
    kept.pop();
    assert!(read_to_end(&mut late).await.starts_with("HTTP/1.1 200"));
}
