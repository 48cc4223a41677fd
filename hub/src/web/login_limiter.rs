//! [`LoginLimiter`]: delays repeated wrong attempts to log in. A token has 256 random bits, so this only keeps the log readable and the
//! hub idle.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::Timestamp;
use tokio::time::Instant;

use crate::http::connection_limit::network_of;

/// Wrong attempts of an address that have no consequence: typing errors.
const FREE_ATTEMPTS: u32 = 3;
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Attempts of an address are forgotten after this time.
const MEMORY: Duration = Duration::from_secs(600);
/// Addresses that are remembered. Beyond that, the one is forgotten that may try again first.
const MAX_ADDRESSES: usize = 10_000;
/// Used codes that are remembered, each for the minute that it holds.
const MAX_CODES: usize = 10_000;

/// Wrong attempts by address, and the login codes that were used.
#[derive(Debug, Default)]
pub(super) struct LoginLimiter {
    attempts: Mutex<HashMap<IpAddr, Attempts>>,
    used_codes: Mutex<BTreeSet<(Timestamp, u128)>>,
}

#[derive(Clone, Copy, Debug)]
struct Attempts {
    wrong: u32,
    last: Instant,
}

impl Attempts {
    /// One second after the first attempt that counts, twice as long after each further one.
    fn next_at(self) -> Instant {
        let Some(doublings) = self.wrong.checked_sub(FREE_ATTEMPTS) else { return self.last };
        self.last + Duration::from_secs(1 << doublings.min(6)).min(MAX_WAIT)
    }
}

impl LoginLimiter {
    /// How long an address has to wait before its next attempt is looked at; `None` if it need not wait.
    pub(super) fn wait_of(&self, address: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let attempts = lock(&self.attempts).get(&key(address)).copied()?;
        (now < attempts.last + MEMORY && now < attempts.next_at()).then(|| attempts.next_at() - now)
    }

    /// Records a wrong attempt.
    pub(super) fn record_wrong(&self, address: Option<IpAddr>, now: Instant) {
        let mut attempts = lock(&self.attempts);
        if attempts.len() >= MAX_ADDRESSES {
            attempts.retain(|_, attempts| now < attempts.last + MEMORY);
        }
        if attempts.len() >= MAX_ADDRESSES
            && let Some(first) = attempts.iter().min_by_key(|(_, attempts)| attempts.next_at()).map(|(key, _)| *key)
        {
            attempts.remove(&first);
        }
        let entry = attempts.entry(key(address)).or_insert(Attempts { wrong: 0, last: now });
        let is_old = now >= entry.last + MEMORY;
        *entry = Attempts { wrong: if is_old { 1 } else { entry.wrong.saturating_add(1) }, last: now };
    }

    /// Forgets the wrong attempts of an address: it has a token.
    pub(super) fn forget(&self, address: Option<IpAddr>) {
        lock(&self.attempts).remove(&key(address));
    }

    /// Uses up a code. Returns false if it was used before.
    pub(super) fn use_code(&self, nonce: u128, expires_at: Timestamp, now: Timestamp) -> bool {
        let mut used = lock(&self.used_codes);
        // those that have expired are refused anyway
        *used = used.split_off(&(now, 0));
        used.len() < MAX_CODES && used.insert((expires_at, nonce))
    }
}

/// Connections without an address share one entry.
fn key(address: Option<IpAddr>) -> IpAddr {
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network_of)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    #[test]
    fn waits_double_up_to_a_minute_and_concern_one_address() {
        let (limiter, start) = (LoginLimiter::default(), Instant::now());
        for _ in 0..2 {
            limiter.record_wrong(address(1), start);
            assert_eq!(limiter.wait_of(address(1), start), None);
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            limiter.record_wrong(address(1), start);
            assert_eq!(limiter.wait_of(address(1), start), Some(Duration::from_secs(expected)));
        }
        assert_eq!(limiter.wait_of(address(2), start), None, "another address");
        assert_eq!(limiter.wait_of(address(1), start + MAX_WAIT), None, "the wait is over");
        limiter.record_wrong(address(1), start + MEMORY);
        assert_eq!(limiter.wait_of(address(1), start + MEMORY), None, "old attempts are forgotten");
        limiter.forget(address(1));
        assert!(lock(&limiter.attempts).is_empty());
    }

    #[test]
    fn a_limited_number_of_addresses_is_remembered() {
        let (limiter, start) = (LoginLimiter::default(), Instant::now());
        for number in 0..20_000_u32 {
            limiter.record_wrong(Some(IpAddr::V4(Ipv4Addr::from_bits(number))), start);
        }
        assert_eq!(lock(&limiter.attempts).len(), MAX_ADDRESSES);
    }

    #[test]
    fn a_code_is_used_once_and_forgotten_when_it_has_expired() {
        let limiter = LoginLimiter::default();
        assert!(limiter.use_code(7, Timestamp(100), Timestamp(50)));
        assert!(!limiter.use_code(7, Timestamp(100), Timestamp(60)));
        assert!(limiter.use_code(8, Timestamp(100), Timestamp(60)));
        assert!(limiter.use_code(9, Timestamp(300), Timestamp(200)));
        assert_eq!(lock(&limiter.used_codes).len(), 1);
    }
}
