//! Writes more to its output than `check-write` permitted.
//! fails: …

#[bue::step]
fn writes_before_it_may(_canary: String, _port: u16) -> bool {
    let out = wasip2::cli::stdout::get_stdout();
    (0..100).all(|_| out.write(&vec![b'x'; 8 << 20]).is_ok())
}
