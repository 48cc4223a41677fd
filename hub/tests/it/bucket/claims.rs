//! What is stored, and what is refused.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bue_client::ClientError;
use bue_model::{BlobHash, BlobRef, Timestamp};
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

pub(super) async fn a_range_of_a_value_is_returned_with_its_version(bucket: TestBucket) {
    let content = content(300_000);
    let part = async |offset, max, version: Option<&str>| bucket.client.get_key_part("a", offset, max, version).await;
    assert_eq!(part(0, 10, None).await.expect("an answer"), None);
    bucket.client.put_key("a", content.clone(), None).await.expect("set");
    let mut read = Vec::new();
    let mut version = None::<String>;
    while read.len() < content.len() {
        let next = part(read.len() as u64, 70_000, version.as_deref()).await.expect("an answer").expect("a part");
        assert_eq!(next.length, content.len() as u64);
        assert!(version.is_none_or(|version| version == next.version), "one version");
        read.extend_from_slice(&next.bytes);
        version = Some(next.version);
    }
    assert!(read == content, "the parts are the value");
    let old = version.expect("a version");
    assert_eq!(part(299_999, 10, Some(&old)).await.expect("an answer").expect("a part").bytes, content[299_999..]);
    let refused = part(300_000, 10, None).await.expect_err("a refusal");
    assert!(matches!(&refused, ClientError::Refused { status: 416, .. }), "{refused}");

    // another value of the same length
    bucket.client.put_key("a", vec![0; 300_000].into(), None).await.expect("set again");
    let changed = part(0, 10, Some(&old)).await.expect_err("a refusal");
    assert!(matches!(&changed, ClientError::Refused { status: 412, code, .. } if code == "value_changed"), "{changed}");
    assert_ne!(part(0, 10, None).await.expect("an answer").expect("a part").version, old);

    bucket.client.put_key("a", Bytes::new(), Some(60)).await.expect("set again");
    let empty = part(0, 10, None).await.expect("an answer").expect("a value");
    assert_eq!((empty.bytes.len(), empty.length), (0, 0));
    bucket.advance(60);
    assert_eq!(part(0, 10, None).await.expect("an answer"), None, "it has expired");

    // what is no single range of bytes is answered with the whole value
    bucket.client.put_key("a", Bytes::from_static(b"value"), None).await.expect("set");
    for range in ["bytes=0-1,3-4", "bytes=-2", "lines=0-1", "bytes=x-y", "bytes=3-1", "bytes=0-18446744073709551615"] {
        let answer = bucket.request_with_headers("GET", "/v1/keys/a", &format!("range: {range}\r\n")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "value"), "{range}");
    }
    for (range, body, shown) in
        [("bytes=1-", "alue", "1-4/5"), ("bytes=4-9", "e", "4-4/5"), ("bytes=0-0", "v", "0-0/5")]
    {
        let answer = bucket.request_with_headers("GET", "/v1/keys/a", &format!("range: {range}\r\n")).await;
        assert_eq!((answer.status, answer.body.as_str()), (206, body), "{range}");
        assert!(answer.head.contains(&format!("content-range: bytes {shown}\r\n")), "{}", answer.head);
    }
}

pub(super) async fn a_value_is_made_of_the_parts_of_an_upload(bucket: TestBucket) {
    let content = content(LARGE);
    let (first, second) = (bucket.client.start_upload().await, bucket.client.start_upload().await);
    let (upload, other) = (first.expect("an id"), second.expect("an id"));
    assert_ne!(upload, other);
    let pieces: Vec<Bytes> = content.chunks(3_000_000).map(Bytes::copy_from_slice).collect();
    let parts = u32::try_from(pieces.len()).expect("few");
    for (part, piece) in (0..).zip(&pieces) {
        bucket.client.put_part(upload, part, piece.clone()).await.expect("stored");
        bucket.client.put_part(other, part, Bytes::from_static(b"other")).await.expect("stored");
    }
    // a part that is sent again replaces the first one
    bucket.client.put_part(upload, 0, pieces[0].clone()).await.expect("stored");
    assert_eq!(bucket.value("a").await, None, "nothing has the name yet");
    // whoever does not know whether it was done may repeat it
    for expires_s in [Some(60), None] {
        bucket.client.put_key_from_parts("a", upload, parts, expires_s).await.expect("stored");
        assert!(bucket.value("a").await.as_deref() == Some(&content[..]), "{expires_s:?}");
    }
    for upload in [upload, other, other] {
        bucket.client.delete_parts(upload, parts).await.expect("deleted");
    }
    assert!(bucket.value("a").await.as_deref() == Some(&content[..]), "the value does not need the parts");
    assert!(bucket.client.delete_key("a").await.expect("an answer"));
    let names = bucket.names();
    assert!(names.iter().all(|name| name.starts_with("expiring/")), "{names:?}");
}

