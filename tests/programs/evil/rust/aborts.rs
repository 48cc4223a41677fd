//! Aborts.
//! fails: trap: …

#[bue::step]
fn aborts(_canary: String, _port: u16) {
    std::process::abort()
}
