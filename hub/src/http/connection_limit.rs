//! [`ConnectionLimit`]: counts the connections of each address, so that no client can use up all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections per address: a quarter of all. A worker keeps a handful, but a whole office may share one address.
pub(crate) const MAX_PER_ADDRESS: usize = 1_024;

/// The number of open connections by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionLimit(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    limit: ConnectionLimit,
    /// `None` for a connection that is not counted.
    address: Option<IpAddr>,
}

impl ConnectionLimit {
    /// Counts a connection; `None` if its address already has [`MAX_PER_ADDRESS`]. Connections without an address are not
    /// counted.
    pub(crate) fn try_acquire(&self, address: Option<IpAddr>) -> Option<ConnectionPermit> {
        let address = address.map(network_of);
        if let Some(address) = address {
            let mut counts = self.lock();
            let count = counts.entry(address).or_default();
            if *count >= MAX_PER_ADDRESS {
                return None;
            }
            *count += 1;
        }
        Some(ConnectionPermit { limit: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.limit.lock();
        if let Some(count) = counts.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// An IPv6 host usually owns a whole /64, so its addresses are counted as one.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let limit = ConnectionLimit::default();
        let first = address("2001:db8::1");
        let mut permits: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| limit.try_acquire(first).expect("a permit")).collect();
        for other in ["2001:db8::2", "2001:db8::ffff:1"] {
            assert!(limit.try_acquire(address(other)).is_none(), "{other} is in the same network");
        }
        for other in ["2001:db8:0:1::1", "192.0.2.1"] {
            assert!(limit.try_acquire(address(other)).is_some(), "{other} is in another network");
        }
        assert!(limit.try_acquire(None).is_some());
        permits.pop();
        assert!(limit.try_acquire(first).is_some());
        drop(permits);
        assert!(limit.lock().is_empty(), "closed connections leave nothing behind");
    }
}
