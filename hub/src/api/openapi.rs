//! What the hub's routes take and give.

use crate::api::hub_server::Call;
use crate::http::openapi::{About, Content, Described, Given, Query};

const BY_ID: &[u16] = &[400, 404, 503];
const CHANGES: &[u16] = &[400, 404, 409, 503];
const MESSAGES: &[u16] = &[400, 408, 413, 415, 503];

const fn about(summary: &'static str, gives: Content, refuses: &'static [u16]) -> About {
    About { summary, query: &[], takes: &[], gives, refuses }
}

const fn message(summary: &'static str) -> About {
    About { takes: &[Content::Postcard], ..about(summary, Content::Postcard, MESSAGES) }
}

impl Described for Call {
    fn about(self) -> About {
        match self {
            Self::Runs => about("the latest hundred runs, newest first", Content::JsonList("Run"), &[503]),
            Self::Submit => About {
                takes: &[Content::Json("Submission"), Content::Postcard],
                ..about("hands a run in; the same id again changes nothing", Content::Json("Submitted"), MESSAGES)
            },
            Self::Run => About {
                query: &[
                    Query {
                        name: "seen",
                        about: "wait until its version is larger",
                        given: Given::Number(0, u64::MAX),
                    },
                    Query {
                        name: "wait_ms",
                        about: "and no longer than this, nor than 60000",
                        given: Given::Number(0, u64::MAX),
                    },
                ],
                ..about("a run", Content::Json("Run"), BY_ID)
            },
            Self::DeleteRun => about("forgets a run that is over", Content::Json("Nothing"), CHANGES),
            Self::Results => About {
                query: &[
                    Query { name: "call", about: "calls before the page", given: Given::Number(0, u32::MAX as u64) },
                    Query {
                        name: "round",
                        about: "rounds of that call before the page",
                        given: Given::Number(0, u64::MAX),
                    },
                ],
                ..about("a page of a run's results", Content::Postcard, BY_ID)
            },
            Self::CancelRun => about("calls a run off", Content::Json("Changed"), CHANGES),
            Self::ResetRun => about("puts a run's failed jobs back", Content::Json("Changed"), CHANGES),
            Self::Job => about("a job", Content::Json("Job"), BY_ID),
            Self::Why => about("what a job waits for, or what became of it", Content::Json("Why"), BY_ID),
            Self::Task => about("what a worker would be told of a job", Content::Postcard, CHANGES),
            Self::Log => about("where a job's last log is", Content::Postcard, BY_ID),
            Self::CancelJob => about("calls a job's call off", Content::Json("Changed"), CHANGES),
            Self::ResetJob => about("puts a failed job back", Content::Json("Changed"), CHANGES),
            Self::Lease => message("jobs to run; waits until there are some"),
            Self::Heartbeat => message("extends leases"),
            Self::Outcomes => message("what became of jobs"),
            Self::Events => about("ids of runs as they change, without end", Content::Bytes("text/event-stream"), &[]),
            Self::Info => about("what the hub says of itself", Content::Json("Info"), &[]),
            Self::Metrics => about("numbers for Prometheus", Content::Bytes("application/openmetrics-text"), &[503]),
            Self::OpenApi => about("this document", Content::Json("Document"), &[]),
            Self::Health => about("whether the process lives", Content::Bytes("text/plain"), &[]),
            Self::Ready => about("whether the database answers", Content::Bytes("text/plain"), &[503]),
        }
    }
}
