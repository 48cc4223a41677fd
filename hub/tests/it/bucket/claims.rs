//! What is stored, and what is refused.

use std::pin::Pin;
use std::task::{Context, Poll};

use bue_client::ClientError;
use bue_model::{BlobHash, BlobRef};
use bue_test_support::wait::wait_until_async;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::{TestBucket, run};

/// Larger than a part of an upload to S3, and not a multiple of its size.
const LARGE: u32 = 17_000_001;

fn content(size: u32) -> Bytes {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn hash_of(bytes: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(bytes).as_bytes())
}

pub(super) async fn a_blob_comes_back_as_it_was(bucket: TestBucket) {
    for size in [0, 1, 65_536, 3_000_001, LARGE] {
        let content = content(size);
        let blob = bucket.client.put(run(1), content.clone()).await.expect("stored");
        assert_eq!(blob.len, u64::from(size));
        assert!(bucket.client.has(run(1), &blob.hash).await.expect("an answer"));
        assert_eq!(bucket.client.get(&blob).await.expect("the blob"), content);
        assert_eq!(bucket.client.put(run(2), content.clone()).await.expect("stored again"), blob);
        // without a run the bytes are sent and stored again
        assert_eq!(bucket.request("PUT", &format!("/v1/blobs/{}", blob.hash), &content).await.status, 200);
        assert_eq!(bucket.client.get(&blob).await.expect("the blob"), content);
    }
    assert_eq!(bucket.unfinished_uploads(), 0);
}

pub(super) async fn a_missing_blob_is_reported_as_missing(bucket: TestBucket) {
    let blob = BlobRef { hash: BlobHash([1; 32]), len: 5 };
    assert!(!bucket.client.has(run(1), &blob.hash).await.expect("an answer"));
    let missing = bucket.client.get(&blob).await.expect_err("nothing");
    assert!(
        matches!(&missing, ClientError::Refused { status: 404, code, .. } if code == "blob_not_found"),
        "{missing}"
    );
    expect_no_reference(&bucket);
}

/// A reference to nothing would be a file for each request, until a collection.
fn expect_no_reference(bucket: &TestBucket) {
    let names = bucket.names();
    assert!(!names.iter().any(|name| name.starts_with("refs")), "{names:?}");
}

pub(super) async fn a_blob_under_a_wrong_hash_is_not_kept(bucket: TestBucket) {
    let hash = BlobHash([1; 32]);
    for content in [Bytes::from_static(b"something else"), content(LARGE)] {
        for query in ["", "?run=00000000-0000-0000-0000-000000000009"] {
            let answer = bucket.request("PUT", &format!("/v1/blobs/{hash}{query}"), &content).await;
            assert_eq!(answer.status, 400);
            assert!(answer.body.contains("wrong_hash") && answer.body.contains("hint"), "{}", answer.body);
            assert_eq!(bucket.request("GET", &format!("/v1/blobs/{hash}"), b"").await.status, 404);
            // when the response arrives, nothing is left
            assert_eq!(bucket.unfinished_uploads(), 0);
            expect_no_reference(&bucket);
        }
    }
}

pub(super) async fn a_blob_damaged_on_the_disk_is_noticed(bucket: TestBucket) {
    let blob = bucket.client.put(run(1), Bytes::from_static(b"precious")).await.expect("stored");
    let name = blob.hash.to_string();
    std::fs::write(bucket.objects.join("blobs").join(&name[..2]).join(&name), "precioux").expect("damaged");
    assert!(matches!(bucket.client.get(&blob).await, Err(ClientError::Corrupt { .. })));
}

pub(super) async fn an_interrupted_upload_leaves_nothing(bucket: TestBucket) {
    let content = content(LARGE);
    let hash = hash_of(&content);
    let mut stream = TcpStream::connect(&bucket.address).await.expect("a connection");
    let head = format!("PUT /v1/blobs/{hash} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {LARGE}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&content[..10_000_000]).await.expect("sent");
    wait_until_async("the upload has started", async || bucket.unfinished_uploads() > 0).await;
    drop(stream);
    wait_until_async("the upload is removed", async || bucket.unfinished_uploads() == 0).await;
    assert_eq!(bucket.names(), Vec::<String>::new());
}

pub(super) async fn a_key_has_the_value_it_was_last_given(bucket: TestBucket) {
    let key = "reports/2026 käse?.csv";
    assert_eq!(bucket.value(key).await, None);
    let long: &'static [u8] = Box::leak(content(LARGE).to_vec().into_boxed_slice());
    for content in [&b"one"[..], b"", long, b"two"] {
        bucket.client.set_key(key, content, None).await.expect("set");
        assert!(bucket.value(key).await.as_deref() == Some(content), "{} bytes", content.len());
    }
    assert!(bucket.client.delete_key(key).await.expect("an answer"));
    assert!(!bucket.client.delete_key(key).await.expect("an answer"));
    assert_eq!(bucket.value(key).await, None);
    assert_eq!((bucket.unfinished_uploads(), bucket.names()), (0, vec![]));
}

pub(super) async fn a_key_expires_and_is_deleted(bucket: TestBucket) {
    for (key, expires) in [("short", Some(60)), ("longer", Some(60)), ("later", Some(60)), ("stays", None)] {
        bucket.client.set_key(key, &b"value"[..], expires).await.expect("set");
        assert_eq!(bucket.value(key).await.as_deref(), Some(&b"value"[..]));
    }
    bucket.client.set_key("longer", &b"value"[..], Some(600)).await.expect("set again");
    bucket.client.set_key("later", &b"value"[..], None).await.expect("set again");
    bucket.advance(59);
    assert!(bucket.value("short").await.is_some());
    bucket.advance(1);
    assert_eq!(bucket.value("short").await, None);
    assert!(!bucket.client.delete_key("longer2").await.expect("an answer"));
    // storing another key that expires wakes the bucket, whose clock has moved meanwhile
    bucket.client.set_key("another", &b"value"[..], Some(600)).await.expect("set");
    let count = |folder: &str| bucket.names().iter().filter(|name| name.starts_with(folder)).count();
    let is_deleted = async || (count("keys"), count("expiring")) == (4, 2);
    wait_until_async("the expired key is deleted", is_deleted).await;
    for key in ["longer", "later", "stays", "another"] {
        assert_eq!(bucket.value(key).await.as_deref(), Some(&b"value"[..]), "{key}");
    }
}

pub(super) async fn an_invalid_expiry_time_is_refused(bucket: TestBucket) {
    for time in ["0", "-1", "", "x", "3200000000", "99999999999999999999"] {
        let answer = bucket.request("PUT", &format!("/v1/keys/a?expires_s={time}"), b"x").await;
        assert_eq!(answer.status, 400, "{time}: {}", answer.body);
    }
    assert_eq!((bucket.unfinished_uploads(), bucket.names()), (0, vec![]));
}

pub(super) async fn a_value_that_breaks_off_is_not_stored(bucket: TestBucket) {
    struct Broken;
    impl AsyncRead for Broken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Err(std::io::Error::other("the disk is gone")))
        }
    }
    bucket.client.set_key("a", &b"old"[..], None).await.expect("set");
    let broken = bucket.client.set_key("a", tokio::io::AsyncReadExt::chain(&b"new"[..], Broken), None).await;
    assert!(broken.expect_err("broken").to_string().contains("the disk is gone"));
    assert_eq!(bucket.value("a").await.as_deref(), Some(&b"old"[..]));
}

