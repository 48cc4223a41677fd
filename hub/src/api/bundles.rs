//! [`Bundles`]: the code of steps, as far as the hub can read it. The latest bundles stay in memory, because a page that shows one asks
//! again and again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::{BlobHash, BlobRef, Bundle};
use tokio::time::timeout;

use crate::bundle_reader::BundleReader;

/// Bytes of a bundle that is read: a bundle may have packed files, of which a traceback needs nothing.
const MAX_BUNDLE: u64 = 1024 * 1024;
/// Bundles in memory.
const MAX_KEPT: usize = 8;
/// Time for the bucket to answer. Whoever looks at a page does not wait for longer.
const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads bundles. Clones share those in memory.
#[derive(Clone, Default)]
pub(super) struct Bundles {
    /// `None` if the hub does not know its bucket.
    reader: Option<Arc<dyn BundleReader>>,
    latest: Arc<Mutex<Latest>>,
}

/// The latest bundles, by the hashes of their bytes.
type Latest = VecDeque<(BlobHash, Arc<Bundle>)>;

impl Bundles {
    pub(super) fn new(reader: Arc<dyn BundleReader>) -> Self {
        Self { reader: Some(reader), latest: Arc::default() }
    }

    /// Returns a bundle. `None` if it is too large, or the bucket does not return it soon.
    pub(super) async fn get(&self, code: BlobRef) -> Option<Arc<Bundle>> {
        let kept = self.latest().iter().find(|(hash, _)| *hash == code.hash).map(|(_, bundle)| Arc::clone(bundle));
        if kept.is_some() || code.len > MAX_BUNDLE {
            return kept;
        }
        let bytes = match timeout(READ_TIMEOUT, self.reader.as_ref()?.read(code)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(reason)) => {
                tracing::debug!("failed to read the code of a step: {reason}");
                return None;
            }
            Err(_) => return None,
        };
        let bundle: Arc<Bundle> = Arc::new(postcard::from_bytes(&bytes).ok()?);
        let mut latest = self.latest();
        latest.push_front((code.hash, Arc::clone(&bundle)));
        latest.truncate(MAX_KEPT);
        Some(bundle)
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
