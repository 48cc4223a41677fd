//! Name resolution by the operating system.

use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::parent::egress::connect::Resolve;
use crate::step::box_future::BoxFuture;

/// Lookups that run at once at most. The system's resolver takes a thread for each.
const MAX_CONCURRENT_LOOKUPS: usize = 32;

/// Names that are cached at most.
const MAX_CACHED_NAMES: usize = 1_000;

/// How long addresses are cached: thousands of steps that begin together cause one lookup, while a name that changes is
/// followed without a noticeable delay. The addresses are checked before every connection anyway.
const CACHE_TTL: Duration = Duration::from_secs(2);

/// Resolves names with the operating system: a limited number at once, and concurrent lookups of one name only once.
#[derive(Clone, Debug)]
pub struct SystemResolver(Arc<Lookups>);

#[derive(Debug)]
struct Lookups {
    permits: Semaphore,
    cache: Cache<String, (Instant, Vec<IpAddr>)>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Lookups { permits: Semaphore::new(MAX_CONCURRENT_LOOKUPS), cache: Cache::new(MAX_CACHED_NAMES) }))
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        let lookups = Arc::clone(&self.0);
        Box::pin(async move { lookups.addresses(host).await })
    }
}

impl Lookups {
    async fn addresses(&self, host: String) -> io::Result<Vec<IpAddr>> {
        loop {
            let (looked_up, addresses) = self.cache.get_or_insert_async(&host, self.look_up(&host)).await?;
            if looked_up.elapsed() < CACHE_TTL {
                return Ok(addresses);
            }
            // removing an entry that another lookup has just made costs one more lookup
            self.cache.remove(&host);
        }
    }

    async fn look_up(&self, host: &str) -> io::Result<(Instant, Vec<IpAddr>)> {
        let _permit = self.permits.acquire().await.map_err(io::Error::other)?;
        let addresses = tokio::net::lookup_host((host, 0)).await?;
        Ok((Instant::now(), addresses.map(|address| address.ip()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cached_localhost(age: Duration) -> SystemResolver {
        let resolver = SystemResolver::default();
        let looked_up = Instant::now().checked_sub(age).expect("a machine that has run for some seconds");
        resolver.0.cache.insert("localhost".to_owned(), (looked_up, vec![IpAddr::from([192, 0, 2, 1])]));
        resolver
    }

    #[tokio::test]
    async fn an_address_is_used_again_while_it_is_fresh() {
        let addresses = with_cached_localhost(Duration::ZERO).resolve("localhost".to_owned()).await.expect("known");
        assert_eq!(addresses, [IpAddr::from([192, 0, 2, 1])]);
        let addresses = with_cached_localhost(CACHE_TTL).resolve("localhost".to_owned()).await.expect("looked up");
        assert!(addresses.iter().all(IpAddr::is_loopback) && !addresses.is_empty(), "{addresses:?}");
    }
}
