//! Fills a hundred megabytes with the pattern that the next guest searches for.
//! gives: 100

#[bue::step]
fn leaves_a_pattern(_canary: String, _port: u16) -> usize {
    let all: Vec<Vec<u8>> = (0..100).map(|_| vec![0xA7; 1 << 20]).collect();
    std::hint::black_box(&all).len()
}
