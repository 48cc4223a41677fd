//! Recurses deeper than any stack.
//! fails: …

#[bue::step]
fn recursion(_canary: String, _port: u16) -> u64 {
    deeper(1)
}

fn deeper(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { deeper(depth + 1).wrapping_add(here[3]) }
}
