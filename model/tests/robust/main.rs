//! Values and messages of strangers: any bytes are one or an error. `PROPTEST_CASES=100000` runs more cases, and
//! `PROPTEST_RNG_SEED=2` others; `fuzz/README.md` says how to search with a fuzzer.

mod cbor_claims;
mod message_claims;
mod seeds;

// a crate for it would depend on this one
#[path = "../../../tests/support/src/mutation.rs"]
mod mutation;

use mutation::{mutated, runner, write_seeds};

const CASES: u32 = 256;

#[test]
fn any_bytes_are_a_value_or_an_error() {
    let check = |bytes: Vec<u8>| {
        cbor_claims::check_cbor(&bytes);
        Ok(())
    };
    runner(CASES).run(&mutated(seeds::values()), check).expect("any bytes");
}

#[test]
fn any_bytes_are_a_message_or_an_error() {
    let check = |bytes: Vec<u8>| {
        message_claims::check_messages(&bytes);
        Ok(())
    };
    runner(CASES).run(&mutated(seeds::messages()), check).expect("any bytes");
}

/// Also writes them to the folder `BUE_SEEDS`, where a fuzzer begins.
#[test]
fn the_seeds_are_values_and_messages() {
    for bytes in seeds::values() {
        assert!(cbor_claims::check_cbor(&bytes), "{bytes:x?}");
    }
    for bytes in seeds::messages() {
        assert!(message_claims::check_messages(&bytes) > 0, "{bytes:x?}");
    }
    write_seeds("cbor", &seeds::values());
    write_seeds("messages", &seeds::messages());
}

/// Found by a fuzzer: a plan of the first version has fewer fields than it is written with.
#[test]
fn a_plan_of_the_first_version_is_a_message() {
    #[rustfmt::skip]
    let bytes = [
        16, 2, 0, 0, 0, 69, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 37, 0, 4,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0, 0, 37, 0, 0,
        0, 0, 0, 0, 0, 0, 47, 0, 37, 0, 0, 0, 0,
    ];
    assert!(message_claims::check_messages(&bytes) > 0);
}
