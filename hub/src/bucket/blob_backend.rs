//! [`BlobBackend`]: stores bytes under names like `blobs/a7/a7c3…`, in a folder or in an S3 store. An object appears whole or
//! not at all. What the names mean is up to [`BlobStore`](super::blob_store::BlobStore).

use std::ops::Range;
use std::sync::Arc;

use super::folder::{Folder, PartFile};
use super::object::{ListedObject, Object};
use super::object_name;
use super::s3::{S3, S3Upload};
use crate::error::HubError;

/// Where objects are stored.
#[derive(Clone, Debug)]
pub(super) enum BlobBackend {
    Folder(Arc<Folder>),
    S3(S3),
}

/// An object that is being written. Dropping it before [`Upload::finish`] removes what was written.
#[derive(Debug)]
pub(crate) struct Upload {
    sink: Sink,
    hasher: blake3::Hasher,
}

#[derive(Debug)]
enum Sink {
    Folder(PartFile),
    S3(S3Upload),
}

impl BlobBackend {
    /// Starts to write the object that will have this name.
    pub(super) async fn upload(&self, name: &str) -> Result<Upload, HubError> {
        let sink = match self {
            Self::Folder(folder) => Sink::Folder(folder.create_part(name).await?),
            Self::S3(s3) => Sink::S3(s3.upload(name)),
        };
        Ok(Upload { sink, hasher: blake3::Hasher::new() })
    }

    /// Writes an empty object. If it exists, its modification time is renewed.
    pub(super) async fn touch(&self, name: &str) -> Result<(), HubError> {
        match self {
            Self::Folder(folder) => folder.touch(name).await,
            Self::S3(s3) => s3.touch(name).await,
        }
    }

    /// Returns an object; `None` if it does not exist.
    pub(super) async fn open(&self, name: &str) -> Result<Option<Object>, HubError> {
        match self {
            Self::Folder(folder) => folder.open_object(name, None).await,
            Self::S3(s3) => s3.open_object(name, None).await,
        }
    }

    /// Returns a range of an object, which ends where the object ends; `None` if the object does not exist.
    pub(super) async fn open_range(&self, name: &str, range: Range<u64>) -> Result<Option<Object>, HubError> {
        match self {
            Self::Folder(folder) => folder.open_object(name, Some(range)).await,
            Self::S3(s3) => s3.open_object(name, Some(range)).await,
        }
    }

    /// Returns an object's length in bytes; `None` if it does not exist.
    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, HubError> {
        match self {
            Self::Folder(folder) => folder.length(name).await,
            Self::S3(s3) => s3.length(name).await,
        }
    }

    /// Deletes an object, if it exists.
    pub(super) async fn delete(&self, name: &str) -> Result<(), HubError> {
        match self {
            Self::Folder(folder) => folder.delete(name).await,
            Self::S3(s3) => s3.delete(name).await,
        }
    }

    /// Adds the name of a value, if it is not there.
    pub(super) async fn add_name(&self, name: &str) -> Result<(), HubError> {
        match self {
            Self::Folder(folder) => folder.names.add(name).await,
            Self::S3(s3) => s3.add_name(name).await,
        }
    }

    /// Removes the name of a value, if it is there.
    pub(super) async fn remove_name(&self, name: &str) -> Result<(), HubError> {
        match self {
            Self::Folder(folder) => folder.names.remove(name).await,
            Self::S3(s3) => s3.delete(&object_name::value_name(name)).await,
        }
    }

    /// Returns the first names of values behind `after` that begin with a prefix, in order; fewer than `limit` only if these are all.
    pub(super) async fn list_names(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, HubError> {
        match self {
            Self::Folder(folder) => folder.names.list(prefix, after, limit).await,
            Self::S3(s3) => s3.list_names(prefix, after, limit).await,
        }
    }

    /// Lists the objects of a folder, in no particular order.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<ListedObject>, HubError> {
        match self {
            Self::Folder(root) => root.list(folder).await,
            Self::S3(s3) => s3.list(folder).await,
        }
    }
}

impl Upload {
    /// Appends a piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.hasher.update(piece);
        match &mut self.sink {
            Sink::Folder(part) => part.write(piece).await,
            Sink::S3(upload) => upload.write(piece).await,
        }
    }

    /// The hash of the bytes written so far.
    pub(super) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// Makes the object visible under its name. Replaces an older one.
    pub(super) async fn finish(self) -> Result<(), HubError> {
        match self.sink {
            Sink::Folder(part) => part.finish().await,
            Sink::S3(upload) => upload.finish().await,
        }
    }

    /// Discards what was written. When this returns, nothing of it is left.
    pub(super) async fn abort(self) {
        match self.sink {
            Sink::Folder(part) => drop(part),
            Sink::S3(upload) => upload.abort().await,
        }
    }
}
