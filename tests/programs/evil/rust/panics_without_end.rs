//! A panic with an endless message.
//! fails: trap: …

#[bue::step]
fn panics_without_end(_canary: String, _port: u16) {
    panic!("{}", "no ".repeat(10_000_000))
}
