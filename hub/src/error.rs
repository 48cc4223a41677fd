//! What can go wrong in hub and bucket.

use std::path::PathBuf;

use bue_model::{BlobHash, JobId, JobState, RunId};

use crate::plan_error::PlanError;

/// Why the hub or the bucket did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A plan that is none.
    #[error("the plan is refused: {0}")]
    Plan(#[from] PlanError),
    /// A request that makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// An unknown run.
    #[error("there is no run {0}")]
    RunNotFound(RunId),
    /// An unknown job.
    #[error("there is no job {0}")]
    JobNotFound(JobId),
    /// Only what failed can be put back.
    #[error("job {job} cannot be reset: it is {}", state.name())]
    NotFailed {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// What has completed or failed cannot be called off.
    #[error("job {job} cannot be cancelled: it is {}", state.name())]
    Ended {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// Only a run that is over can be deleted.
    #[error("run {0} cannot be deleted: it is still running")]
    RunOpen(RunId),
    /// Its arguments are not there yet.
    #[error("job {job} has no arguments yet: it waits for {waits_for} parents")]
    NotReady {
        /// The job.
        job: JobId,
        /// Parents that have not completed; twenty may be more.
        waits_for: usize,
    },
    /// A run that was called off stays so.
    #[error("run {0} was cancelled and cannot be reset")]
    RunCancelled(RunId),
    /// A name that may not be one.
    #[error("`{key}` is no key: {why}")]
    BadKey {
        /// As given.
        key: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Bytes that are not what their name says.
    #[error("the bytes have the hash {found}, not {expected}")]
    WrongHash {
        /// Asked for.
        expected: BlobHash,
        /// Of the bytes.
        found: BlobHash,
    },
    /// A body that broke off.
    #[error("the body broke off: {0}")]
    Body(String),
    /// The disk said no.
    #[error("the disk refused {what}: {source}")]
    Disk {
        /// Which file or folder.
        what: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The S3 store said no, or does not answer.
    #[error("the S3 store refused {what}: {source}")]
    Shelf {
        /// Which object or folder.
        what: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A bucket serves one database: it keeps the blobs of that one's runs, and of no other's.
    #[error("this bucket keeps the blobs of another database, and would throw away those of this one")]
    OtherDatabase,
    /// The database said no: full, read-only, damaged. Nothing was changed.
    #[error("the database refused: {0}")]
    Database(#[from] rusqlite::Error),
    /// PostgreSQL said no. Nothing was changed.
    #[error("the database refused: {}", crate::postgres::explain(.0))]
    Postgres(tokio_postgres::Error),
    /// Nobody answers at the database's address, or too many ask. Nothing was changed.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A PostgreSQL database that a hub cannot start with.
    #[error("the {place} cannot be used: {why}; {advice}")]
    Unusable {
        /// Which one, without its password.
        place: String,
        /// What it said.
        why: String,
        /// What to do.
        advice: &'static str,
    },
    /// The connection broke, or the database gave up, while it took a change.
    #[error("nobody knows whether the database took the change: {0}")]
    Unsure(String),
    /// A schema of our name that somebody else made.
    #[error(
        "the schema `bue` of the database `{0}` holds tables that are not bue's; name another database, or rename that \
         schema: ALTER SCHEMA bue RENAME TO …"
    )]
    NotOurs(String),
    /// The transaction this was part of did not reach the disk. Nothing was changed.
    #[error("the database did not take the change: {0}")]
    NotCommitted(String),
    /// The thread that owns the database is gone.
    #[error("the store has stopped")]
    Stopped,
    /// Two servers on one database or folder would not know of each other.
    #[error("{0} is in use by another process; stop that one, or give this one a place of its own")]
    InUse(PathBuf),
    /// A database of a later release.
    #[error("the database {path} has layout {found} and this release knows up to {known}; use the newer release")]
    NewerLayout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Rows that do not fit together.
    #[error("the database is damaged: {0}")]
    Damaged(String),
}

impl From<tokio_postgres::Error> for HubError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl HubError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}
