//! Requests secrets that its script does not allow.
//! gives: [false,false,false]

#[bue::step]
fn secrets(canary: String, _port: u16) -> Vec<bool> {
    [canary.as_str(), "PATH", ""].iter().map(|name| bue::secret(name).is_ok()).collect()
}
