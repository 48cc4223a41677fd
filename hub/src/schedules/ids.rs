//! What is computed from a schedule's name and a due time: the id of the run, and the random delay. The same on every hub.

use bue_model::RunId;
use uuid::Uuid;

/// The namespace of the ids of runs that schedules start.
const SCHEDULES: Uuid = Uuid::from_u128(0x6275_6520_7363_6865_6475_6c65_2072_756e);

/// The namespace of the ids of runs that users start with a schedule and a key.
const KEYS: Uuid = Uuid::from_u128(0x6275_6520_7363_6865_6475_6c65_206b_6579);

/// Returns the id of the run of a due time.
pub(crate) fn run_of(schedule: &str, due: i64) -> RunId {
    RunId(Uuid::new_v5(&SCHEDULES, format!("{schedule}\0{due}").as_bytes()))
}

/// Returns the id of the run that a user starts with this key.
pub(crate) fn run_of_key(schedule: &str, key: &str) -> RunId {
    RunId(Uuid::new_v5(&KEYS, format!("{schedule}\0{key}").as_bytes()))
}

/// Returns the delay of a due time, from 0 to `max_ms` milliseconds.
pub(crate) fn jitter_ms(schedule: &str, due: i64, max_ms: u64) -> u64 {
    let hash = blake3::hash(format!("{schedule}\0{due}").as_bytes());
    let number = hash.as_bytes().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    number % max_ms.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_delays_depend_on_the_name_and_the_due_time_only() {
        assert_eq!(run_of("a", 1), run_of("a", 1));
        assert_ne!(run_of("a", 1), run_of("a", 2));
        assert_ne!(run_of("a", 1), run_of("b", 1));
        assert_ne!(run_of("a", 1), run_of_key("a", "1"));
        assert_eq!(run_of("a", 1).0.get_version_num(), 5);
        let delays: Vec<u64> = (0..1_000).map(|due| jitter_ms("a", due, 30_000)).collect();
        assert!(delays.iter().all(|delay| *delay <= 30_000));
        let mean = delays.iter().sum::<u64>() / 1_000;
        assert!((13_000..17_000).contains(&mean), "{mean}");
        assert_eq!(jitter_ms("a", 5, 0), 0);
    }
}
