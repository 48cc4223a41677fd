//! Values and messages of strangers: any bytes are one or an error. `PROPTEST_CASES=100000` runs more cases, and
//! `PROPTEST_RNG_SEED=2` others; `fuzz/README.md` says how to search with a fuzzer.

mod cbor_claims;
mod message_claims;
mod seeds;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;

/// The same cases in every run, unless `PROPTEST_RNG_SEED` is set.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let rng_seed = if asked.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { asked.rng_seed };
    ProptestConfig { rng_seed, failure_persistence: None, ..asked }
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Replace(at, with) => {
                let at = at.index(bytes.len());
                bytes[at] = *with;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                let at = from.max(to);
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// One of these, or a few changes to it, or anything.
fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let mutation = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, with)| Mutation::Replace(at, with)),
        any::<Index>().prop_map(Mutation::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..12)).prop_map(|(at, more)| Mutation::Insert(at, more)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ];
    let changed = (select(seeds), vec(mutation, 0..5)).prop_map(|(mut bytes, mutations)| {
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        bytes
    });
    prop_oneof![8 => changed, 1 => vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in mutated(seeds::values())) {
        cbor_claims::check_cbor(&bytes);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in mutated(seeds::messages())) {
        message_claims::check_messages(&bytes);
    }
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
    if let Some(folder) = std::env::var_os("BUE_SEEDS") {
        write(Path::new(&folder).join("cbor").as_path(), &seeds::values());
        write(Path::new(&folder).join("messages").as_path(), &seeds::messages());
    }
}

fn write(folder: &Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (index, bytes) in seeds.iter().enumerate() {
        std::fs::write(folder.join(index.to_string()), bytes).expect("written");
    }
}
