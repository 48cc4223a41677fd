//! Messages: any bytes are a message of each type or an error.
#![no_main]

#[path = "../../tests/robust/message_claims.rs"]
mod message_claims;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    message_claims::check_messages(bytes);
});
