//! Reads, writes, lists and links files.
//! gives: [false,false,false,false,false,false,false,false]

use std::fs;

#[bue::step]
fn files(canary: String, _port: u16) -> Vec<bool> {
    vec![
        fs::read(&canary).is_ok(),
        fs::write(&canary, "x").is_ok(),
        fs::read_dir("/").is_ok(),
        fs::read_dir(".").is_ok(),
        fs::File::open("/proc/self/environ").is_ok(),
        fs::hard_link(&canary, "/tmp/link").is_ok(),
        fs::create_dir_all("a/../../b").is_ok(),
        !wasip2::filesystem::preopens::get_directories().is_empty(),
    ]
}
