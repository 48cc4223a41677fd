//! Wheels: any bytes are a zip file whose files stay inside it, or an error.
#![no_main]

#[path = "../../tests/it/robust/wheel_claims.rs"]
mod wheel_claims;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wheel_claims::check_wheel(bytes);
});
