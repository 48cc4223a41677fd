//! The OpenAPI descriptions of the hub's operations.

use crate::api::routes::Operation;
use crate::http::openapi::operation_doc::{Content, Documented, OperationDoc, ParameterKind, QueryParameter};

/// Errors of operations that read something by its id.
const READ_ERRORS: &[u16] = &[400, 404, 503];
/// Errors of operations that follow a log.
const FOLLOW_ERRORS: &[u16] = &[400, 404, 429, 503];
/// Errors of the operation that returns or follows the log of a job.
const LOG_ERRORS: &[u16] = &[400, 404, 409, 429, 503];
/// Errors of operations that change something by its id.
const CHANGE_ERRORS: &[u16] = &[400, 404, 409, 503];
/// Errors of operations that read a body.
const MESSAGE_ERRORS: &[u16] = &[400, 408, 413, 415, 503];

/// Errors of invocations.
const INVOKE_ERRORS: &[u16] = &[400, 404, 408, 409, 413, 415, 422, 503];

/// Errors of requests that set or run a schedule.
const SCHEDULE_ERRORS: &[u16] = &[400, 404, 408, 409, 413, 415, 422, 503];

/// Errors of operations on many runs.
const BULK_ERRORS: &[u16] = &[400, 408, 413, 415, 422, 503];

/// A postcard message that is answered with another one.
const fn message(summary: &'static str) -> OperationDoc {
    OperationDoc { request: &[Content::Postcard], ..OperationDoc::new(summary, Content::Postcard, MESSAGE_ERRORS) }
}

const fn integer(name: &'static str, description: &'static str, maximum: u64) -> QueryParameter {
    QueryParameter { name, description, kind: ParameterKind::Integer(0, maximum) }
}

const fn parameter(name: &'static str, description: &'static str, kind: ParameterKind) -> QueryParameter {
    QueryParameter { name, description, kind }
}

const SINCE: QueryParameter = parameter(
    "since",
    "only from this time on: milliseconds since 1970, a time such as 2026-11-01T06:00:00Z, or an age such as 2h",
    ParameterKind::Text,
);
const UNTIL: QueryParameter = parameter("until", "only before this time, given in the same way", ParameterKind::Text);
const AFTER: QueryParameter = parameter("after", "`next` of the page before", ParameterKind::Position);
const VALUES: QueryParameter = parameter(
    "values",
    "how values are written: `json`, the default, or `cbor`, which loses no types",
    ParameterKind::ValueForm,
);
const LIMIT: QueryParameter = QueryParameter {
    name: "limit",
    description: "the largest number of entries; at most 100",
    kind: ParameterKind::Integer(1, u32::MAX as u64),
};

/// An operation on many runs.
const fn bulk(summary: &'static str) -> OperationDoc {
    OperationDoc {
        request: &[Content::Json("BulkRequest")],
        ..OperationDoc::new(summary, Content::Json("Bulk"), BULK_ERRORS)
    }
}

