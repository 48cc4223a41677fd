//! Bodies of any length in both directions, which are never held in memory.

use bue_model::net::{Body, Completion, NetErrorKind, Operation, Request};
use bue_runtime::Limits;
use bytes::Bytes;

use super::server::{Seen, serve};
use super::step::{Step, get, header, post};

const MIB: usize = 1 << 20;

/// Bytes that may be in transit between server and step: buffers of both sides and of the system.
const BETWEEN: usize = 16 * MIB;

#[tokio::test]
async fn a_body_of_64_mib_comes_in_as_it_is_read() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    let (exchange, response) = step.response(get(&format!("http://{server}"), &format!("/bytes/{}", 64 * MIB))).await;
    let (mut len, mut last) = (response.body.len(), response.last);
    while !last {
        let (bytes, end) = step.read(exchange).await.expect("a body");
        (len, last) = (len + bytes.len(), end);
        let ahead = seen.passed().saturating_sub(len);
        assert!(ahead < BETWEEN, "{ahead} bytes are held somewhere");
    }
    assert_eq!(len, 64 * MIB);
}

/// Writes a body in pieces and returns the response's text.
async fn upload(step: &mut Step, seen: &Seen, request: Request, pieces: usize, piece: &Bytes) -> String {
    let exchange = step.start(Operation::Request(request));
    let before = seen.passed();
    for index in 0..pieces {
        let last = index + 1 == pieces;
        let completion = step.complete(Operation::Write { exchange, bytes: piece.clone(), last }).await;
        assert_eq!(completion, Completion::Written);
        let ahead = ((index + 1) * piece.len()).saturating_sub(seen.passed() - before);
        assert!(ahead < BETWEEN, "{ahead} bytes are held somewhere");
    }
    match step.wait(exchange).await {
        Completion::Response(response) => String::from_utf8_lossy(&response.body).into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_body_of_64_mib_goes_out_as_it_is_taken() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    let piece = Bytes::from(vec![b'y'; MIB / 4]);
    let request = post(&format!("http://{server}"), "/count", Body::Streamed);
    assert_eq!(upload(&mut step, &seen, request.clone(), 256, &piece).await, (64 * MIB).to_string());
    let measured = Request { headers: vec![header("content-length", &MIB.to_string())], ..request };
    assert_eq!(upload(&mut step, &seen, measured, 4, &piece).await, MIB.to_string());
}

#[tokio::test]
async fn an_aborted_body_does_not_look_complete() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    let request = post(&format!("http://{server}"), "/count", Body::Streamed);
    let exchange = step.start(Operation::Request(request));
    let bytes = Bytes::from_static(b"part");
    assert_eq!(step.complete(Operation::Write { exchange, bytes, last: false }).await, Completion::Written);
    step.close(exchange);
    seen.wait_for_closed(1).await;
}

#[tokio::test]
async fn a_step_that_is_dropped_ends_its_exchanges() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    for path in ["/hang", "/hang", "/bytes/100000000"] {
        step.start(Operation::Request(get(&format!("http://{server}"), path)));
    }
    for _ in 0..500 {
        if seen.connections() == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(step);
    seen.wait_for_closed(3).await;
}

#[tokio::test]
async fn invalid_operations_are_reported() {
    let (server, _) = serve().await;
    let mut step = Step::to(server);
    let closed =
        |completion: &Completion| matches!(completion, Completion::Failed(error) if error.kind == NetErrorKind::Closed);
    assert!(closed(&step.complete(Operation::Read { exchange: 99, max: 1, timeout_ms: None }).await));
    let exchange = step.start(Operation::Request(get(&format!("http://{server}"), "/hang")));
    let write = Operation::Write { exchange, bytes: Bytes::from_static(b"x"), last: true };
    assert!(closed(&step.complete(write).await), "it has no body");
    let first = step.start(Operation::Read { exchange, max: 1, timeout_ms: None });
    assert!(closed(&step.complete(Operation::Read { exchange, max: 1, timeout_ms: None }).await), "one read at a time");
    step.close(exchange);
    assert_ne!(first, exchange);
}

#[tokio::test]
async fn limits_are_named_with_their_values() {
    let (server, _) = serve().await;
    let origin = format!("http://{server}");
    let limits = Limits {
        net_exchanges: 2,
        net_headers: 5,
        net_header_bytes: 2000,
        net_up_bytes: 100,
        net_down_bytes: 1000,
        ..Limits::default()
    };
    let cases: [(Request, &[&str]); 5] = [
        (
            Request { headers: vec![header("x", "y"); 6], ..get(&origin, "/echo") },
            &["6 headers", "limit of 5", "net_headers"],
        ),
        (Request { headers: vec![header("x", &"y".repeat(3000))], ..get(&origin, "/echo") }, &["net_header_bytes"]),
        (get(&origin, "/headers/10"), &["response", "net_headers"]),
        (post(&origin, "/count", Body::Whole(vec![0; 101].into())), &["100 bytes", "net_up_bytes"]),
        (get(&origin, "/bytes/5000"), &["1000 bytes", "net_down_bytes"]),
    ];
    for (request, words) in cases {
        let error = Step::limited(server, &limits).failure(request).await;
        assert_eq!(error.kind, NetErrorKind::Limit, "{error:?}");
        for word in words {
            assert!(error.message.contains(word), "{word} is not in {}", error.message);
        }
    }
    let mut step = Step::limited(server, &limits);
    for _ in 0..2 {
        step.start(Operation::Request(get(&origin, "/hang")));
    }
    assert!(step.failure(get(&origin, "/echo")).await.message.contains("net_exchanges"));
}
