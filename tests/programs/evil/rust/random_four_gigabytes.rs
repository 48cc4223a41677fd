//! Requests more random bytes than there is memory.
//! fails: …

#[bue::step]
fn random_four_gigabytes(_canary: String, _port: u16) -> usize {
    wasip2::random::random::get_random_bytes(u64::from(u32::MAX)).len()
}
