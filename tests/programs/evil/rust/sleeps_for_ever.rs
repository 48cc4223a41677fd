//! Waits for the longest possible time.
//! with: time_ms=300
//! fails: limit: …time limit of 300 ms…

#[bue::step]
fn sleeps_for_ever(_canary: String, _port: u16) {
    std::thread::sleep(std::time::Duration::MAX);
}
