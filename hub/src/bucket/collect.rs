//! What nobody refers to is thrown away. A round that is broken off, by a power cut too, leaves what the next one finds.

use std::collections::HashSet;

use bue_model::wire::{Collected, Collection};
use bue_model::{BlobHash, RunId, Timestamp};
use futures_util::StreamExt;
use uuid::Uuid;

use super::blob_store::BlobStore;
use super::name;
use crate::error::HubError;

impl BlobStore {
    /// Drops references of runs that the hub does not have, and blobs without any, all older than the grace at `begun`, a time
    /// before the runs were listed.
    ///
    /// # Errors
    /// The blobs are kept for another database, or the shelf does not answer. What was thrown away by then is.
    pub(crate) async fn collect(&self, begun: Timestamp, collection: Collection) -> Result<Collected, HubError> {
        let _alone = self.collecting.lock().await;
        self.own(collection.database).await?;
        let runs: HashSet<RunId> = collection.runs.into_iter().collect();
        let grace = i64::try_from(self.grace.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(begun.0.saturating_sub(grace));
        let mut collected = Collected::default();
        for (shard, lock) in (0..=u8::MAX).zip(self.shards.iter()) {
            let _alone = lock.write().await;
            let wanted = self.drop_references(shard, &runs, before, &mut collected).await?;
            self.drop_blobs(shard, &wanted, before, &mut collected).await?;
        }
        Ok(collected)
    }

    /// The blobs of a shard that somebody refers to.
    async fn drop_references(
        &self,
        shard: u8,
        runs: &HashSet<RunId>,
        before: Timestamp,
        collected: &mut Collected,
    ) -> Result<HashSet<BlobHash>, HubError> {
        let folder = name::references(shard);
        let mut wanted = HashSet::new();
        for found in self.shelf.list(&folder).await? {
            // whatever else is there is not ours
            let Some((hash, run)) = name::read_reference(&found.name) else { continue };
            if runs.contains(&run) || found.modified >= before {
                wanted.insert(hash);
            } else {
                self.shelf.delete(&format!("{folder}/{}", found.name)).await?;
                collected.references += 1;
            }
        }
        Ok(wanted)
    }

    async fn drop_blobs(
        &self,
        shard: u8,
        wanted: &HashSet<BlobHash>,
        before: Timestamp,
        collected: &mut Collected,
    ) -> Result<(), HubError> {
        let folder = name::blobs(shard);
        for found in self.shelf.list(&folder).await? {
            let is_garbage = found.name.parse().is_ok_and(|hash| !wanted.contains(&hash)) && found.modified < before;
            if is_garbage {
                self.shelf.delete(&format!("{folder}/{}", found.name)).await?;
                collected.blobs += 1;
            }
        }
        Ok(())
    }

    /// One bucket keeps the blobs of one database: another one would not name the runs of the first.
    async fn own(&self, database: Uuid) -> Result<(), HubError> {
        let Some(mut owner) = self.shelf.open(name::OWNER).await? else {
            let mut upload = self.shelf.upload(name::OWNER).await?;
            upload.write(database.to_string().as_bytes()).await?;
            return upload.keep().await;
        };
        let mut text = Vec::new();
        while let Some(piece) = owner.pieces.next().await {
            text.extend_from_slice(&piece.map_err(|source| HubError::Disk { what: name::OWNER.into(), source })?);
        }
        let same = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()) == Some(database);
        if same { Ok(()) } else { Err(HubError::OtherDatabase) }
    }

    /// Throws keys away whose time is over; when the next one's is.
    pub(crate) async fn expire(&self, now: Timestamp) -> Result<Option<Timestamp>, HubError> {
        let listed = self.shelf.list(name::EXPIRING).await?;
        let mut expiring: Vec<_> = listed.iter().filter_map(|found| name::read_expiry(&found.name)).collect();
        expiring.sort_unstable();
        for (at, key) in expiring {
            if at > now {
                return Ok(Some(at));
            }
            let _alone = self.shard(&key).write().await;
            // it may have been given another value and another time
            if self.value(&key).await?.is_some_and(|(expires, _)| expires <= now) {
                self.shelf.delete(&name::key(&key)).await?;
            }
            self.shelf.delete(&name::expiry(at, &key)).await?;
        }
        Ok(None)
    }

    /// Returns when a key was given a time to end since the last one who waited.
    pub(crate) async fn expiry_set(&self) {
        self.expiry_set.notified().await;
    }
}
