//! Random cases that are the same in every run, so that a commit always gets the same verdict. Run others with
//! `PROPTEST_RNG_SEED=2 PROPTEST_CASES=3000 cargo test random`.

use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Runs this many cases, unless the environment says otherwise.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let asked = Config::default();
    let rng_seed = if asked.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { asked.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    TestRunner::new(Config { cases, rng_seed, max_shrink_iters: 2_000, failure_persistence: None, ..asked })
}