pub(super) async fn parts_that_are_missing_or_invalid_are_refused(bucket: TestBucket) {
    let upload = bucket.client.start_upload().await.expect("an id");
    bucket.client.put_key("a", Bytes::from_static(b"old"), None).await.expect("set");
    bucket.client.put_part(upload, 0, Bytes::from_static(b"new")).await.expect("stored");
    bucket.client.put_part(upload, 2, Bytes::from_static(b"new")).await.expect("stored");
    let missing = bucket.client.put_key_from_parts("a", upload, 3, None).await.expect_err("a refusal");
    assert!(matches!(&missing, ClientError::Refused { code, .. } if code == "part_not_found"), "{missing}");
    assert!(missing.to_string().contains("send all parts"), "{missing}");
    // no key names a part
    for (method, path, status) in [
        ("PUT", format!("/v1/uploads/{upload}"), 400),
        ("PUT", format!("/v1/uploads/{upload}?part=65536"), 400),
        ("PUT", format!("/v1/uploads/{upload}?part=-1"), 400),
        ("PUT", "/v1/uploads/x?part=0".to_owned(), 400),
        ("DELETE", format!("/v1/uploads/{upload}"), 400),
        ("DELETE", format!("/v1/uploads/{upload}?parts=65537"), 400),
        ("PUT", format!("/v1/keys/a?upload={upload}"), 400),
        ("PUT", format!("/v1/keys/a?upload={upload}&parts=0"), 400),
        ("PUT", "/v1/keys/a?parts=1".to_owned(), 400),
        ("PUT", "/v1/keys/a?upload=x&parts=1".to_owned(), 400),
        ("PUT", format!("/v1/keys/a?upload={upload}&parts=1"), 413),
        ("GET", format!("/v1/keys/%00part/{upload}/0"), 400),
    ] {
        let answer = bucket.request(method, &path, b"body").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
    assert_eq!(bucket.value("a").await.as_deref(), Some(&b"old"[..]));
    assert_eq!(bucket.unfinished_uploads(), 0);
    bucket.advance(2 * 24 * 60 * 60);
    let expired = bucket.client.put_key_from_parts("a", upload, 1, None).await.expect_err("a refusal");
    assert!(matches!(&expired, ClientError::Refused { code, .. } if code == "part_not_found"), "{expired}");
    // storing a key that expires wakes the bucket, whose clock has moved meanwhile
    bucket.client.put_key("b", Bytes::new(), Some(60)).await.expect("set");
    let is_deleted = async || bucket.names().iter().filter(|name| name.starts_with("keys/")).count() == 2;
    wait_until_async("the parts are deleted", is_deleted).await;
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
        folders.iter().all(|name| {
            let name = name.split('.').next().unwrap_or_default();
            ["blobs", "keys", "names", "part", "data", "secret"].contains(&name)
        }),
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

/// Returns all keys with a prefix, a page of this size at a time, and the number of pages.
async fn listed(bucket: &TestBucket, prefix: &str, limit: u32) -> (Vec<String>, u32) {
    let (mut keys, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = bucket.client.keys(prefix, &after, limit).await.expect("a page");
        assert!(page.keys.len() <= limit as usize);
        keys.extend(page.keys.into_iter().map(|value| value.key));
        pages += 1;
        match page.next {
            Some(next) => after = next,
            None => return (keys, pages),
        }
    }
}

async fn set(bucket: &TestBucket, key: &str, value: &[u8], expires_s: Option<u64>) {
    bucket.client.put_key(key, Bytes::copy_from_slice(value), expires_s).await.expect("stored");
}

pub(super) async fn values_are_listed_by_the_beginning_of_their_names(bucket: TestBucket) {
    // as long as names may be
    let long = |end: char| format!("long/{}{end}", "ä".repeat((bucket.max_name - 6) / 2));
    let (one, other) = (long('1'), long('2'));
    let names = ["a", "a/b", "a/b/c", "ab", "b/käse %?&#", "b/😀", &one, &other, "z"];
    for name in names {
        set(&bucket, name, name.as_bytes(), None).await;
    }
    assert_eq!(listed(&bucket, "", 100).await, (names.map(str::to_owned).to_vec(), 1));
    for limit in 1..=4 {
        let (keys, pages) = listed(&bucket, "", limit).await;
        assert_eq!(keys, names);
        assert!(pages >= 9 / limit, "{pages}");
    }
    for (prefix, expected) in [
        ("a", &names[..4]),
        ("a/", &names[1..3]),
        ("b/k", &names[4..5]),
        ("long/ä", &names[6..8]),
        (&one, &names[6..7]),
        ("a/b/c/d", &[]),
        ("none", &[]),
    ] {
        assert_eq!(listed(&bucket, prefix, 100).await.0, expected, "{prefix}");
    }
    let page = bucket.client.keys("a/", "a/b", 10).await.expect("a page");
    let found: Vec<_> = page.keys.iter().map(|value| (value.key.as_str(), value.bytes, value.expires_at)).collect();
    assert_eq!((found, page.next), (vec![("a/b/c", 5, None)], None));
}

pub(super) async fn values_that_are_gone_are_not_listed(bucket: TestBucket) {
    set(&bucket, "kept", b"1", None).await;
    set(&bucket, "deleted", b"12", None).await;
    set(&bucket, "expires", b"123", Some(60)).await;
    let expires_at = Some(Timestamp(bucket.now.load(Ordering::Relaxed) + 60_000));
    let page = bucket.client.keys("", "", 10).await.expect("a page");
    let found: Vec<_> = page.keys.iter().map(|value| (value.key.as_str(), value.bytes, value.expires_at)).collect();
    assert_eq!(found, [("deleted", 2, None), ("expires", 3, expires_at), ("kept", 1, None)]);
    assert!(bucket.client.delete_key("deleted").await.expect("an answer"));
    assert_eq!(listed(&bucket, "", 10).await.0, ["expires", "kept"]);
    bucket.advance(61);
    assert_eq!(listed(&bucket, "", 1).await.0, ["kept"], "whether its bytes are collected yet or not");
    set(&bucket, "expires", b"1234", None).await;
    set(&bucket, "deleted", b"12345", None).await;
    assert_eq!(listed(&bucket, "", 10).await.0, ["deleted", "expires", "kept"]);
}

/// A list removes names that have no value; one of them may be about to get one.
pub(super) async fn a_value_that_is_stored_while_others_list_is_listed(bucket: TestBucket) {
    for round in 0..bucket.rounds {
        let key = format!("key/{round}");
        let list = async { listed(&bucket, "key/", 10).await };
        let store = async {
            set(&bucket, &key, b"1", None).await;
            bucket.client.delete_key(&key).await.expect("an answer");
            set(&bucket, &key, b"2", None).await;
        };
        tokio::join!(store, list, async { listed(&bucket, "", 10).await });
        assert!(listed(&bucket, "key/", 100).await.0.contains(&key), "round {round}");
    }
}

pub(super) async fn a_list_with_invalid_parameters_is_refused(bucket: TestBucket) {
    for query in ["limit=0", "limit=1001", "limit=x", "prefix=%00", "after=%0a", "prefix=%ff", "other=1"] {
        let answer = bucket.request("GET", &format!("/v1/keys?{query}"), b"").await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
    let long = "x".repeat(1_025);
    assert_eq!(bucket.request("GET", &format!("/v1/keys?prefix={long}"), b"").await.status, 400);
    let answer = bucket.request("GET", "/v1/keys", b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"keys":[],"next":null}"#));
}
