//! Responses of servers: whatever arrives over a real connection, the exchange ends, within its limits.
#![no_main]

#[path = "../../tests/it/robust/response_claims.rs"]
mod response_claims;

thread_local! {
    static TOKIO: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    TOKIO.with(|tokio| tokio.block_on(response_claims::check_response(bytes)));
});
