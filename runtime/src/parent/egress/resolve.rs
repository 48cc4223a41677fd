//! Names as this machine looks them up.

use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::parent::egress::connect::{Boxed, Resolve};

/// Lookups at a time. The system's resolver takes a thread for each.
const AT_ONCE: usize = 32;

/// Names whose addresses are kept.
const NAMES: usize = 1_000;

/// How long addresses are used again: thousands of steps that begin together ask once, and a name that moves is followed at
/// once as people see it. Whoever dials checks the addresses anyway.
const FRESH: Duration = Duration::from_secs(2);

/// Asks the system, a bounded number of times at once, and once for all who want the same name.
#[derive(Clone, Debug)]
pub struct SystemResolver(Arc<Lookups>);

#[derive(Debug)]
struct Lookups {
    room: Semaphore,
    known: Cache<String, (Instant, Vec<IpAddr>)>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Lookups { room: Semaphore::new(AT_ONCE), known: Cache::new(NAMES) }))
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> Boxed<io::Result<Vec<IpAddr>>> {
        let lookups = Arc::clone(&self.0);
        Box::pin(async move { lookups.addresses(host).await })
    }
}

impl Lookups {
    async fn addresses(&self, host: String) -> io::Result<Vec<IpAddr>> {
        loop {
            let (looked_up, addresses) = self.known.get_or_insert_async(&host, self.look_up(&host)).await?;
            if looked_up.elapsed() < FRESH {
                return Ok(addresses);
            }
            // who removes what another has just looked up makes one more lookup
            self.known.remove(&host);
        }
    }

    async fn look_up(&self, host: &str) -> io::Result<(Instant, Vec<IpAddr>)> {
        let _room = self.room.acquire().await.map_err(io::Error::other)?;
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok((Instant::now(), found.map(|address| address.ip()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(age: Duration) -> SystemResolver {
        let resolver = SystemResolver::default();
        let looked_up = Instant::now().checked_sub(age).expect("a machine that has run for some seconds");
        resolver.0.known.insert("localhost".to_owned(), (looked_up, vec![IpAddr::from([192, 0, 2, 1])]));
        resolver
    }

    #[tokio::test]
    async fn an_address_is_used_again_while_it_is_fresh() {
        let addresses = known(Duration::ZERO).resolve("localhost".to_owned()).await.expect("known");
        assert_eq!(addresses, [IpAddr::from([192, 0, 2, 1])]);
        let addresses = known(FRESH).resolve("localhost".to_owned()).await.expect("looked up");
        assert!(addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(), "{addresses:?}");
    }
}
