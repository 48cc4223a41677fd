//! Garbage collection: deletes what no run references. An interrupted collection, even by a power cut, leaves only work for the
//! next one.

use std::collections::HashSet;

use bue_model::wire::{Collected, Collection};
use bue_model::{BlobHash, RunId, Timestamp};
use futures_util::StreamExt;
use uuid::Uuid;

use super::blob_store::BlobStore;
use super::object_name;
use crate::error::HubError;

impl BlobStore {
    /// Deletes references of runs that the hub does not have, then blobs without a reference. Keeps whatever is younger than
    /// the grace period at `started_at`, a time before the hub listed its runs.
    ///
    /// # Errors
    /// The blobs belong to another database, or the backend fails. What was deleted until then stays deleted.
    pub(crate) async fn collect(&self, started_at: Timestamp, collection: Collection) -> Result<Collected, HubError> {
        let _only_one = self.collecting.lock().await;
        self.claim_for(collection.database).await?;
        let runs: HashSet<RunId> = collection.runs.into_iter().collect();
        let grace_ms = i64::try_from(self.grace_period.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(started_at.0.saturating_sub(grace_ms));
        let mut collected = Collected::default();
        for (shard, lock) in (0..=u8::MAX).zip(self.shards.iter()) {
            let _exclusive = lock.write().await;
            let referenced = self.delete_references(shard, &runs, before, &mut collected).await?;
            self.delete_blobs(shard, &referenced, before, &mut collected).await?;
        }
        Ok(collected)
    }

    /// Deletes a shard's stale references; returns the blobs that are still referenced.
    async fn delete_references(
        &self,
        shard: u8,
        runs: &HashSet<RunId>,
        before: Timestamp,
        collected: &mut Collected,
    ) -> Result<HashSet<BlobHash>, HubError> {
        let folder = object_name::references(shard);
        let mut referenced = HashSet::new();
        for listed in self.backend.list(&folder).await? {
            // objects with other names are not ours
            let Some((hash, run)) = object_name::parse_reference(&listed.name) else { continue };
            if runs.contains(&run) || listed.modified >= before {
                referenced.insert(hash);
            } else {
                self.backend.delete(&format!("{folder}/{}", listed.name)).await?;
                collected.references += 1;
            }
        }
        Ok(referenced)
    }

    async fn delete_blobs(
        &self,
        shard: u8,
        referenced: &HashSet<BlobHash>,
        before: Timestamp,
        collected: &mut Collected,
    ) -> Result<(), HubError> {
        let folder = object_name::blobs(shard);
        for listed in self.backend.list(&folder).await? {
            let is_unreferenced = listed.name.parse().is_ok_and(|hash| !referenced.contains(&hash));
            if is_unreferenced && listed.modified < before {
                self.backend.delete(&format!("{folder}/{}", listed.name)).await?;
                collected.blobs += 1;
            }
        }
        Ok(())
    }

    /// Binds the bucket to a database on the first collection and refuses any other one later, which would not name the runs
    /// of the first.
    async fn claim_for(&self, database: Uuid) -> Result<(), HubError> {
        let Some(mut owner) = self.backend.open(object_name::OWNER).await? else {
            let mut upload = self.backend.upload(object_name::OWNER).await?;
            upload.write(database.to_string().as_bytes()).await?;
            return upload.finish().await;
        };
        let mut text = Vec::new();
        while let Some(piece) = owner.pieces.next().await {
            let disk_error = |source| HubError::Disk { what: object_name::OWNER.into(), source };
            text.extend_from_slice(&piece.map_err(disk_error)?);
        }
        let owner = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        if owner == Some(database) { Ok(()) } else { Err(HubError::OtherDatabase) }
    }
}
