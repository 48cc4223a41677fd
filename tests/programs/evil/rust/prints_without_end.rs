//! Prints without end.
//! with: output_bytes=1048576
//! fails: limit: …output limit of 1 MiB…

#[bue::step]
fn prints_without_end(_canary: String, _port: u16) {
    loop {
        println!("{}", "x".repeat(10_000));
    }
}
