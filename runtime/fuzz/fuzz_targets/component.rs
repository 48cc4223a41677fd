//! Compiled steps: any bytes are one, or there is a problem that can be shown.
#![no_main]

#[path = "../../tests/it/robust/component_claims.rs"]
mod component_claims;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    component_claims::check_component(bytes);
});
