//! Searches all memory that it can allocate for the pattern of another instance.
//! gives: 0

#[bue::step]
fn looks_for_a_pattern(_canary: String, _port: u16) -> usize {
    // one byte of it in its own code would be no sign; four in a row are
    let pattern = std::hint::black_box(0x53D3_53D3_u32) << 1 | 1;
    core::arch::wasm32::memory_grow::<0>(1_800);
    let words = core::arch::wasm32::memory_size::<0>() * (65_536 / 4);
    // SAFETY: memory is readable from its first byte to its last, and nothing else runs.
    (1..words).filter(|word| unsafe { ((word * 4) as *const u32).read_volatile() } == pattern).count()
}