/// What is refused leaves nothing; what is taken is one object below the root, whatever it is called.
pub(super) async fn no_key_is_stored_outside_the_root(bucket: TestBucket) {
    std::fs::write(bucket.folder.path().join("secret"), "secret").expect("a file");
    let long = "a".repeat(1025);
    let refused = [
        "/v1/keys/../secret",
        "/v1/keys/a/../../secret",
        "/v1/keys/..%2fsecret",
        "/v1/keys/..%5csecret",
        "/v1/keys/%2e%2e/secret",
        "/v1/keys/%2E%2E%2Fsecret",
        "/v1/keys/./secret",
        "/v1/keys//etc/passwd",
        "/v1/keys/%2fetc%2fpasswd",
        "/v1/keys/a//b",
        "/v1/keys/a/",
        "/v1/keys/",
        "/v1/keys/a%00b",
        "/v1/keys/a%0ab",
        "/v1/keys/a%7fb",
        "/v1/keys/%c2%85",
        "/v1/keys/%ff",
        "/v1/keys/%c0%ae%c0%ae/secret",
        "/v1/keys/%ed%a0%80",
        "/v1/keys/%",
        "/v1/keys/%2",
        "/v1/keys/%+2e",
        &format!("/v1/keys/{long}"),
        "/v1/blobs/../secret",
        "/v1/blobs/",
        "/v1/blobs/%2e%2e",
    ];
    for path in refused {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = bucket.request(method, path, b"x").await;
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
            assert!(!answer.body.contains("secret\n"), "{path}");
        }
    }
    assert_eq!(bucket.names().iter().filter(|name| *name != "secret").count(), 0);
    // these look suspicious but are ordinary names
    let taken = [
        "C:%3a",
        "...",
        "..a",
        "%252e%252e%252fsecret",
        "%e2%80%a5/a",
        "%ef%bc%8e%ef%bc%8e/a",
        "~root",
        "a%20b",
        "$HOME",
        "-rf",
        "%f0%9f%90%9d",
        "e%cc%81",
        "%c3%a9",
    ];
    for key in taken {
        assert_eq!(bucket.request("PUT", &format!("/v1/keys/{key}"), key.as_bytes()).await.status, 200, "{key}");
    }
    for key in taken {
        assert_eq!(bucket.request("GET", &format!("/v1/keys/{key}"), b"").await.body, key, "{key}");
    }
    let keys = bucket.names().into_iter().filter(|name| name.starts_with("keys/"));
    assert_eq!(keys.count(), taken.len());
    let folders = std::fs::read_dir(&bucket.objects).expect("a folder").flatten();
    let folders: Vec<_> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(
        folders.iter().all(|name| ["blobs", "keys", "part", "data", "secret"].contains(&name.as_str())),
        "{folders:?}"
    );
}

pub(super) async fn other_methods_and_routes_are_refused(bucket: TestBucket) {
    let hash = BlobHash([1; 32]);
    for (method, path, status) in [
        ("DELETE", format!("/v1/blobs/{hash}"), 405),
        ("POST", "/v1/keys/a".to_owned(), 405),
        ("GET", "/v1/other".to_owned(), 404),
        ("GET", "/v1/blobs/nohash".to_owned(), 400),
        ("HEAD", format!("/v1/blobs/{hash}?run=norun"), 400),
        ("PUT", format!("/v1/blobs/{hash}?run=norun"), 400),
        ("POST", "/v1/collections".to_owned(), 415),
        ("GET", "/healthz".to_owned(), 200),
        ("GET", "/readyz".to_owned(), 200),
        ("PUT", "/healthz".to_owned(), 405),
    ] {
        assert_eq!(bucket.request(method, &path, b"").await.status, status, "{method} {path}");
    }
}
