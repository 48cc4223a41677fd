//! [`HubError`]: everything that can go wrong in the hub and in the bucket.

use std::error::Error;
use std::path::PathBuf;

use bue_model::param::ParamError;
use bue_model::wire::FieldError;
use bue_model::{BlobHash, JobId, JobState, RunId};

use crate::plan_error::PlanError;

/// Schedules of a hub. Each is a row of the store, and nothing in the hub's memory.
pub(crate) const MAX_SCHEDULES: i64 = 100_000;

/// Why the hub or the bucket did not carry out a request.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The plan is invalid.
    #[error("the plan is invalid: {0}")]
    Plan(#[from] PlanError),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// No run has this id.
    #[error("there is no run {0}")]
    RunNotFound(RunId),
    /// No job has this id.
    #[error("there is no job {0}")]
    JobNotFound(JobId),
    /// No pipeline has this name.
    #[error("there is no pipeline `{0}`")]
    PipelineNotFound(String),
    /// The name of a pipeline is not allowed.
    #[error("`{0}` cannot be the name of a pipeline")]
    BadPipelineName(String),
    /// Two requests with one key ask for different runs.
    #[error("the key was used before for another run; it started run {0}")]
    OtherInvocation(RunId),
    /// Parameters of an invocation are missing, unknown or have unfit values.
    #[error("the parameters do not fit the pipeline: {}", all_problems(errors))]
    UnfitParams {
        /// The invocation in its batch, from 0.
        position: usize,
        /// At least one.
        errors: Vec<ParamError>,
    },
    /// No schedule has this name.
    #[error("there is no schedule `{0}`")]
    ScheduleNotFound(String),
    /// A schedule does not fit its pipeline, or a request does not fit its schedule.
    #[error("the schedule `{schedule}` is invalid: {}", all_fields(fields))]
    UnfitSchedule {
        /// The name of the schedule.
        schedule: String,
        /// At least one.
        fields: Vec<FieldError>,
    },
    /// There would be too many schedules.
    #[error("a hub has at most {MAX_SCHEDULES} schedules")]
    TooManySchedules,
    /// The run has no step of this name.
    #[error("the run has no step `{step}`; its steps are `{steps}`")]
    StepNotFound {
        /// The name in the request.
        step: String,
        /// The names of the run's steps.
        steps: String,
    },
    /// Only failed and cancelled jobs can be reset.
    #[error("job {job} cannot be reset: it is {}", state.name())]
    JobNotFailed {
        /// The job.
        job: JobId,
        /// Its state.
        state: JobState,
    },
    /// A job that has completed or failed cannot be cancelled.
    #[error("job {job} cannot be cancelled: it is {}", state.name())]
    JobEnded {
        /// The job.
        job: JobId,
        /// Its state.
        state: JobState,
    },
    /// Only a run that has ended can be deleted.
    #[error("run {0} cannot be deleted: it is still running")]
    RunStillRunning(RunId),
    /// The job's arguments do not exist yet.
    #[error("job {job} has no arguments yet: it waits for {waits_for} parents")]
    JobNotReady {
        /// The job.
        job: JobId,
        /// The number of parents that have not completed. The count stops at 20.
        waits_for: usize,
    },
    /// What depended on a failed job of a cancelled run was cancelled with the run.
    #[error("run {0} was cancelled, so its failed jobs are not reset alone")]
    RunCancelled(RunId),
    /// A cancelled job cannot be reset before the jobs that it waits for.
    #[error("job {job} cannot be reset: it waits for job {parent}, which failed or was cancelled")]
    BehindEnded {
        /// The job.
        job: JobId,
        /// The job, or the loop, that it waits for.
        parent: JobId,
    },
    /// A list may have been gathered without the result of a cancelled job.
    #[error(
        "job {job} of run {run} cannot be reset: rounds of a loop have ended, or were cancelled, without its result"
    )]
    LoopEnded {
        /// The run.
        run: RunId,
        /// The job.
        job: JobId,
    },
    /// Two requests with one id or key ask for different reruns.
    #[error("the run {0} exists, and is another one than this request asks for")]
    OtherRerun(RunId),
    /// Only a run that has ended can be run again.
    #[error("run {0} cannot be run again: it is still running")]
    OriginalRunning(RunId),
    /// While the `finally` block of a run runs, the jobs outside it stay as they are.
    #[error("run {0} is ending: its `finally` block runs, and its failed jobs can be reset after that")]
    RunEnding(RunId),
    /// The name of a key is not allowed.
    #[error("`{key}` is not a valid key: {reason}")]
    BadKey {
        /// The name as it was sent.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The bytes do not match the hash they were sent under.
    #[error("the bytes have the hash {actual}, not {expected}")]
    WrongHash {
        /// The hash in the request.
        expected: BlobHash,
        /// The hash of the bytes.
        actual: BlobHash,
    },
    /// The connection broke in the middle of a request's body.
    #[error("the request's body is incomplete: {0}")]
    IncompleteBody(String),
    /// An operation on a file or folder failed.
    #[error("failed to access {what} on the disk: {source}")]
    Disk {
        /// The file or folder.
        what: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A request to the S3 store failed or timed out.
    #[error("the S3 store refused {what}: {source}")]
    S3 {
        /// The object or folder.
        what: String,
        /// The store's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A bucket serves one database: it keeps the blobs of that database's runs and collects all others.
    #[error("this bucket keeps the blobs of another database, and would delete those of this one")]
    OtherDatabase,
    /// SQLite returned an error: full, read-only, damaged. Nothing was changed.
    #[error("the database refused the request: {0}")]
    Database(#[from] rusqlite::Error),
    /// PostgreSQL returned an error. Nothing was changed.
    #[error("the database refused the request: {}", postgres_error_text(.0))]
    Postgres(tokio_postgres::Error),
    /// The database does not answer, or has no free connection. Nothing was changed.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A hub cannot start with this PostgreSQL database.
    #[error("the {database} cannot be used: {reason}; {hint}")]
    Unusable {
        /// The database, without its password.
        database: String,
        /// What the database reported.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The connection broke during COMMIT, so the change may or may not have taken place.
    #[error("it is unknown whether the database committed the change: {0}")]
    Unsure(String),
    /// Another program has created a schema called `bue`.
    #[error(
        "the schema `bue` of the database `{0}` holds tables that are not bue's; name another database, or rename that \
         schema: ALTER SCHEMA bue RENAME TO …"
    )]
    ForeignSchema(String),
    /// The transaction that this request was part of failed to commit. Nothing was changed.
    #[error("the database did not commit the change: {0}")]
    NotCommitted(String),
    /// The thread that owns the database has ended.
    #[error("the store has stopped")]
    Stopped,
    /// Another process has the database or folder open. Two of them would overwrite each other's changes.
    #[error("{0} is in use by another process; stop that process, or give this one a different path")]
    InUse(PathBuf),
    /// A later release has written the database.
    #[error("the database {path} has layout {layout} and this release knows up to {supported}; use the newer release")]
    NewerLayout {
        /// The database's file or name.
        path: PathBuf,
        /// Its layout.
        layout: i64,
        /// The newest layout that this release supports.
        supported: i64,
    },
    /// Rows contradict each other.
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

fn all_problems(errors: &[ParamError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn all_fields(fields: &[FieldError]) -> String {
    fields.iter().map(|one| format!("`{}`: {}", one.field, one.message)).collect::<Vec<_>>().join("; ")
}

/// The server's message; where the error is the driver's, the chain of its sources. Contains no password.
pub(crate) fn postgres_error_text(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
