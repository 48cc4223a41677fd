//! Creates timers without waiting for them, as many as possible.
//! fails: …

use wasip2::clocks::monotonic_clock;

#[bue::step]
fn pollables_without_end(_canary: String, _port: u16) -> usize {
    let mut alarms = Vec::new();
    loop {
        alarms.push(monotonic_clock::subscribe_duration(1_000_000_000));
    }
}
