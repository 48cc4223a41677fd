//! The heads of requests as the Python guest reads them.

#[path = "../../../guest-sdk/python/src/request_head.rs"]
mod head;

use head::{BodyLen, Head, is_framing, plain_value};

fn body(head: &str) -> Result<BodyLen, String> {
    Head::parse(head.as_bytes()).expect("a complete head").body_len()
}

#[test]
fn a_head_is_read_as_written() {
    let bytes = b"POST /a b HTTP/1.1\r\nHost:  x \r\nX-Long: one\r\n\t two\r\nEmpty:\r\n\r\nrest";
    let head = Head::parse(bytes).expect("a complete head");
    assert_eq!((head.method.as_str(), head.target.as_str(), head.len), ("POST", "/a b", bytes.len() - 4));
    let headers: Vec<(&str, &[u8])> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
    assert_eq!(headers, [("Host", b"x".as_slice()), ("X-Long", b"one two"), ("Empty", b"")]);
    assert!(Head::parse(b"GET / HTTP/1.1\r\nHost: x\r\n").is_none());
}

#[test]
fn the_length_of_a_body_is_known_or_an_error() {
    assert_eq!(body("GET / HTTP/1.1\r\n\r\n"), Ok(BodyLen::Whole(0)));
    assert_eq!(body("POST / HTTP/1.1\r\ncontent-LENGTH: 5\r\n\r\n"), Ok(BodyLen::Whole(5)));
    assert_eq!(body("POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n"), Ok(BodyLen::Streamed(1_048_577)));
    assert_eq!(
        body("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: Chunked\r\n\r\n"),
        Ok(BodyLen::Streamed(-1))
    );
    assert!(body("POST / HTTP/1.1\r\nContent-Length: five\r\n\r\n").is_err());
}

#[test]
fn plain_headers_are_those_that_http_client_sends_as_they_are() {
    let plain = [("Accept", "a, b"), ("X", " \x0b\t\u{e9}\u{a0} \x0c"), ("a b", ""), ("X", "\0")];
    let values = plain.map(|(name, value)| plain_value(name, value).expect("a plain header"));
    assert_eq!(values, [b"a, b".to_vec(), b"\xe9\xa0".to_vec(), Vec::new(), b"\0".to_vec()]);
    for (name, value) in
        [("", "a"), (" X", "a"), ("\x0bX", "a"), ("X:", "a"), ("X\r", "a"), ("X\n", "a"), ("\u{e9}", "a")]
    {
        assert_eq!(plain_value(name, value), None, "{name:?}");
    }
    for value in ["a\r\n b", "a\n", "\ra", "\u{20ac}"] {
        assert_eq!(plain_value("X", value), None, "{value:?}");
    }
    assert!(is_framing("Content-Length") && is_framing("EXPECT") && !is_framing("Content-Type"));
}
