//! [`Peers`]: how many connections each address has, so that one of them cannot have all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of one address: a quarter of all. A worker keeps a handful, but a whole office may be one address.
pub(crate) const MAX_FROM_ONE: usize = 1_024;

/// Connections that are open, by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// Held for as long as a connection is open.
#[derive(Debug)]
pub(crate) struct Seat {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    /// Counts a connection; `None` where its address has as many as it may. Whoever has no address is not counted.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> Option<Option<Seat>> {
        let Some(address) = address.map(network) else { return Some(None) };
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();
        if *count >= MAX_FROM_ONE {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Some(Seat { peers: self.clone(), address }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.peers.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Who has one address of version 6 has all that begin with the same 64 bits.
fn network(address: IpAddr) -> IpAddr {
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
        let peers = Peers::default();
        let one = address("2001:db8::1");
        let mut seats: Vec<_> = (0..MAX_FROM_ONE).map(|_| peers.admit(one).expect("a seat")).collect();
        for other in ["2001:db8::2", "2001:db8::ffff:1"] {
            assert!(peers.admit(address(other)).is_none(), "{other} is of the same network");
        }
        assert!(peers.admit(address("2001:db8:0:1::1")).is_some() && peers.admit(address("192.0.2.1")).is_some());
        assert!(peers.admit(None).is_some());
        seats.pop();
        assert!(peers.admit(one).is_some());
        drop(seats);
        assert!(peers.lock().is_empty(), "nobody is remembered who is gone");
    }
}
