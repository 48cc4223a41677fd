//! Looks for a clock that is finer than a millisecond.
//! gives: [true,true]

use wasip2::clocks::{monotonic_clock, wall_clock};

#[bue::step]
fn clocks_are_coarse(_canary: String, _port: u16) -> Vec<bool> {
    let steady = (0..1_000).all(|_| monotonic_clock::now() % 1_000_000 == 0);
    let wall = (0..1_000).all(|_| wall_clock::now().nanoseconds % 1_000_000 == 0);
    vec![steady, wall]
}
