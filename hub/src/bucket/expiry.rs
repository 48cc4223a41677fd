//! The expiry of keys: deletes values whose time is over, and wakes when the next one's is.

use std::time::Duration;

use bue_model::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;

use super::blob_store::BlobStore;
use super::object_name;
use crate::clock::Clock;
use crate::error::HubError;

/// The longest time between two checks, which also bounds the effect of a clock that is set.
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Pause after the backend failed.
const ERROR_BACKOFF: Duration = Duration::from_secs(10);

/// Deletes expired keys until the server shuts down. Wakes when the next key expires, and when a key with an expiry time is
/// stored.
pub(super) async fn delete_expired_keys(blobs: BlobStore, clock: Clock, mut closing: watch::Receiver<bool>) {
    while !*closing.borrow() {
        let pause = match blobs.delete_expired(clock()).await {
            Ok(Some(next)) => Duration::from_millis(next.since_ms(clock())),
            Ok(None) => MAX_CHECK_INTERVAL,
            Err(error) => {
                tracing::error!(%error, "failed to look for expired keys");
                ERROR_BACKOFF
            }
        };
        tokio::select! {
            biased;
            _ = closing.changed() => {}
            () = sleep(pause.min(MAX_CHECK_INTERVAL)) => {}
            () = blobs.expiry_set.notified() => {}
        }
    }
}

impl BlobStore {
    /// Deletes keys that have expired. Returns when the next one expires.
    async fn delete_expired(&self, now: Timestamp) -> Result<Option<Timestamp>, HubError> {
        let listed = self.backend.list(object_name::EXPIRING).await?;
        let mut expiring: Vec<_> = listed.iter().filter_map(|listed| object_name::parse_expiry(&listed.name)).collect();
        expiring.sort_unstable();
        for (at, key) in expiring {
            if at > now {
                return Ok(Some(at));
            }
            let _exclusive = self.shard(&key).write().await;
            // the key may have received another value with another expiry time
            if self.value(&key).await?.is_some_and(|value| value.expires_at <= now) {
                self.backend.delete(&object_name::key(&key)).await?;
            }
            self.backend.delete(&object_name::expiry(at, &key)).await?;
        }
        Ok(None)
    }
}
