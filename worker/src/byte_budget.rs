//! [`ByteBudget`]: memory for what is on its way through this process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory, counted in KiB, that those who need some of it take in turn.
#[derive(Clone, Debug)]
pub(crate) struct ByteBudget {
    free_kib: Arc<Semaphore>,
    kib: u32,
}

impl ByteBudget {
    pub(crate) fn new(mib: u32) -> Self {
        let kib = mib.saturating_mul(1024);
        Self { free_kib: Arc::new(Semaphore::new(kib as usize)), kib }
    }

    /// Waits until there is room for this many bytes, or for as many as there are, and keeps it until the permit is dropped.
    pub(crate) async fn reserve(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes / 1024).unwrap_or(self.kib).min(self.kib);
        // the semaphore is never closed
        Arc::clone(&self.free_kib).acquire_many_owned(kib).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn who_does_not_fit_beside_the_others_waits() {
        const MIB: u64 = 1024 * 1024;
        let budget = ByteBudget::new(4);
        let mut context = Context::from_waker(Waker::noop());
        let first = budget.reserve(3 * MIB).await;
        assert!(budget.reserve(MIB).await.is_some(), "the rest");
        for bytes in [2 * MIB, u64::MAX] {
            let mut next = Box::pin(budget.reserve(bytes));
            assert!(matches!(next.as_mut().poll(&mut context), Poll::Pending), "there is no room");
        }
        drop(first);
        for bytes in [2 * MIB, u64::MAX] {
            let mut next = Box::pin(budget.reserve(bytes));
            assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(Some(_))), "there is again");
        }
    }
}
