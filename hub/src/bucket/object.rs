//! What a backend returns: objects and their listing.

use std::io;

use bue_model::Timestamp;
use bytes::Bytes;
use futures_util::stream::BoxStream;

/// An object's bytes, or a range of them, streamed.
pub(crate) struct Object {
    /// The number of bytes of the whole object.
    pub(crate) length: u64,
    /// Tells the object from all others that have had or will have its name. Characters of an entity tag (RFC 9110).
    pub(crate) version: String,
    pub(crate) pieces: BoxStream<'static, io::Result<Bytes>>,
}

/// An entry of a folder's listing.
#[derive(Clone, Debug)]
pub(super) struct ListedObject {
    /// The last segment of its name.
    pub(super) name: String,
    /// When it was last written, by the backend's clock.
    pub(super) modified: Timestamp,
}
