//! Ordinary requests: what is sent, what comes back, what stays unchanged.

use std::time::Duration;

use bue_model::net::{Body, NetErrorKind, Operation, Request};
use bue_runtime::Limits;
use bytes::Bytes;

use super::server::{serve, serve_bytes};
use super::step::{Step, egress, get, header, permissions, post};

#[tokio::test]
async fn a_request_arrives_unchanged() {
    let (server, _) = serve().await;
    let mut step = Step::to(server);
    let origin = format!("http://{server}");
    let request = Request {
        headers: vec![
            header("X-One", "1"),
            header("x-two", "2"),
            header("X-One", "again"),
            header("Host", "elsewhere"),
        ],
        ..get(&origin, "/echo/../a//b?q=%2F&r=1")
    };
    let (_, body) = step.whole(request).await;
    let text = String::from_utf8(body).expect("text");
    assert!(text.starts_with("GET /echo/../a//b?q=%2F&r=1\n"), "the path is sent as it is: {text}");
    let request = Request {
        headers: vec![header("X-One", "1"), header("X-One", "again"), header("Host", "elsewhere"), header("TE", "x")],
        ..post(&origin, "/echo/a//b?q=%2F", Body::Whole(Bytes::from_static(b"hello")))
    };
    let (response, body) = step.whole(request).await;
    let text = String::from_utf8(body).expect("text");
    assert_eq!((response.status, response.version, response.reason.as_str()), (200, 11, "OK"));
    let expected = [
        "POST /echo/a//b?q=%2F\n",
        "x-one: 1\n",
        "x-one: again\n",
        &format!("host: {server}\n"),
        "content-length: 5\n",
        "\n\nhello",
    ];
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("elsewhere") && !text.contains("te: x"), "{text}");
}

#[tokio::test]
async fn a_request_names_the_span_of_its_step() {
    let (server, _) = serve().await;
    let (rule, span) = (server.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let mut permissions = permissions(&[&rule]);
    permissions.trace = Some(span.parse().expect("a span"));
    let mut step = Step::new(egress(&[&rule]).port(&permissions, &Limits::default()));
    for (headers, expected) in [(Vec::new(), span), (vec![header("TraceParent", "mine")], "mine")] {
        let (_, body) = step.whole(Request { headers, ..get(&format!("http://{server}"), "/echo") }).await;
        let text = String::from_utf8(body).expect("text");
        let values: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("traceparent: ")).collect();
        assert_eq!(values, [expected], "{text}");
    }
}

#[tokio::test]
async fn a_small_response_takes_one_operation() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    for _ in 0..5 {
        let (_, response) = step.response(get(&format!("http://{server}"), "/status/200")).await;
        assert!(response.last, "{response:?}");
    }
    assert_eq!(seen.connections(), 1, "the connection is kept");
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    let (server, _) = serve().await;
    let mut step = Step::to(server);
    let origin = format!("http://{server}");
    for status in [204, 304] {
        let (response, body) = step.whole(get(&origin, &format!("/status/{status}"))).await;
        assert_eq!((response.status, body.len()), (status, 0));
    }
    let (response, body) = step.whole(Request { method: "HEAD".to_owned(), ..get(&origin, "/gzip") }).await;
    assert_eq!((response.status, body.len()), (200, 0));
    assert!(response.headers.iter().any(|(name, value)| name == "content-length" && value.as_ref() == b"17"));
}

#[tokio::test]
async fn nothing_is_decompressed_and_nothing_is_followed() {
    let (server, _) = serve().await;
    let mut step = Step::to(server);
    let origin = format!("http://{server}");
    let (response, body) = step.whole(get(&origin, "/gzip")).await;
    assert_eq!(body, b"not really zipped");
    assert!(response.headers.contains(&header("content-encoding", "gzip")));
    let (response, _) = step.whole(get(&origin, "/redirect")).await;
    assert_eq!(response.status, 302);
}

#[tokio::test]
async fn interim_responses_are_skipped() {
    let pieces = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 Fine\r\ncontent-length: 2\r\n\r\nok";
    let (server, _) = serve_bytes(vec![pieces.to_vec()], Duration::ZERO).await;
    let (response, body) = Step::to(server).whole(get(&format!("http://{server}"), "/")).await;
    assert_eq!((response.status, response.reason.as_str(), body.as_slice()), (200, "Fine", b"ok".as_slice()));
}

#[tokio::test]
async fn two_hundred_exchanges_run_concurrently() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    let request = get(&format!("http://{server}"), "/together/200");
    let tickets: Vec<_> = (0..200).map(|_| step.start(Operation::Request(request.clone()))).collect();
    for ticket in tickets {
        let completion = step.wait(ticket).await;
        assert!(
            matches!(&completion, bue_model::net::Completion::Response(response) if response.status == 200),
            "{completion:?}"
        );
    }
    assert_eq!(seen.connections(), 200);
}

#[tokio::test]
async fn an_invalid_request_is_refused_before_it_is_sent() {
    let (server, seen) = serve().await;
    let mut step = Step::to(server);
    let origin = format!("http://{server}");
    let good = get(&origin, "/echo");
    let with = |name: &str, value: &str| Request { headers: vec![header(name, value)], ..good.clone() };
    for bad in [
        Request { method: "CONNECT".to_owned(), ..good.clone() },
        Request { method: "GET /x HTTP/1.1\r\nx: y".to_owned(), ..good.clone() },
        Request { method: String::new(), ..good.clone() },
        get(&origin, "echo"),
        get(&origin, "http://elsewhere/"),
        get(&origin, "/a b"),
        get(&origin, "/a\r\nx: y"),
        get(&origin, "/a#b"),
        get(&format!("http://user:word@{server}"), "/"),
        get(&format!("http://{server}/path"), "/"),
        get(&format!("http://{server}?q"), "/"),
        get(&format!("ftp://{server}"), "/"),
        get("http://", "/"),
        get("", "/"),
        with("x\r\ny", "1"),
        with("", "1"),
        with("x", "1\r\ny: 2"),
        with("x", "1\n2"),
        with("x", "1\0"),
        with("content-length", "-1"),
        Request { headers: vec![header("content-length", "1"), header("content-length", "2")], ..good.clone() },
    ] {
        let pieces = format!("{bad:?}");
        assert_eq!(step.kind(bad).await, NetErrorKind::BadRequest, "{pieces}");
    }
    assert_eq!(seen.connections(), 0);
}
