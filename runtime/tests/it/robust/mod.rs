//! Bytes of strangers: wheels, modules and responses of servers. Any bytes are accepted or an error.
//!
//! `PROPTEST_CASES=100000` runs more cases, and `PROPTEST_RNG_SEED=2` others; `fuzz/README.md` says how to search with a fuzzer.
//! The claims are files of their own, which the fuzzer's targets include.

mod component_claims;
mod components;
mod response_claims;
mod responses;
mod wheel_claims;
mod wheels;
