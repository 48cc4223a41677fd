//! Garbage collections in the bucket.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::RunId;

/// A request for garbage collection, from a hub to the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// The id of the hub's database. A bucket serves one database.
    pub database: Uuid,
    /// All runs of the database.
    pub runs: Vec<RunId>,
}

/// What a garbage collection deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The number of references of deleted runs.
    pub references: u64,
    /// The number of blobs without references.
    pub blobs: u64,
}
