//! A log line that begins at the end of memory.
//! fails: trap: …

#[link(wasm_import_module = "bue:step/host@0.1.0")]
unsafe extern "C" {
    #[link_name = "log"]
    fn log(text: *const u8, len: usize);
}

#[bue::step]
fn a_log_line_out_of_bounds(_canary: String, _port: u16) {
    // SAFETY: none; that is the point.
    unsafe { log(0xffff_fff0_u32 as *const u8, 4_000_000) }
}
