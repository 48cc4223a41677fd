//! Values: any bytes are a value or an error, and all ways to read them agree.
#![no_main]

#[path = "../../tests/robust/cbor_claims.rs"]
mod cbor_claims;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cbor_claims::check_cbor(bytes);
});
