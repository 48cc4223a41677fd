//! Allocates the whole 32-bit address space, in one call and piece by piece.
//! gives: true

use core::arch::wasm32::{memory_grow, memory_size};

#[bue::step]
fn memory_all_at_once(_canary: String, _port: u16) -> bool {
    let refused = memory_grow::<0>(65_535) == usize::MAX;
    while memory_grow::<0>(16) != usize::MAX {}
    refused && memory_size::<0>() <= 4_096
}
