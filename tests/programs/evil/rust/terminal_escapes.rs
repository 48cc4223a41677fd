//! Prints control sequences that would clear the screen of a reader of its log.
//! gives: null
//! log: …clear…

#[bue::step]
fn terminal_escapes(_canary: String, _port: u16) {
    println!("\u{1b}[2J\u{1b}]0;title\u{7}clear\u{9b}2J\r\u{8}");
}
