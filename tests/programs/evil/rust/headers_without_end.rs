//! A request whose headers are larger than any server would read.
//! fails: trap: …too much data is being copied between the host and the guest…

#[bue::step]
fn headers_without_end(_canary: String, _port: u16) -> bool {
    let mut request = bue::Request::new("GET", "http://example.com/");
    for number in 0..100_000 {
        request = request.header(&format!("x-{number}"), "y".repeat(1_000));
    }
    request.send().is_ok()
}
