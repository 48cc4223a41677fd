//! Slow and greedy clients, on time that is moved: each is waited for so long and no longer, has so much and no more, and the
//! others are served meanwhile.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bue_hub::{BlobStore, Bucket, Durability, Hub, Listener, SqliteStore, Tls, TlsFiles, serve_bucket, serve_hub};
use bue_model::BlobHash;
use bue_model::wire::{CONTENT_TYPE, ErrorBody};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use bue_test_support::authority::{Authority, Valid};

/// Bytes that are under way before a side has to wait for the other one.
const PIPE: usize = 16 * 1024;
/// Connections a server has at one time.
const ALL: usize = 4_096;
/// Connections of one address.
const SHARE: usize = 1_024;

/// Where connections come from in these tests.
struct Door {
    visitors: UnboundedReceiver<(IpAddr, DuplexStream)>,
    latest: Option<IpAddr>,
}

impl Listener for Door {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        let Some((address, stream)) = self.visitors.recv().await else { return std::future::pending().await };
        self.latest = Some(address);
        Ok(stream)
    }

    fn peer(&self, _: &DuplexStream) -> Option<IpAddr> {
        self.latest
    }
}

/// The street before a server.
struct Street(UnboundedSender<(IpAddr, DuplexStream)>);

impl Street {
    fn new() -> (Self, Door) {
        let (street, visitors) = unbounded_channel();
        (Self(street), Door { visitors, latest: None })
    }

    fn hub(tls: Option<Tls>) -> Self {
        let (street, door) = Self::new();
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        tokio::spawn(serve_hub(door, Hub::new(Arc::new(store)).with_tls(tls), std::future::pending()));
        street
    }

    fn bucket() -> (Self, TempDir) {
        let (street, door) = Self::new();
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(folder.path(), Durability::Off).expect("a store");
        tokio::spawn(serve_bucket(door, Bucket::from(blobs), std::future::pending()));
        (street, folder)
    }

    fn visit(&self, from: u32) -> DuplexStream {
        let (here, there) = duplex(PIPE);
        self.0.send((IpAddr::V4(from.into()), there)).expect("a server");
        here
    }

