//! Starts processes.
//! gives: [false,false]

#[bue::step]
fn processes(_canary: String, _port: u16) -> Vec<bool> {
    let thread = std::thread::Builder::new().spawn(|| ()).is_ok();
    let process = std::process::Command::new("/bin/sh").arg("-c").arg("id").spawn().is_ok();
    vec![thread, process]
}
