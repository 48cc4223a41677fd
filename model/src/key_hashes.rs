//! Finds duplicate keys of nested maps without keeping the keys.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The hashes of the keys of all maps that are being read. Two keys with the same 128 bits count as equal: the hash is random, so
/// nobody can choose such keys, and among ten million the probability is below 10⁻²⁴.
#[derive(Debug, Default)]
pub struct KeyHashes {
    random: RandomState,
    hashes: Vec<u128>,
}

impl KeyHashes {
    /// Begins a map inside of those that have begun and not ended. Returns what [`Self::end_map`] needs.
    #[must_use]
    pub fn begin_map(&self) -> usize {
        self.hashes.len()
    }

    /// Adds a key of the map that began last.
    pub fn add(&mut self, key: &str) {
        let mut hasher = self.random.build_hasher();
        hasher.write(key.as_bytes());
        let low = hasher.finish();
        hasher.write_u8(0xff);
        self.hashes.push(u128::from(hasher.finish()) << 64 | u128::from(low));
    }

    /// Ends a map. Returns whether two of its keys are equal.
    pub fn end_map(&mut self, begin: usize) -> bool {
        let keys = self.hashes.get_mut(begin..).unwrap_or_default();
        keys.sort_unstable();
        let has_duplicates = keys.windows(2).any(|pair| matches!(pair, [left, right] if left == right));
        self.hashes.truncate(begin);
        has_duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_one_map_are_compared() {
        let mut keys = KeyHashes::default();
        let outer = keys.begin_map();
        keys.add("a");
        for (names, expected) in [(&["a", "b"][..], false), (&["a", "b", "a"], true), (&[], false), (&["", ""], true)] {
            let inner = keys.begin_map();
            names.iter().for_each(|name| keys.add(name));
            assert_eq!(keys.end_map(inner), expected, "{names:?}");
        }
        keys.add("b");
        assert!(!keys.end_map(outer));
    }
}
