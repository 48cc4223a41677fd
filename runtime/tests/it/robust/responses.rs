//! Responses of servers: whatever arrives, the exchange ends, within its limits.

use std::cell::Cell;

use bue_test_support::mutation::{mutated, runner, write_seeds};

use super::response_claims::check_response;

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nx: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.0 302 Found\r\nlocation: http://169.254.169.254/\r\nset-cookie: a=b\r\n\r\nuntil the end",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\u{1f}\u{8b}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.push(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(90)).into_bytes());
    seeds.push([b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 120_000]].concat());
    seeds
}

#[test]
fn any_bytes_of_a_server_end_in_a_response_or_an_error() {
    write_seeds("response", &seeds());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let complete = Cell::new(0);
    let result = runner(200).run(&mutated(seeds()), |bytes| {
        complete.set(complete.get() + u32::from(runtime.block_on(check_response(&bytes))));
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.expect_err("a failing case"));
    assert!(complete.get() > 0, "no response was complete");
}