    /// Whether somebody else is answered, without any time going by.
    async fn serves(&self, from: u32) {
        let (began, mut stream) = (Instant::now(), self.visit(from));
        stream.write_all(b"GET /v1/info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(began.elapsed(), Duration::ZERO, "it had to wait");
    }
}

/// What still comes, until the end.
async fn rest(stream: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends some bytes again and again, until the server has had enough; how long that took, and what it said.
async fn trickle(stream: DuplexStream, piece: &'static [u8], every: Duration) -> (Duration, String) {
    let began = Instant::now();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let sending = async {
        while writing.write_all(piece).await.is_ok() {
            sleep(every).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = sending => { let _ = reading.read_to_end(&mut answer).await; }
        _ = reading.read_to_end(&mut answer) => {}
    }
    (began.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

fn between(took: Duration, least: u64, most: u64) {
    assert!((least..=most).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let street = Street::hub(None);
    let began = Instant::now();
    assert_eq!(rest(&mut street.visit(1)).await, "");
    between(began.elapsed(), 30, 30);
    // nor is one kept that had an answer and asks for nothing more
    let mut stream = street.visit(1);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let began = Instant::now();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
    between(began.elapsed(), 30, 30);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_not_waited_for() {
    let street = Street::hub(None);
    let mut stream = street.visit(1);
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.expect("sent");
    let (took, answer) = trickle(stream, b"x: y\r\n", Duration::from_secs(1)).await;
    between(took, 30, 31);
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_trickles_is_not_waited_for() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let pair = authority.sign("localhost", Valid::Now);
    std::fs::write(&certificate, pair.0).expect("a file");
    std::fs::write(&key, pair.1).expect("a file");
    let street = Street::hub(Some(Tls::open(TlsFiles { certificate, key, client_ca: None }).expect("certificates")));
    let mut stream = street.visit(1);
    // the head of a message of 512 bytes
    stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await.expect("sent");
    let (took, _) = trickle(stream, &[0], Duration::from_secs(1)).await;
    between(took, 10, 11);
    let began = Instant::now();
    assert_eq!(rest(&mut street.visit(1)).await, "");
    between(began.elapsed(), 10, 10);
}

/// On both servers; and a line that is slow but goes on is waited for.
#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_refused_and_one_that_goes_on_is_not() {
    let hub = Street::hub(None);
    let (bucket, folder) = Street::bucket();
    for (street, head) in [
        (&hub, format!("POST /v1/outcomes HTTP/1.1\r\ncontent-type: {CONTENT_TYPE}\r\n")),
        (&hub, format!("POST /v1/runs HTTP/1.1\r\ncontent-type: {CONTENT_TYPE}\r\n")),
        (&bucket, "PUT /v1/keys/a HTTP/1.1\r\n".to_owned()),
        (&bucket, format!("PUT /v1/blobs/{} HTTP/1.1\r\n", BlobHash([1; 32]))),
    ] {
        let mut stream = street.visit(1);
        let head = format!("{head}host: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let (took, answer) = trickle(stream, b"x", Duration::from_millis(900)).await;
        between(took, 30, 31);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let error: ErrorBody = serde_json::from_str(body).expect("the one shape of errors");
        assert!(error.error.code == "slow_body" && !error.error.hint.is_empty(), "{body}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("part")).expect("a folder").count(), 0, "nothing is left of it");
    let mut stream = bucket.visit(1);
    let head = "PUT /v1/keys/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 400000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let began = Instant::now();
    for _ in 0..400 {
        stream.write_all(&[7; 1_000]).await.expect("it is waited for");
        sleep(Duration::from_millis(800)).await;
    }
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() > Duration::from_secs(300));
}

/// The answer is larger than what the pipe holds.
#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_given_up() {
    let (bucket, _folder) = Street::bucket();
    let mut stream = bucket.visit(1);
    let head = "PUT /v1/keys/a HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n";
    stream.write_all(&[head.as_bytes(), &vec![7; 4_000_000]].concat()).await.expect("sent");
    stream.write_all(b"GET /v1/keys/a HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let began = Instant::now();
    sleep(Duration::from_secs(60)).await;
    let taken = rest(&mut stream).await;
    assert!(taken.len() < 2 * PIPE, "{} bytes", taken.len());
    between(began.elapsed(), 60, 60);
}

#[tokio::test(start_paused = true)]
async fn many_slow_clients_do_not_stop_the_others() {
    let street = Street::hub(None);
    let mut slow = Vec::new();
    for from in 0..3_000 {
        let mut stream = street.visit(from / 500);
        stream.write_all(b"POST /v1/leases HTTP/1.1\r\ncontent-length: 9\r\n").await.expect("sent");
        if from % 2 == 0 {
            stream
                .write_all(format!("content-type: {CONTENT_TYPE}\r\nhost: x\r\n\r\n").as_bytes())
                .await
                .expect("sent");
        }
        slow.push(stream);
    }
    street.serves(77).await;
    let began = Instant::now();
    for mut stream in slow {
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    between(began.elapsed(), 30, 61);
    street.serves(77).await;
}

/// One address takes all it can; the others still come in. All that is closed is given back.
#[tokio::test(start_paused = true)]
async fn an_address_has_its_share_of_connections_and_no_more() {
    let street = Street::hub(None);
    let mut kept: Vec<_> = (0..SHARE).map(|_| street.visit(1)).collect();
    assert_eq!(rest(&mut street.visit(1)).await, "", "closed at once");
    street.serves(2).await;
    kept.pop();
    tokio::task::yield_now().await;
    street.serves(1).await;
    drop(kept);
    tokio::task::yield_now().await;
    street.serves(1).await;
}

/// Those who come when all places are taken wait until one is free.
#[tokio::test(start_paused = true)]
async fn connections_are_counted_together_too() {
    let street = Street::hub(None);
    let mut kept: Vec<_> = (0..ALL as u32).map(|at| street.visit(at / 500)).collect();
    let mut late = street.visit(99);
    late.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut byte = [0; 12];
    let early = tokio::time::timeout(Duration::from_secs(5), late.read_exact(&mut byte)).await;
    assert!(early.is_err(), "it is not served yet");
    kept.pop();
    assert!(rest(&mut late).await.starts_with("HTTP/1.1 200"));
}
