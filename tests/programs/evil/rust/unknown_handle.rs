//! Waits for a handle that it never had.
//! fails: trap: …

#[link(wasm_import_module = "wasi:io/poll@0.2.0")]
unsafe extern "C" {
    #[link_name = "[method]pollable.block"]
    fn block(handle: u32);
}

#[bue::step]
fn unknown_handle(_canary: String, _port: u16) {
    // SAFETY: none; that is the point.
    unsafe { block(0x7fff_fff0) }
}
