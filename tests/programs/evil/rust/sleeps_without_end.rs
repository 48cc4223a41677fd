//! Waits for zero time, again and again.
//! with: cpu_ms=200
//! fails: limit: …

use wasip2::clocks::monotonic_clock;

#[bue::step]
fn sleeps_without_end(_canary: String, _port: u16) {
    loop {
        monotonic_clock::subscribe_duration(0).block();
    }
}
