//! [`Shelf`]: what the bucket asks of the place where bytes are: a folder, or an S3 store.
//!
//! Objects appear under their name whole or not at all, and an answer comes when they are durable. Nothing here knows what the
//! names mean.

use std::io;
use std::sync::Arc;

use bue_model::Timestamp;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::folder::{Folder, Part};
use super::s3::{Multipart, S3};
use crate::error::HubError;

/// Where bytes are.
#[derive(Clone, Debug)]
pub(super) enum Shelf {
    Folder(Arc<Folder>),
    S3(S3),
}

/// Bytes to be read as they come.
pub(crate) struct Object {
    pub(crate) length: u64,
    pub(crate) pieces: BoxStream<'static, io::Result<Bytes>>,
}

/// What is found in a folder of a shelf.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// The last part of its name.
    pub(super) name: String,
    /// When it was last written, by the clock of the shelf.
    pub(super) modified: Timestamp,
}

/// Bytes that are being written. Nothing is left of them when dropped before they are kept.
#[derive(Debug)]
pub(crate) struct Upload {
    sink: Sink,
    hasher: blake3::Hasher,
}

#[derive(Debug)]
enum Sink {
    Folder(Part),
    S3(Multipart),
}

impl Shelf {
    /// Begins to write what will have this name.
    pub(super) async fn upload(&self, name: &str) -> Result<Upload, HubError> {
        let sink = match self {
            Self::Folder(folder) => Sink::Folder(folder.part(name).await?),
            Self::S3(s3) => Sink::S3(s3.multipart(name)),
        };
        Ok(Upload { sink, hasher: blake3::Hasher::new() })
    }

    /// Puts an object without bytes under a name, new again if it was there.
    pub(super) async fn mark(&self, name: &str) -> Result<(), HubError> {
        match self {
            Self::Folder(folder) => folder.mark(name).await,
            Self::S3(s3) => s3.mark(name).await,
        }
    }

    /// An object; `None` where there is none.
    pub(super) async fn open(&self, name: &str) -> Result<Option<Object>, HubError> {
        match self {
            Self::Folder(folder) => folder.open_file(name).await,
            Self::S3(s3) => s3.open_object(name).await,
        }
    }

    /// An object's length; `None` where there is none.
    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, HubError> {
        match self {
            Self::Folder(folder) => folder.length(name).await,
            Self::S3(s3) => s3.length(name).await,
        }
    }

    /// Takes an object away, if it is there.
    pub(super) async fn delete(&self, name: &str) -> Result<(), HubError> {
        match self {
            Self::Folder(folder) => folder.delete(name).await,
            Self::S3(s3) => s3.delete(name).await,
        }
    }

    /// The objects of a folder, in no order.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, HubError> {
        match self {
            Self::Folder(root) => root.list(folder).await,
            Self::S3(s3) => s3.list(folder).await,
        }
    }
}

impl Upload {
    /// Adds a piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.hasher.update(piece);
        match &mut self.sink {
            Sink::Folder(part) => part.write(piece).await,
            Sink::S3(multipart) => multipart.write(piece).await,
        }
    }

    /// The hash of what was written so far.
    pub(super) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// Gives the bytes their name, in place of an older object.
    pub(super) async fn keep(self) -> Result<(), HubError> {
        match self.sink {
            Sink::Folder(part) => part.keep().await,
            Sink::S3(multipart) => multipart.keep().await,
        }
    }

    /// Throws them away, and answers when nothing is left.
    pub(super) async fn discard(self) {
        match self.sink {
            Sink::Folder(part) => drop(part),
            Sink::S3(multipart) => multipart.discard().await,
        }
    }
}
