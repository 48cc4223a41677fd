//! Steps that exceed their limits, and steps that search for traces of others.

#[bue::step]
fn fill_memory() -> usize {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 1 << 20]);
        if all.len() > 1 << 20 {
            return all.len();
        }
    }
}

#[bue::step]
fn loop_for_ever() -> u64 {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
        if number == 0 {
            return number;
        }
    }
}

#[bue::step]
fn sleep_for_ever() {
    std::thread::sleep(std::time::Duration::from_secs(1_000_000));
}

#[bue::step]
fn flood() {
    loop {
        println!("{}", "x".repeat(10_000));
    }
}

#[bue::step]
fn recurse(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1).wrapping_add(here[3]) }
}

#[bue::step]
fn too_much() -> Vec<bue::Bytes> {
    (0..3).map(|_| bue::Bytes(vec![0; 1 << 20])).collect()
}

#[bue::step]
fn world() -> (usize, usize, bool, bool) {
    let file = std::fs::read("/etc/passwd").is_ok();
    let socket = std::net::TcpStream::connect("127.0.0.1:80").is_ok();
    (std::env::vars().count(), std::env::args().count(), file, socket)
}

/// Returns the number of calls of this instance: always 1, because each call has a fresh one.
#[bue::step]
fn calls_so_far() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Fills this many kibibytes with the pattern that [`patterns_left`] searches for.
#[bue::step]
fn leave_a_pattern(kib: usize) -> usize {
    let mut all = vec![0_u32; kib * 256];
    all.fill(pattern());
    std::hint::black_box(&all).len() / 256
}

/// Counts the words of the pattern in all memory that it can allocate.
#[bue::step]
fn patterns_left() -> usize {
    core::arch::wasm32::memory_grow::<0>(200);
    let words = core::arch::wasm32::memory_size::<0>() * (65_536 / 4);
    let pattern = pattern();
    // SAFETY: memory is readable from its first byte to its last, and nothing else runs.
    (1..words).filter(|word| unsafe { ((word * 4) as *const u32).read_volatile() } == pattern).count()
}

/// Computed, so that the pattern is not part of the code.
fn pattern() -> u32 {
    std::hint::black_box(0x53D3_53D3_u32) << 1 | 1
}
