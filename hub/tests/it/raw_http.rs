//! HTTP without our client: arbitrary bytes out, the response in pieces.

use bue_test_support::wait::within_deadline;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response, read without our client.
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends one request with an arbitrary body, on a separate connection.
pub(crate) async fn raw_request(
    address: &str,
    method: &str,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> RawResponse {
    raw_request_with(address, method, path, &[("content-type", content_type)], body).await
}

/// Sends one request with these headers and an arbitrary body, on a separate connection.
pub(crate) async fn raw_request_with(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> RawResponse {
    let (length, headers) = (body.len(), headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    let headers: String = headers.collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    send_bytes(address, &[head.as_bytes(), body].concat()).await
}

/// Sends arbitrary bytes on a separate connection and reads the response until the server closes it.
pub(crate) async fn send_bytes(address: &str, bytes: &[u8]) -> RawResponse {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // the server may answer, and close, before it has read everything
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    // a reset after the response is fine
    let _ = within_deadline("the end of the response", stream.read_to_end(&mut answer)).await;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let (head, body) = answer.split_at(end);
    let head = String::from_utf8_lossy(head).trim_end().to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = if head.contains("\r\ntransfer-encoding: chunked") { dechunked(body) } else { body.to_vec() };
    RawResponse { status, head, body: String::from_utf8_lossy(&body).into_owned() }
}

/// The content of a chunked body, up to where the connection ended.
fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(at) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        let length = std::str::from_utf8(&rest[..at]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let chunk = rest[at + 2..].get(..length.unwrap_or(0)).unwrap_or(&rest[at + 2..]);
        content.extend_from_slice(chunk);
        rest = rest[at + 2..].get(chunk.len() + 2..).unwrap_or_default();
    }
    content
}

/// The value of a line of `/metrics`, given by its name and labels.
pub(crate) async fn metric(address: &str, name: &str) -> Option<f64> {
    let response = raw_request(address, "GET", "/metrics", "", b"").await;
    assert!(response.status == 200 && response.head.contains("openmetrics-text"), "{}", response.head);
    assert!(response.body.ends_with("# EOF\n"), "{}", response.body);
    let value = response.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.parse().expect("a number"))
}
