//! Servers that send invalid, slow, endless or no responses: each costs only its own exchange.

use std::time::Duration;

use bue_model::net::{NetErrorKind, Request};
use bue_test_support::wait::within_deadline;

use super::server::{listen, serve, serve_bytes};
use super::step::{Step, get};

/// A server sends this, and the exchange fails with this kind of error: not with that of its timeout.
async fn expect(pieces: Vec<Vec<u8>>, kind: NetErrorKind) {
    let text = format!("{:?}", pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect::<Vec<_>>());
    let (server, _) = serve_bytes(pieces, Duration::from_millis(1)).await;
    let mut step = Step::to(server);
    let exchange = step.start(bue_model::net::Operation::Request(get(&format!("http://{server}"), "/")));
    let error = match step.wait(exchange).await {
        bue_model::net::Completion::Failed(error) => error,
        bue_model::net::Completion::Response(response) => {
            assert!(!response.last, "{text}: {response:?}");
            loop {
                match step.read(exchange).await {
                    Ok((_, last)) => assert!(!last, "{text}"),
                    Err(error) => break error,
                }
            }
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(error.kind, kind, "{}: {error:?}", text.chars().take(200).collect::<String>());
}

#[tokio::test]
async fn an_invalid_response_is_an_error() {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let with = |rest: &str| vec![[head.clone(), rest.as_bytes().to_vec()].concat()];
    for (pieces, kind) in [
        (vec![], NetErrorKind::Reset),
        (vec![b"HTTP/1.1 200".to_vec()], NetErrorKind::Reset),
        (vec![b"SSH-2.0-server\r\n\r\n".to_vec()], NetErrorKind::Protocol),
        (with("bad header\r\n\r\n"), NetErrorKind::Protocol),
        (
            vec![b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n".to_vec()],
            NetErrorKind::Protocol,
        ),
        (with("content-length: 10\r\n\r\nabc"), NetErrorKind::Reset),
        (with("content-length: 1\r\ncontent-length: 2\r\n\r\nabc"), NetErrorKind::Protocol),
        (with("content-length: x\r\n\r\nabc"), NetErrorKind::Protocol),
        (with("transfer-encoding: chunked\r\n\r\n5\r\nab"), NetErrorKind::Reset),
        (with("transfer-encoding: chunked\r\n\r\nzz\r\nab"), NetErrorKind::Protocol),
        (with("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nab"), NetErrorKind::Protocol),
        (with(&format!("x: {}\r\n\r\n", "y".repeat(40_000))), NetErrorKind::Limit),
        (with(&format!("x: {}\r\n\r\n", "y".repeat(1_000_000))), NetErrorKind::Limit),
        (with(&"x: y\r\n".repeat(2000)), NetErrorKind::Limit),
    ] {
        expect(pieces, kind).await;
    }
}

/// RFC 9112, 6.3: the chunks count, and the step must not see another length.
#[tokio::test]
async fn a_length_beside_chunks_is_removed() {
    for length in ["0", "2", "5", "500"] {
        for (first, second) in [("Content-Length", "Transfer-Encoding"), ("Transfer-Encoding", "Content-Length")] {
            let value = |name| if name == "Content-Length" { length } else { "chunked" };
            let head = format!("HTTP/1.1 200 OK\r\n{first}: {}\r\n{second}: {}\r\n\r\n", value(first), value(second));
            let pieces = vec![format!("{head}5\r\nhel").into_bytes(), b"lo\r\n0\r\n\r\n".to_vec()];
            let (server, _) = serve_bytes(pieces, Duration::from_millis(1)).await;
            let (response, body) = Step::to(server).whole(get(&format!("http://{server}"), "/")).await;
            assert_eq!(body, b"hello", "{head}");
            assert!(response.headers.iter().all(|(name, _)| name != "content-length"), "{head}{response:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    let request = Request { read_timeout_ms: Some(200), ..get(&format!("http://{server}"), "/hang") };
    let kind = within_deadline("the timeout of a server that says nothing", step.kind(request)).await;
    assert_eq!(kind, NetErrorKind::ReadTimeout);
    seen.wait_for_closed(1).await;
}

#[tokio::test]
async fn a_server_that_drips_its_head_times_out() {
    let pieces = b"HTTP/1.1 200 OK\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n";
    let (server, seen) = serve_bytes(pieces.iter().map(|byte| vec![*byte]).collect(), Duration::from_millis(50)).await;
    let request = Request { read_timeout_ms: Some(300), ..get(&format!("http://{server}"), "/") };
    assert_eq!(Step::to(server).kind(request).await, NetErrorKind::ReadTimeout);
    seen.wait_for_closed(1).await;
}

#[tokio::test]
async fn a_body_that_stops_is_left_in_time() {
    let pieces = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc".to_vec();
    let (server, _) = serve_bytes(vec![pieces, b"d".to_vec()], Duration::from_secs(20)).await;
    let mut step = Step::to(server);
    let (exchange, response) = step.response(get(&format!("http://{server}"), "/")).await;
    assert!(b"abc".starts_with(&response.body) && !response.last);
    let mut rest = Vec::from(response.body);
    let error = loop {
        let read = bue_model::net::Operation::Read { exchange, max: 10, timeout_ms: Some(200) };
        match step.complete(read).await {
            bue_model::net::Completion::Data { bytes, .. } => rest.extend_from_slice(&bytes),
            bue_model::net::Completion::Failed(error) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((rest.as_slice(), error.kind), (b"abcd".get(..rest.len()).expect("no more"), NetErrorKind::ReadTimeout));
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let (listener, server) = listen().await;
    drop(listener);
    let error = Step::to(server).failure(get(&format!("http://{server}"), "/")).await;
    assert_eq!(error.kind, NetErrorKind::Refused, "{error:?}");
    assert!(error.message.contains(&server.to_string()), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_for_https() {
    let (server, _) = serve_bytes(vec![b"hello".to_vec()], Duration::ZERO).await;
    let request = Request { connect_timeout_ms: Some(500), ..get(&format!("https://{server}"), "/") };
    let kind = Step::to(server).kind(request).await;
    assert!(matches!(kind, NetErrorKind::Tls | NetErrorKind::ConnectTimeout | NetErrorKind::Reset), "{kind:?}");
}

#[tokio::test]
async fn other_exchanges_are_not_affected() {
    let flood = vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'z'; 50 << 20]];
    let (flooding, _) = serve_bytes(flood, Duration::ZERO).await;
    let (server, _) = serve().await;
    let (mut victim, mut other) = (Step::to(flooding), Step::to(server));
    let (_, response) = victim.response(get(&format!("http://{flooding}"), "/")).await;
    assert!(!response.last);
    for _ in 0..20 {
        let (response, _) = other.whole(get(&format!("http://{server}"), "/status/200")).await;
        assert_eq!(response.status, 200);
    }
}
