//! Ids, numbers and values as columns hold them, in both databases.

use bue_model::{JobId, RunId};
use uuid::Uuid;

use crate::error::HubError;

/// Converts a run's id from its column.
pub(crate) fn run_id(bytes: [u8; 16]) -> RunId {
    RunId(Uuid::from_bytes(bytes))
}

/// Converts a job's id to that of a row. An id larger than that of any row matches none.
pub(crate) fn row_id(job: JobId) -> i64 {
    i64::try_from(job.0).unwrap_or(-1)
}

/// Converts a row's id to that of a job.
pub(crate) fn job_id(id: i64) -> JobId {
    JobId(u64::try_from(id).unwrap_or(0))
}

/// Converts a number that is never negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Converts a number to what a column holds; saturates.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Converts a small number that is never negative; saturates.
pub(crate) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Encodes a value as postcard.
pub(crate) fn to_postcard<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, HubError> {
    postcard::to_allocvec(value).map_err(|error| HubError::damaged(error.to_string()))
}

/// Decodes what [`to_postcard`] encoded.
pub(crate) fn from_postcard<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, HubError> {
    postcard::from_bytes(bytes).map_err(|error| HubError::damaged(error.to_string()))
}
