//! Names as this machine looks them up.

use core::net::IpAddr;
use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::egress::connect::{Boxed, Resolve};

/// Lookups at a time. The system's resolver takes a thread for each.
const AT_ONCE: usize = 32;

/// Asks the system, a bounded number of times at once.
#[derive(Clone, Debug)]
pub struct SystemResolver(Arc<Semaphore>);

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> Boxed<io::Result<Vec<IpAddr>>> {
        let room = Arc::clone(&self.0);
        Box::pin(async move {
            let _room = room.acquire().await.map_err(io::Error::other)?;
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
