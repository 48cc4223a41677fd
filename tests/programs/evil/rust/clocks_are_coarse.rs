//! Looks for a clock that is finer than a millisecond.
//! gives: [true,true]

use wasip2::clocks::{monotonic_clock, wall_clock};

#[bue::step]
fn clocks_are_coarse(_canary: String, _port: u16) -> Vec<bool> {
    let steady = (0..1_000).all(|_| monotonic_clock::now().is_multiple_of(1_000_000));
    let wall = (0..1_000).all(|_| wall_clock::now().nanoseconds.is_multiple_of(1_000_000));
    vec![steady, wall]
}
