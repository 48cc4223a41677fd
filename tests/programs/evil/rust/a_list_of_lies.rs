//! Polls a list of four billion handles, which would not fit into its memory.
//! fails: trap: …

#[link(wasm_import_module = "wasi:io/poll@0.2.0")]
unsafe extern "C" {
    #[link_name = "poll"]
    fn poll(list: *const u32, len: usize, result: *mut u32);
}

#[bue::step]
fn a_list_of_lies(_canary: String, _port: u16) {
    let mut result = [0_u32; 2];
    // SAFETY: none; that is the point.
    unsafe { poll(16 as *const u32, u32::MAX as usize, result.as_mut_ptr()) }
}
