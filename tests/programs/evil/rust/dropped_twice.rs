//! Drops a handle twice.
//! fails: trap: …

use wasip2::clocks::monotonic_clock;

#[link(wasm_import_module = "wasi:io/poll@0.2.0")]
unsafe extern "C" {
    #[link_name = "[resource-drop]pollable"]
    fn drop_pollable(handle: u32);
}

#[bue::step]
fn dropped_twice(_canary: String, _port: u16) {
    let handle = monotonic_clock::subscribe_duration(1).take_handle();
    // SAFETY: none the second time; that is the point.
    unsafe {
        drop_pollable(handle);
        drop_pollable(handle);
    }
}