impl Documented for Operation {
    fn doc(self) -> OperationDoc {
        let changed = |summary| OperationDoc::new(summary, Content::Json("Changed"), CHANGE_ERRORS);
        match self {
            Self::ListRuns => OperationDoc {
                query: const {
                    &[
                        parameter(
                            "id",
                            "only runs whose ids begin with these digits, by id; no other filter beside it",
                            ParameterKind::RunPrefix,
                        ),
                        parameter("state", "only runs in these states; may be repeated", ParameterKind::RunStates),
                        parameter("pipeline", "only runs of this pipeline", ParameterKind::Text),
                        parameter(
                            "name",
                            "only runs of the script of this path; with a `*` at its end, of all whose paths begin so",
                            ParameterKind::Text,
                        ),
                        parameter(
                            "param.NAME",
                            "only runs of pipelines that were given this value of the parameter NAME: its text, or JSON",
                            ParameterKind::Text,
                        ),
                        SINCE,
                        UNTIL,
                        AFTER,
                        LIMIT,
                    ]
                },
                ..OperationDoc::new("lists runs, newest first, page by page", Content::Json("RunPage"), &[400, 503])
            },
            Self::CancelRuns => bulk("cancels the runs that a filter matches, up to 1000 in one request"),
            Self::ResetRuns => {
                bulk("resets the failed jobs of the runs that a filter matches, of up to 1000 in one request")
            }
            Self::DeleteRuns => bulk("deletes the runs that a filter matches, up to 1000 in one request"),
            Self::ListErrors => OperationDoc {
                query: const {
                    &[
                        integer("group", "1: in groups of the same step and the same first line of the message", 1),
                        parameter("step", "only jobs of steps with this name", ParameterKind::Text),
                        SINCE,
                        UNTIL,
                        AFTER,
                        LIMIT,
                    ]
                },
                ..OperationDoc::new(
                    "lists the failed jobs of all runs, those that failed last first, page by page",
                    Content::EitherJson("ErrorPage", "ErrorGroupPage"),
                    &[400, 503],
                )
            },
            Self::ListAudit => OperationDoc {
                query: const {
                    &[
                        parameter("run", "only entries about this run", ParameterKind::RunId),
                        parameter("actor", "only entries of the token with this name", ParameterKind::Text),
                        parameter("action", "only entries with this action, such as run.cancel", ParameterKind::Text),
                        SINCE,
                        UNTIL,
                        AFTER,
                        LIMIT,
                    ]
                },
                ..OperationDoc::new(
                    "lists who changed what, newest first, page by page",
                    Content::Json("AuditPage"),
                    &[400, 503],
                )
            },
            Self::GetRunAudit => OperationDoc {
                query: const { &[AFTER, LIMIT] },
                ..OperationDoc::new(
                    "lists who changed this run, newest first, page by page",
                    Content::Json("AuditPage"),
                    READ_ERRORS,
                )
            },
            Self::GetHistory => OperationDoc {
                query: const {
                    &[
                        parameter(
                            "from",
                            "the beginning: milliseconds since 1970, a time such as 2026-11-01T06:00:00Z, or an age such as 2h; an \
                             hour before the end by default",
                            ParameterKind::Text,
                        ),
                        parameter("to", "the end, given in the same way; now by default", ParameterKind::Text),
                    ]
                },
                ..OperationDoc::new(
                    "returns how many runs, jobs and workers there were: every ten seconds of the last hour, every minute of \
                     the last day, every ten minutes of the last week",
                    Content::Json("History"),
                    &[400, 503],
                )
            },
            Self::GetCounts => OperationDoc::new(
                "returns how many runs, jobs and workers there are, counted within the last second, and when the oldest run \
                 that has not ended was created",
                Content::Json("Counts"),
                &[400, 503],
            ),
            Self::SubmitRun => OperationDoc {
                request: &[Content::Json("Submission"), Content::Postcard],
                ..OperationDoc::new(
                    "submits a run; idempotent for the same id",
                    Content::Json("Submitted"),
                    MESSAGE_ERRORS,
                )
            },
            Self::GetRun => OperationDoc {
                query: const {
                    &[
                        integer("seen", "wait until the run's version is larger", u64::MAX),
                        integer("wait_ms", "wait no longer than this; at most 60000", u64::MAX),
                    ]
                },
                ..OperationDoc::new("returns a run", Content::Json("Run"), READ_ERRORS)
            },
            Self::DeleteRun => {
                OperationDoc::new("deletes a run that has ended", Content::Json("Nothing"), CHANGE_ERRORS)
            }
            Self::ListJobs => OperationDoc {
                query: const {
                    &[
                        parameter("step", "only jobs of this step", ParameterKind::Text),
                        parameter("state", "only jobs in this state", ParameterKind::JobState),
                        parameter(
                            "round",
                            "only jobs in this round of the outermost loop around them; 3.17: in round 17 of a loop inside round 3",
                            ParameterKind::Rounds,
                        ),
                        integer("after", "only jobs with larger numbers: `next` of the page before", u64::MAX),
                        QueryParameter {
                            name: "limit",
                            description: "the largest number of jobs; 100 by default, at most 200",
                            kind: ParameterKind::Integer(1, u32::MAX as u64),
                        },
                        integer("digests", "1: with the hashes of results; equal results have equal ones", 1),
                    ]
                },
                ..OperationDoc::new("lists the jobs of a run, page by page", Content::Json("JobPage"), READ_ERRORS)
            },
            Self::ListWorkers => OperationDoc::new(
                "lists the workers that the hubs of this database have heard of in the last minute",
                Content::JsonArray("Worker"),
                &[],
            ),
            Self::GetResults => OperationDoc {
                query: const {
                    &[
                        parameter("after", "`next` of the page before, in JSON", ParameterKind::Position),
                        VALUES,
                        integer("call", "the number of calls before the page", u32::MAX as u64),
                        integer("round", "the number of that call's rounds before the page", u64::MAX),
                    ]
                },
                ..OperationDoc::new(
                    "returns a page of a run's results",
                    Content::PostcardOrJson("ResultPage"),
                    READ_ERRORS,
                )
            },
            Self::FollowRunLog => OperationDoc {
                query: const {
                    &[QueryParameter {
                        name: "step",
                        description: "only the jobs of this step",
                        kind: ParameterKind::Text,
                    }]
                },
                ..OperationDoc::new(
                    "streams what the running jobs of a run print, until it has ended",
                    Content::Events,
                    FOLLOW_ERRORS,
                )
            },
            Self::CancelRun => changed("cancels a run"),
            Self::GetRunPlan => OperationDoc::new(
                "returns the plan of a run: its parameters with their values, and its steps",
                Content::Json("RunPlan"),
                READ_ERRORS,
            ),
            Self::ResetRun => {
                changed("makes a run's failed jobs available again, and those that were cancelled with it")
            }
            Self::RerunRun => OperationDoc {
                query: const { &[integer("wait_ms", "wait for the end of the new run; at most 60000", u64::MAX)] },
                request: &[Content::OptionalJson("Rerun")],
                status: 201,
                ..OperationDoc::new(
                    "starts a run that repeats this one, which has ended, and reuses results where nothing has changed; the \
                     header Idempotency-Key starts one run for each key",
                    Content::Json("Invoked"),
                    INVOKE_ERRORS,
                )
            },
            Self::GetJob => OperationDoc::new("returns a job", Content::Json("Job"), READ_ERRORS),
            Self::ExplainJob => {
                OperationDoc::new("returns what a job waits for, or how it ended", Content::Json("Why"), READ_ERRORS)
            }
            Self::GetTask => {
                OperationDoc::new("returns what a worker would receive for a job", Content::Postcard, CHANGE_ERRORS)
            }
            Self::GetResult => OperationDoc {
                query: const { &[VALUES] },
                ..OperationDoc::new("returns the result of a job", Content::Json("JobResult"), READ_ERRORS)
            },
            Self::GetInputs => OperationDoc {
                query: const { &[VALUES] },
                ..OperationDoc::new("returns what a job is called with", Content::Json("JobInputs"), CHANGE_ERRORS)
            },
            Self::GetLog => OperationDoc {
                query: const { &[integer("follow", "1: stream what the job prints, until it has ended", 1)] },
                ..OperationDoc::new("returns a job's latest log", Content::Log, LOG_ERRORS)
            },
            Self::CancelJob => changed("cancels the call that a job belongs to"),
            Self::ResetJob => changed("makes a failed or cancelled job available again"),
            Self::ListPipelines => {
                OperationDoc::new("lists the published pipelines", Content::JsonArray("PipelineSummary"), &[503])
            }
            Self::Publish => OperationDoc {
                request: &[Content::Json("Publication"), Content::Postcard],
                ..OperationDoc::new(
                    "publishes a version of a pipeline; equal content is the same version",
                    Content::Json("Published"),
                    MESSAGE_ERRORS,
                )
            },
            Self::GetPipeline => OperationDoc::new(
                "returns a pipeline: parameters, versions, latest runs",
                Content::Json("Pipeline"),
                &[404, 503],
            ),
            Self::Unpublish => OperationDoc::new("removes a pipeline", Content::Json("Nothing"), &[404, 503]),
            Self::Invoke => OperationDoc {
                query: const { &[integer("wait_ms", "wait for the end of the run; at most 60000", u64::MAX)] },
                request: &[Content::OptionalJson("Invocation")],
                status: 201,
                ..OperationDoc::new(
                    "starts a run of a pipeline; the header Idempotency-Key starts one run for each key",
                    Content::Json("Invoked"),
                    INVOKE_ERRORS,
                )
            },
            Self::InvokeBatch => OperationDoc {
                request: &[Content::Json("Invocations")],
                status: 201,
                ..OperationDoc::new(
                    "starts up to 1000 runs of a pipeline, all of them or none",
                    Content::JsonArray("Invoked"),
                    INVOKE_ERRORS,
                )
            },
            Self::ListSchedules => OperationDoc {
                query: const {
                    &[
                        parameter(
                            "after",
                            "only schedules whose names come later: `next` of the page before",
                            ParameterKind::Text,
                        ),
                        QueryParameter {
                            name: "limit",
                            description: "the largest number of schedules; at most 100",
                            kind: ParameterKind::Integer(1, u32::MAX as u64),
                        },
                    ]
                },
                ..OperationDoc::new("lists the schedules by name", Content::Json("SchedulePage"), &[400, 503])
            },
            Self::ApplySchedules => OperationDoc {
                request: &[Content::Json("ScheduleUpdate")],
                ..OperationDoc::new(
                    "sets up to 1000 schedules, all of them or none; with `prune`, removes all others",
                    Content::JsonArray("AppliedSchedule"),
                    SCHEDULE_ERRORS,
                )
            },
            Self::PutSchedule => OperationDoc {
                request: &[Content::Json("ScheduleSpec")],
                ..OperationDoc::new(
                    "creates or changes a schedule; idempotent",
                    Content::Json("AppliedSchedule"),
                    SCHEDULE_ERRORS,
                )
            },
            Self::GetSchedule => OperationDoc::new(
                "returns a schedule: its next due times, its last run, counts",
                Content::Json("Schedule"),
                &[404, 503],
            ),
            Self::ListScheduleRuns => OperationDoc {
                query: const { &[LIMIT] },
                ..OperationDoc::new(
                    "lists the latest runs of a schedule, by their due times, the last one first",
                    Content::Json("ScheduleRuns"),
                    &[400, 404, 503],
                )
            },
            Self::RemoveSchedule => {
                OperationDoc::new("removes a schedule; its runs go on", Content::Json("Nothing"), &[404, 503])
            }
            Self::PauseSchedule => OperationDoc::new("pauses a schedule", Content::Json("Nothing"), &[404, 503]),
            Self::ResumeSchedule => OperationDoc::new(
                "resumes a schedule, from its next due time on",
                Content::Json("Nothing"),
                &[404, 503],
            ),
            Self::RunSchedule => OperationDoc {
                query: const { &[integer("wait_ms", "wait for the end of the run; at most 60000", u64::MAX)] },
                status: 201,
                ..OperationDoc::new(
                    "starts a run of a schedule now; the header Idempotency-Key starts one run for each key",
                    Content::Json("Invoked"),
                    &[400, 404, 422, 503],
                )
            },
            Self::Backfill => OperationDoc {
                query: const { &[integer("wait_ms", "wait for the end of one of its runs; at most 60000", u64::MAX)] },
                request: &[Content::Json("Backfill")],
                ..OperationDoc::new(
                    "starts the next runs of due times that have passed, and returns how far it is; send it again until \
                     none is running or waiting",
                    Content::Json("BackfillProgress"),
                    SCHEDULE_ERRORS,
                )
            },
            Self::Lease => message("leases jobs; waits until some are ready"),
            Self::Heartbeat => message("extends leases"),
            Self::ReceiveLogs => message("receives what jobs print that somebody follows"),
            Self::ReportOutcomes => message("reports the outcomes of jobs"),
            Self::RecordPiece => message("receives elements of the list of a running job"),
            Self::StreamEvents => OperationDoc {
                query: const { &[parameter("run", "only changes of this run", ParameterKind::RunId)] },
                ..OperationDoc::new("streams the ids of runs that change", Content::Events, &[400])
            },
            Self::GetInfo => OperationDoc::new("describes the hub", Content::Json("Info"), &[]),
            Self::NewWebCode => OperationDoc::new(
                "makes a link that opens the dashboard as the sender, once and within a minute",
                Content::Json("WebCode"),
                &[404, 503],
            ),
            Self::GetMetrics => OperationDoc::new(
                "returns metrics for Prometheus",
                Content::Bytes("application/openmetrics-text"),
                &[503],
            ),
            Self::GetOpenApi => OperationDoc::new("returns this document", Content::Json("Document"), &[]),
            Self::CheckHealth => {
                OperationDoc::new("checks that the process is running", Content::Bytes("text/plain"), &[])
            }
            Self::CheckReady => {
                OperationDoc::new("checks that the database answers", Content::Bytes("text/plain"), &[503])
            }
        }
    }
}
