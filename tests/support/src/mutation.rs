//! Small changes of valid bytes, which reach deeper into a parser than random bytes do.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::Just;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Runs this many cases, the same in every run. `PROPTEST_CASES=100000` runs more, and `PROPTEST_RNG_SEED=2` others.
#[must_use]
pub fn runner(cases: u32) -> TestRunner {
    let asked = Config::default();
    let rng_seed = if asked.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { asked.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    TestRunner::new(Config { cases, rng_seed, failure_persistence: None, ..asked })
}

/// Writes seeds to a folder of the folder `BUE_SEEDS`, where a fuzzer begins. Does nothing if it is not set.
pub fn write_seeds(target: &str, seeds: &[Vec<u8>]) {
    let Some(folder) = std::env::var_os("BUE_SEEDS") else { return };
    let folder = Path::new(&folder).join(target);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (index, bytes) in seeds.iter().enumerate() {
        std::fs::write(folder.join(index.to_string()), bytes).expect("written");
    }
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(Index, u8),
    /// Four bytes, as many as most lengths and offsets of zip files have.
    Overwrite(Index, u32),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
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
            Self::Overwrite(at, with) => {
                let at = at.index(bytes.len());
                for (byte, with) in bytes.iter_mut().skip(at).zip(with.to_le_bytes()) {
                    *byte = with;
                }
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + usize::from(*count)));
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

/// These bytes with at most so many changes.
pub fn changed(bytes: impl Strategy<Value = Vec<u8>>, most: usize) -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0..70_000_u32, any::<u32>(), Just(u32::MAX)];
    let mutation = prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, with)| Mutation::Replace(at, with)),
        2 => (any::<Index>(), number).prop_map(|(at, with)| Mutation::Overwrite(at, with)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => (any::<Index>(), vec(any::<u8>(), 1..12)).prop_map(|(at, more)| Mutation::Insert(at, more)),
        1 => (any::<Index>(), 1..20_u8).prop_map(|(at, count)| Mutation::Remove(at, count)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ];
    (bytes, vec(mutation, 0..=most)).prop_map(|(mut bytes, mutations)| {
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        bytes
    })
}

/// One of these, mostly with a few changes, or anything.
pub fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![12 => changed(select(seeds), 4), 1 => vec(any::<u8>(), 0..300)]
}
