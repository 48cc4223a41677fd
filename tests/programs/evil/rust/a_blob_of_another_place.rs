//! Names of blobs that are paths, and the name of a blob that was never stored.
//! gives: [false,false,false,false]

#[bue::step]
fn a_blob_of_another_place(canary: String, _port: u16) -> Vec<bool> {
    let names = [canary, "../../etc/passwd".to_owned(), String::new(), "0".repeat(64)];
    names.iter().map(|name| bue::get_blob(name).is_ok()).collect()
}
