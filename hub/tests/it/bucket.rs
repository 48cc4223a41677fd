//! The bucket, over HTTP with the real client and with bare requests.

use std::pin::Pin;
use std::task::{Context, Poll};

use bue_client::{BucketClient, ClientError};
use bue_hub::{BlobStore, Durability, serve_bucket};
use bue_model::{BlobHash, BlobRef};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpListener;

use crate::http::{Bare, raw};

/// A bucket on port 0.
struct Bucket {
    folder: TempDir,
    address: String,
    client: BucketClient,
}

impl Bucket {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(folder.path(), Durability::Full).expect("a store");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(serve_bucket(listener, blobs, std::future::pending()));
        let client = BucketClient::new(&address).expect("a client");
        Self { folder, address, client }
    }

    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Bare {
        raw(&self.address, method, path, "application/octet-stream", body).await
    }

    async fn value(&self, key: &str) -> Option<Vec<u8>> {
        let mut download = self.client.get_key(key).await.expect("an answer")?;
        let mut all = Vec::new();
        while let Some(piece) = download.next().await.expect("a piece") {
            all.extend_from_slice(&piece);
        }
        Some(all)
    }

    fn half_written(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("part")).expect("a folder").count()
    }
}

#[tokio::test]
async fn a_blob_comes_back_as_it_was() {
    let bucket = Bucket::start().await;
    for size in [0, 1, 65_536, 3_000_001] {
        let content = Bytes::from((0..size).map(|at: u32| (at % 251) as u8).collect::<Vec<_>>());
        let blob = bucket.client.put(content.clone()).await.expect("stored");
        assert_eq!(blob.len, u64::from(size));
        assert!(bucket.client.has(&blob.hash).await.expect("an answer"));
        assert_eq!(bucket.client.get(&blob).await.expect("the blob"), content);
        assert_eq!(bucket.client.put(content).await.expect("stored again"), blob);
    }
    assert_eq!(bucket.half_written(), 0);
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_said_to_be_missing() {
    let bucket = Bucket::start().await;
    let blob = BlobRef { hash: BlobHash([1; 32]), len: 5 };
    assert!(!bucket.client.has(&blob.hash).await.expect("an answer"));
    let missing = bucket.client.get(&blob).await.expect_err("nothing");
    assert!(
        matches!(&missing, ClientError::Refused { status: 404, code, .. } if code == "blob_not_found"),
        "{missing}"
    );
}

#[tokio::test]
async fn a_blob_under_a_wrong_hash_is_not_kept() {
    let bucket = Bucket::start().await;
    let hash = BlobHash([1; 32]);
    let answer = bucket.ask("PUT", &format!("/v1/blobs/{hash}"), b"something else").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("wrong_hash") && answer.body.contains("hint"), "{}", answer.body);
    assert!(!bucket.client.has(&hash).await.expect("an answer"));
    assert_eq!(bucket.half_written(), 0);
}

#[tokio::test]
async fn a_blob_damaged_on_the_disk_is_noticed() {
    let bucket = Bucket::start().await;
    let blob = bucket.client.put(Bytes::from_static(b"precious")).await.expect("stored");
    let name = blob.hash.to_string();
    let path = bucket.folder.path().join("blobs").join(&name[..2]).join(&name);
    std::fs::write(path, "precioux").expect("damaged");
    assert!(matches!(bucket.client.get(&blob).await, Err(ClientError::Damaged { .. })));
}

#[tokio::test]
async fn a_key_has_the_value_it_was_last_given() {
    let bucket = Bucket::start().await;
    let key = "reports/2026 käse?.csv";
    assert_eq!(bucket.value(key).await, None);
    let long: &'static [u8] = Box::leak("long ".repeat(300_000).into_bytes().into_boxed_slice());
    for content in [&b"one"[..], b"", long, b"two"] {
        bucket.client.set_key(key, content).await.expect("set");
        assert_eq!(bucket.value(key).await.as_deref(), Some(content));
    }
    assert!(bucket.client.delete_key(key).await.expect("an answer"));
    assert!(!bucket.client.delete_key(key).await.expect("an answer"));
    assert_eq!(bucket.value(key).await, None);
    assert_eq!(bucket.half_written(), 0);
}

#[tokio::test]
async fn a_value_that_cannot_be_read_to_its_end_is_not_kept() {
    struct Broken;
    impl AsyncRead for Broken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Err(std::io::Error::other("the disk is gone")))
        }
    }
    let bucket = Bucket::start().await;
    bucket.client.set_key("a", &b"old"[..]).await.expect("set");
    let broken = bucket.client.set_key("a", tokio::io::AsyncReadExt::chain(&b"new"[..], Broken)).await;
    assert!(broken.expect_err("broken").to_string().contains("the disk is gone"));
    assert_eq!(bucket.value("a").await.as_deref(), Some(&b"old"[..]));
}

#[test]
fn a_folder_serves_one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = BlobStore::open(folder.path(), Durability::Full).expect("a store");
    let refused = BlobStore::open(folder.path(), Durability::Full).expect_err("a refusal").to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    drop(first);
    BlobStore::open(folder.path(), Durability::Full).expect("it is free again");
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let bucket = Bucket::start().await;
    std::fs::write(bucket.folder.path().join("secret"), "secret").expect("a file");
    for path in [
        "/v1/keys/../secret",
        "/v1/keys/..%2fsecret",
        "/v1/keys/%2e%2e/secret",
        "/v1/keys//etc/passwd",
        "/v1/keys/",
        "/v1/keys/a%00b",
        "/v1/keys/%ff",
        "/v1/blobs/../secret",
        "/v1/blobs/",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = bucket.ask(method, path, b"x").await;
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
            assert!(!answer.body.contains("secret\n"), "{path}");
        }
    }
    let names: Vec<_> = std::fs::read_dir(bucket.folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("one").file_name())
        .collect();
    assert_eq!(names.len(), 3, "only `blobs`, `part` and our own file: {names:?}");
}

#[tokio::test]
async fn other_methods_and_routes_are_refused() {
    let bucket = Bucket::start().await;
    let hash = BlobHash([1; 32]);
    for (method, path, status) in [
        ("DELETE", format!("/v1/blobs/{hash}"), 405),
        ("POST", "/v1/keys/a".to_owned(), 405),
        ("GET", "/v1/other".to_owned(), 404),
        ("GET", "/v1/blobs/nohash".to_owned(), 400),
        ("GET", "/healthz".to_owned(), 200),
        ("PUT", "/healthz".to_owned(), 405),
    ] {
        assert_eq!(bucket.ask(method, &path, b"").await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn half_a_blob_is_thrown_away() {
    use tokio::io::AsyncWriteExt;
    let bucket = Bucket::start().await;
    let hash = BlobHash(*blake3::hash(&[0; 1000]).as_bytes());
    let mut stream = tokio::net::TcpStream::connect(&bucket.address).await.expect("a connection");
    let head = format!("PUT /v1/blobs/{hash} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&[0; 500]).await.expect("sent");
    while bucket.half_written() == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while bucket.half_written() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!bucket.client.has(&hash).await.expect("an answer"));
}
