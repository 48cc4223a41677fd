//! Exits without an answer.
//! fails: …

#[bue::step]
fn exits(_canary: String, _port: u16) {
    std::process::exit(0)
}
