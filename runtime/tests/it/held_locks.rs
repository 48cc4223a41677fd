//! The table of held locks with which the Python guest's interpreter is patched, on the processor that runs the tests.

use core::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// As in the interpreter.
#[derive(Debug, Default)]
struct RawCellMutex {
    locked: Cell<bool>,
}

include!("../../../guest-sdk/patches/held_locks.rs");

/// More locks than the table has room for.
const LOCKS: usize = 80;

#[test]
fn a_lock_that_finds_no_room_says_itself_that_it_is_held() {
    let locks: Vec<RawCellMutex> = (0..LOCKS).map(|_| RawCellMutex::default()).collect();
    locks.iter().for_each(RawCellMutex::hold);
    let in_table = locks.iter().filter(|lock| held::contains(*lock)).count();
    let by_themselves = locks.iter().filter(|lock| lock.locked.get()).count();
    assert_eq!((in_table, by_themselves), (64, LOCKS - 64));
    locks.iter().for_each(|lock| assert_eq!(held::remove(lock), !lock.locked.get()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Locks are taken, several times too, and released in any order, as shared ones are.
    #[test]
    fn the_table_holds_what_was_added_and_not_removed(
        uses in proptest::collection::vec((0..LOCKS, any::<bool>()), 0..400),
    ) {
        let locks: Vec<u64> = vec![0; LOCKS];
        let mut counts = vec![0_usize; LOCKS];
        for (index, is_added) in uses {
            let (lock, has_room) = (&locks[index], counts.iter().sum::<usize>() < 64);
            if is_added {
                prop_assert_eq!(held::add(lock), has_room);
                counts[index] += usize::from(has_room);
            } else {
                prop_assert_eq!(held::remove(lock), counts[index] > 0);
                counts[index] = counts[index].saturating_sub(1);
            }
            for (lock, count) in locks.iter().zip(&counts) {
                prop_assert_eq!(held::contains(lock), *count > 0);
            }
        }
        // the table belongs to the thread, which runs the next case too
        for (lock, count) in locks.iter().zip(counts) {
            (0..count).for_each(|_| assert!(held::remove(lock)));
        }
    }
}
