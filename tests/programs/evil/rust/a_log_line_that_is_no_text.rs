//! A log line that is not UTF-8.
//! fails: trap: …

#[link(wasm_import_module = "bue:step/host@0.1.0")]
unsafe extern "C" {
    #[link_name = "log"]
    fn log(text: *const u8, len: usize);
}

#[bue::step]
fn a_log_line_that_is_no_text(_canary: String, _port: u16) {
    let bytes = [0xff_u8; 64];
    // SAFETY: none; that is the point.
    unsafe { log(bytes.as_ptr(), bytes.len()) }
}
