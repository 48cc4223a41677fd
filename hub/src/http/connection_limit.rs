//! [`ConnectionLimit`]: counts the connections of each address, so that no client can use up all of them. A connection that does
//! nothing gives way to a new one, the oldest first, so that neither can a client that only opens connections.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Connections per address: a quarter of all. A worker keeps a handful, but a whole office may share one address.
pub(crate) const MAX_PER_ADDRESS: usize = 1_024;

/// The open connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionLimit(Arc<Mutex<Connections>>);

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    by_age: BTreeMap<u64, Arc<Connection>>,
    counts: HashMap<IpAddr, usize>,
}

/// What is known of an open connection.
#[derive(Debug)]
struct Connection {
    /// `None` for a connection that is not counted.
    address: Option<IpAddr>,
    /// Requests in progress, until the last byte of the reply is sent.
    requests: AtomicUsize,
    closing: Notify,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    limit: ConnectionLimit,
    id: u64,
    connection: Arc<Connection>,
}

/// A request in progress, which keeps its connection from being closed.
#[derive(Debug)]
pub(crate) struct RequestGuard(Arc<Connection>);

/// Starts the requests of a connection.
#[derive(Clone, Debug)]
pub(crate) struct RequestCounter(Arc<Connection>);

impl ConnectionLimit {
    /// Counts a connection; `None` if its address already has [`MAX_PER_ADDRESS`] with a request in progress. If it has as many
    /// and some are idle, the oldest of those is closed. Connections without an address are not counted.
    pub(crate) fn try_acquire(&self, address: Option<IpAddr>) -> Option<ConnectionPermit> {
        let address = address.map(network_of);
        let mut connections = self.lock();
        if let Some(address) = address
            && connections.counts.get(&address).is_some_and(|count| *count >= MAX_PER_ADDRESS)
            && !connections.close_idle(Some(address))
        {
            return None;
        }
        let id = connections.next;
        connections.next += 1;
        let connection = Arc::new(Connection { address, requests: AtomicUsize::new(0), closing: Notify::new() });
        connections.by_age.insert(id, connection.clone());
        if let Some(address) = address {
            *connections.counts.entry(address).or_default() += 1;
        }
        drop(connections);
        Some(ConnectionPermit { limit: self.clone(), id, connection })
    }

    /// Closes the oldest idle connection of any address, if there is one.
    pub(crate) fn close_idle(&self) {
        self.lock().close_idle(None);
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Closes the oldest idle connection, of this address if there is one. Returns whether one was found.
    fn close_idle(&mut self, address: Option<IpAddr>) -> bool {
        let is_candidate = |connection: &Connection| {
            (address.is_none() || connection.address == address) && connection.requests.load(Ordering::Acquire) == 0
        };
        let oldest = self.by_age.iter().find(|(_, connection)| is_candidate(connection)).map(|(id, _)| *id);
        let closed = oldest.and_then(|id| self.remove(id));
        closed.is_some_and(|connection| {
            connection.closing.notify_one();
            true
        })
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let connection = self.by_age.remove(&id)?;
        if let Some(address) = connection.address
            && let Some(count) = self.counts.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
        Some(connection)
    }
}

impl ConnectionPermit {
    /// Returns when the connection has to give way to another one.
    pub(crate) async fn closing(&self) {
        self.connection.closing.notified().await;
    }

    pub(crate) fn request_counter(&self) -> RequestCounter {
        RequestCounter(self.connection.clone())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limit.lock().remove(self.id);
    }
}

impl RequestCounter {
    /// Counts a request until the guard is dropped.
    pub(crate) fn start(&self) -> RequestGuard {
        self.0.requests.fetch_add(1, Ordering::AcqRel);
        RequestGuard(self.0.clone())
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An IPv6 host usually owns a whole /64, so its addresses are counted as one.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    fn is_closing(permit: &ConnectionPermit) -> bool {
        matches!(Box::pin(permit.closing()).as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let limit = ConnectionLimit::default();
        let first = address("2001:db8::1");
        let mut permits: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| limit.try_acquire(first).expect("a permit")).collect();
        let mut requests: Vec<_> = permits.iter().map(|permit| permit.request_counter().start()).collect();
        for other in ["2001:db8::2", "2001:db8::ffff:1"] {
            assert!(limit.try_acquire(address(other)).is_none(), "{other} is in the same network");
        }
        for other in ["2001:db8:0:1::1", "192.0.2.1"] {
            assert!(limit.try_acquire(address(other)).is_some(), "{other} is in another network");
        }
        assert!(limit.try_acquire(None).is_some());
        permits.pop();
        requests.pop();
        assert!(limit.try_acquire(first).is_some());
        drop(permits);
        let connections = limit.lock();
        assert!(
            connections.counts.is_empty() && connections.by_age.is_empty(),
            "closed connections leave nothing behind"
        );
    }

    #[test]
    fn the_oldest_idle_connection_gives_way_and_none_with_a_request() {
        let limit = ConnectionLimit::default();
        let (busy, crowd) = (address("192.0.2.1"), address("192.0.2.2"));
        let first = limit.try_acquire(busy).expect("a permit");
        let request = first.request_counter().start();
        let crowd_permits: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| limit.try_acquire(crowd).expect("a permit")).collect();
        let newest = limit.try_acquire(crowd).expect("the oldest of its address gives way");
        assert!(is_closing(&crowd_permits[0]) && !is_closing(&crowd_permits[1]) && !is_closing(&first));
        limit.close_idle();
        assert!(is_closing(&crowd_permits[1]) && !is_closing(&first), "the oldest of all has a request");
        drop(request);
        limit.close_idle();
        assert!(is_closing(&first) && !is_closing(&newest));
    }
}
