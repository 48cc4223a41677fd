//! Addresses of this machine and its neighbours, in all spellings.
//! gives: 0

#[bue::step]
fn origins(_canary: String, port: u16) -> usize {
    let hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "user@127.0.0.1",
        "127.0.0.1.",
        "LOCALHOST.",
    ];
    hosts.iter().filter(|host| bue::get(&format!("http://{host}:{port}/")).is_ok()).count()
}
