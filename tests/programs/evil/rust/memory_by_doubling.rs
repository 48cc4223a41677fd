//! Allocates twice as much memory, again and again.
//! fails: limit: …memory limit of 256 MiB…

#[bue::step]
fn memory_by_doubling(_canary: String, _port: u16) -> usize {
    let mut all = vec![1_u8];
    loop {
        all.extend_from_within(..);
    }
}
