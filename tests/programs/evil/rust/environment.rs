//! Reads its arguments and environment.
//! gives: [0,0,false,true,0]

use std::io::Read;

#[bue::step]
fn environment(_canary: String, _port: u16) -> (usize, usize, bool, bool, usize) {
    let mut given = Vec::new();
    let read = std::io::stdin().read_to_end(&mut given).unwrap_or_default();
    let home = std::env::var_os("HOME").is_none() && std::env::var_os("PATH").is_none();
    (std::env::vars_os().count(), std::env::args_os().count(), std::env::current_exe().is_ok(), home, read)
}
