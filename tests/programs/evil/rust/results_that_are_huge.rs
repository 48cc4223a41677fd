//! A result larger than its limit.
//! with: result_bytes=1048576
//! fails: limit: …result limit of 1 MiB…

#[bue::step]
fn results_that_are_huge(_canary: String, _port: u16) -> Vec<bue::Bytes> {
    (0..3).map(|_| bue::Bytes(vec![0; 1 << 20])).collect()
}
