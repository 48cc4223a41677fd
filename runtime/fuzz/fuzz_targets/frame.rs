//! Frames between a worker and its sandbox hosts: any bytes are a frame or an error.
#![no_main]

use bue_runtime::frame_claims;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    frame_claims::check_frame(bytes);
});
