//! Loops forever.
//! with: cpu_ms=200
//! fails: limit: …processor limit of 200 ms…

#[bue::step]
fn loops(_canary: String, _port: u16) -> u64 {
    let mut number = 1_u64;
    while std::hint::black_box(number) != 0 {
        number = number.wrapping_mul(3);
    }
    number
}
