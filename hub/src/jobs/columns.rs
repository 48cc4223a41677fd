//! Ids and values as columns hold them, in both databases.

use bue_model::{JobId, RunId};
use uuid::Uuid;

use crate::error::HubError;

/// A run's id as a column holds it.
pub(crate) fn run_id(bytes: [u8; 16]) -> RunId {
    RunId(Uuid::from_bytes(bytes))
}

/// A job's id as a row's. Larger ones than any row has find nothing.
pub(crate) fn row_id(job: JobId) -> i64 {
    i64::try_from(job.0).unwrap_or(-1)
}

/// A row's id as a job's.
pub(crate) fn job_id(id: i64) -> JobId {
    JobId(u64::try_from(id).unwrap_or(0))
}

/// A number that is never negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A number as a column takes it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Postcard of something small.
pub(crate) fn to_blob<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, HubError> {
    postcard::to_allocvec(value).map_err(|error| HubError::damaged(error.to_string()))
}

/// What [`to_blob`] wrote.
pub(crate) fn from_blob<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, HubError> {
    postcard::from_bytes(bytes).map_err(|error| HubError::damaged(error.to_string()))
}
