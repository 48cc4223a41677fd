//! The schemas of JSON bodies. A test compares those of responses with the types that are serialized.

use serde_json::{Value, json};

/// The largest integer that JSON readers keep exactly.
const MAX_SAFE_INTEGER: u64 = 1 << 53;

/// A reference to the schema of this name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schema of a path's parameter.
pub(super) fn path_parameter(path: &str, name: &str) -> Value {
    match name {
        "hash" => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
        "key" => {
            json!({ "type": "string", "minLength": 1, "maxLength": 1024, "description": "parts separated by /" })
        }
        "name" => json!({ "type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$" }),
        _ if path.starts_with("/v1/runs") => uuid(),
        _ => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
    }
}

/// All schemas, by name.
pub(super) fn all() -> Value {
    // one object with all of them is more than the macro can read
    [schedules(), reruns(), lists(), records()].into_iter().fold(general(), with_entries)
}

fn general() -> Value {
    json!({
        "Error": object(&json!({
            "error": with_optional(
                object(&json!({
                    "code": { "type": "string", "description": "for programs, like run_not_found" },
                    "message": { "type": "string", "description": "what happened" },
                    "hint": { "type": "string", "description": "what to do" },
                })),
                &json!({ "fields": { "type": "array", "items": reference("FieldError") } }),
            ),
        })),
        "FieldError": object(&json!({ "field": text(), "message": text() })),
        "Invocation": invocation(),
        "Invocations": object(&json!({ "runs": { "type": "array", "items": reference("Invocation"), "maxItems": 1000 } })),
        "Invoked": object(&json!({ "run": uuid(), "state": run_state() })),
        "Publication": publication(),
        "Published": object(&json!({ "version": count(), "created": { "type": "boolean" } })),
        "PipelineSummary": object(&json!({
            "name": text(),
            "version": count(),
            "script": text(),
            "published_at": time(),
        })),
        "Pipeline": object(&json!({
            "name": text(),
            "version": count(),
            "params": { "type": "array", "items": reference("Param") },
            "versions": {
                "type": "array",
                "items": object(&json!({ "version": count(), "script": text(), "published_at": time() })),
            },
            "runs": { "type": "array", "items": reference("PipelineRun") },
        })),
        "PipelineRun": object(&json!({
            "run": uuid(),
            "version": count(),
            "state": run_state(),
            "created_at": time(),
            "finished_at": or_null(&time()),
            "params": { "type": "string", "description": "what the caller gave, as JSON" },
        })),
        "Param": param(),
        "Nothing": { "type": "null" },
        "Changed": object(&json!({ "jobs": count() })),
        "Submitted": object(&json!({ "run": uuid() })),
        "Info": object(&json!({ "version": text(), "bucket": or_null(&text()), "scopes": texts(), "wire": count() })),
        "Run": object(&json!({
            "id": uuid(),
            "name": text(),
            "state": run_state(),
            "created_at": time(),
            "finished_at": or_null(&time()),
            "version": count(),
            "counts": reference("JobCounts"),
            "step_count": count(),
            "steps": {
                "type": "array",
                "items": reference("StepCounts"),
                "description": "of the first thousand steps; empty in a list of runs",
            },
            "now": time(),
            "eta": or_null(&time()),
            "unserved": { "type": "array", "items": reference("UnservedScope") },
            "rerun_of": or_null(&uuid()),
            "pipeline": or_null(&run_pipeline()),
        })),
        "UnservedScope": object(&json!({ "scope": text(), "steps": texts(), "more_steps": count(), "jobs": count() })),
        "Worker": object(&json!({
            "name": text(),
            "scopes": texts(),
            "silent_ms": count(),
            "heard_at": time(),
            "abilities": reference("WorkerAbilities"),
            "host": text(),
            "since": time(),
            "jobs_held": count(),
            "jobs_running": count(),
            "memory_used": or_null(&count()),
            "memory_limit": count(),
            "cores": count(),
        })),
        "WorkerAbilities": object(&json!({
            "version": text(),
            "languages": texts(),
            "net": texts(),
            "tcp": texts(),
            "secrets": texts(),
            "databases": texts(),
            "environment": texts(),
            "wall": texts(),
        })),
        "StepCounts": step_counts(),
        "JobCounts": object(&json!({
            "blocked": count(),
            "available": count(),
            "running": count(),
            "completed": count(),
            "failed": count(),
            "cancelled": count(),
        })),
        "JobState": { "enum": ["blocked", "available", "running", "completed", "failed", "cancelled"] },
        "Failure": object(&json!({
            "kind": {
                "enum": ["raised", "limit", "denied", "bad_input", "bad_result", "bad_code", "trap", "internal"],
            },
            "message": text(),
            "trace": or_null(&text()),
            "retry_after_ms": or_null(&count()),
        })),
        "Job": with_optional(object(&json!({
            "id": count(),
            "run": uuid(),
            "step": text(),
            "line": count(),
            "rounds": { "type": "array", "items": reference("Round") },
            "arguments": { "type": "array", "items": reference("Argument") },
            "state": reference("JobState"),
            "available_at": time(),
            "attempts": count(),
            "waiting_for": count(),
            "worker": or_null(&text()),
            "failure": or_null(&reference("Failure")),
            "blocked_by": or_null(&count()),
            "reused": { "type": "boolean", "description": "it has the result of an earlier run and did not run" },
        })), &json!({ "digest": hex_hash() })),
        "JobPage": object(&json!({
            "jobs": { "type": "array", "items": reference("Job") },
            "next": or_null(&count()),
        })),
        "Round": object(&json!({
            "variable": text(),
            "line": count(),
            "round": { "type": "integer", "minimum": 1, "description": "which round it is, from 1" },
            "rounds": count(),
        })),
        "Argument": object(&json!({
            "name": or_null(&text()),
            "value": { "type": "string", "description": "in short, as Python would print it" },
        })),
        "Why": object(&json!({
            "job": reference("Job"),
            "now": time(),
            "scope": text(),
            "parents": { "type": "array", "items": reference("Parent") },
            "pendings": count(),
            "releases": count(),
            "lease_ends_at": or_null(&time()),
            "rate_opens_at": or_null(&time()),
            "at_most": or_null(&reference("AtMost")),
            "expires_at": or_null(&time()),
            "served_by": texts(),
        })),
        "AtMost": object(&json!({ "running": count(), "limit": count() })),
        "Parent": object(&json!({
            "job": count(),
            "name": text(),
            "state": reference("JobState"),
            "rounds": or_null(&json!({ "type": "array", "items": count(), "minItems": 2, "maxItems": 2 })),
        })),
        "Submission": submission(),
        "Plan": plan(),
        "Document": { "type": "object" },
    })
}

/// The schemas of schedules.
fn schedules() -> Value {
    json!({
        "ScheduleSpec": schedule_spec(),
        "ScheduleUpdate": schedule_update(),
        "AppliedSchedule": object(&json!({
            "name": text(),
            "change": { "enum": ["created", "changed", "unchanged", "removed"] },
            "next": or_null(&time()),
        })),
        "SchedulePage": object(&json!({
            "schedules": { "type": "array", "items": reference("Schedule") },
            "next": or_null(&text()),
        })),
        "Schedule": schedule(),
        "ScheduleRuns": object(&json!({ "runs": { "type": "array", "items": reference("ScheduledRun") } })),
        "ScheduledRun": object(&json!({ "run": uuid(), "state": run_state(), "due": time() })),
        "RunCounts": object(&json!({
            "running": count(),
            "completed": count(),
            "failed": count(),
            "cancelled": count(),
        })),
        "Backfill": with_optional(
            object(&json!({ "from": text(), "to": text() })),
            &json!({ "at_most": { "type": "integer", "minimum": 1, "maximum": 100 } }),
        ),
        "BackfillProgress": object(&json!({
            "due": count(),
            "first": or_null(&time()),
            "last": or_null(&time()),
            "waiting": count(),
            "runs": reference("RunCounts"),
            "rest_from": or_null(&time()),
        })),
    })
}

/// The schemas of reruns.
fn reruns() -> Value {
    let replacement = object(&json!({
        "step": text(),
        "language": text(),
        "function": text(),
        "file": text(),
        "code": hex_hash(),
        "bytes": count(),
    }));
    let fields = json!({
        "run": { "type": "string", "format": "uuid", "description": "a random id for the new run" },
        "key": { "type": "string", "minLength": 1, "maxLength": 255, "description": "instead of `run`" },
        "from": texts(),
        "only": texts(),
        "params": { "type": "object", "description": "new values of parameters, by name" },
        "replace": { "type": "array", "items": replacement, "maxItems": 1000 },
    });
    json!({
        "Rerun": with_optional(object(&json!({})), &fields),
        "RunPlan": object(&json!({
            "run": uuid(),
            "name": text(),
            "pipeline": or_null(&run_pipeline()),
            "rerun_of": or_null(&uuid()),
            "params": { "type": "array", "items": reference("Param") },
            "steps": {
                "type": "array",
                "items": object(&json!({ "step": { "type": "object" }, "code": blob() })),
            },
        })),
    })
}

/// The schemas of lists, of values as JSON and of operations on many runs.
fn lists() -> Value {
    let next =
        || or_null(&json!({ "type": "string", "description": "`after` of the next page; null on the last one" }));
    let entries = |name: &str| json!({ "type": "array", "items": reference(name) });
    let filter = with_optional(
        object(&json!({})),
        &json!({
            "state": { "anyOf": [text(), texts()] },
            "pipeline": text(),
            "name": text(),
            "params": { "type": "object", "description": "values of parameters, by name" },
            "since": { "anyOf": [text(), time()] },
            "until": { "anyOf": [text(), time()] },
            "step": text(),
            "error": { "type": "string", "description": "text in the message or traceback of a failed job" },
            "group": { "type": "string", "description": "the message of a group of failed jobs, as the list of errors has it" },
        }),
    );
    json!({
        "RunPage": object(&json!({ "runs": entries("Run"), "next": next() })),
        "ErrorPage": object(&json!({ "errors": entries("ErrorEntry"), "next": next() })),
        "ErrorEntry": object(&json!({ "at": time(), "name": text(), "job": reference("Job") })),
        "ErrorGroupPage": object(&json!({ "groups": entries("ErrorGroup"), "jobs": count(), "next": next() })),
        "ErrorGroup": object(&json!({
            "step": text(),
            "message": text(),
            "count": count(),
            "newest": reference("ErrorTime"),
            "oldest": reference("ErrorTime"),
        })),
        "ErrorTime": object(&json!({ "at": time(), "run": uuid(), "job": count() })),
        "ResultPage": object(&json!({
            "run": uuid(),
            "state": run_state(),
            "results": entries("CallResult"),
            "failed": entries("FailedJob"),
            "next": next(),
        })),
        "CallResult": with_optional(
            object(&json!({
                "call": count(),
                "line": count(),
                "name": or_null(&text()),
                "used": { "type": "boolean" },
                "state": { "enum": ["completed", "failed", "cancelled", "skipped", "running"] },
                "value": {},
                "first_round": count(),
            })),
            &json!({ "rounds": { "type": "object" } }),
        ),
        "FailedJob": object(&json!({
            "job": count(),
            "step": text(),
            "line": count(),
            "rounds": entries("Round"),
            "arguments": entries("Argument"),
            "attempts": count(),
            "worker": or_null(&text()),
            "failure": reference("Failure"),
        })),
        "JobResult": object(&json!({
            "job": count(),
            "run": uuid(),
            "step": text(),
            "state": reference("JobState"),
            "value": {},
            "failure": or_null(&reference("Failure")),
        })),
        "JobInputs": object(&json!({
            "job": count(),
            "run": uuid(),
            "step": text(),
            "inputs": { "type": "array" },
            "keywords": {},
            "env": {},
        })),
        "JobLog": object(&json!({
            "job": count(),
            "lines": { "type": "array", "items": object(&json!({ "at": or_null(&time()), "text": text() })) },
            "blob": or_null(&object(&json!({ "hash": hex_hash(), "bytes": count() }))),
        })),
        "BulkRequest": with_optional(
            object(&json!({})),
            &json!({
                "filter": filter,
                "all": { "type": "boolean", "description": "allows an empty filter" },
                "dry_run": { "type": "boolean", "description": "count, and change nothing" },
                "after": { "type": "string", "description": "`next` of the answer before" },
            }),
        ),
        "Bulk": object(&json!({
            "runs": count(),
            "jobs": count(),
            "dry_run": { "type": "boolean" },
            "examples": {
                "type": "array",
                "items": object(&json!({ "run": uuid(), "name": text(), "state": run_state(), "jobs": count() })),
            },
            "skipped": count(),
            "problems": {
                "type": "array",
                "items": object(&json!({ "run": uuid(), "code": text(), "message": text() })),
            },
            "next": next(),
        })),
    })
}

/// The schemas of the audit, the history and the dashboard.
fn records() -> Value {
    json!({
        "WebCode": object(&json!({ "path": text(), "expires_at": or_null(&time()) })),
        "AuditPage": object(&json!({
            "entries": { "type": "array", "items": reference("AuditEntry") },
            "next": or_null(&json!({ "type": "string", "description": "`after` of the next page; null on the last one" })),
        })),
        "AuditEntry": object(&json!({
            "at": time(),
            "actor": { "type": "string", "description": "the name of the token, `anonymous` or `tokens file`" },
            "role": or_null(&text()),
            "action": { "type": "string", "description": "such as run.cancel" },
            "target": text(),
            "run": or_null(&uuid()),
            "detail": { "type": "object" },
        })),
        "History": object(&json!({
            "from": time(),
            "to": time(),
            "interval_ms": count(),
            "samples": { "type": "array", "items": reference("HistorySample") },
        })),
        "HistorySample": object(&json!({
            "at": time(),
            "runs": count(),
            "blocked": count(),
            "available": count(),
            "running": count(),
            "completed": count(),
            "failed": count(),
            "cancelled": count(),
            "workers": count(),
        })),
    })
}

fn run_pipeline() -> Value {
    object(&json!({ "name": text(), "version": count() }))
}

/// Adds the entries of the second object to the first.
fn with_entries(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

fn run_state() -> Value {
    json!({ "enum": ["running", "completed", "failed", "cancelled"] })
}

fn invocation() -> Value {
    let fields = json!({
        "params": { "type": "object", "description": "values of parameters, by name" },
        "priority": { "type": "integer", "description": "added to the priority of every step" },
        "key": { "type": "string", "minLength": 1, "maxLength": 255, "description": "the same key starts one run" },
    });
    with_optional(object(&json!({})), &fields)
}

/// The fields that say when a schedule is due and what it runs, apart from `pipeline`.
fn schedule_fields() -> Value {
    json!({
        "cron": { "type": "string", "description": "minute, hour, day of the month, month, day of the week" },
        "every": { "type": "string", "description": "a duration such as 15m; instead of cron" },
        "timezone": { "type": "string", "description": "such as Europe/Berlin; UTC by default" },
        "params": { "type": "object", "description": "values of parameters, by name" },
        "priority": { "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX },
        "overlap": { "enum": ["skip", "queue", "cancel", "allow"] },
        "catch_up": { "type": "string", "description": "none, last, or all:10" },
        "jitter": { "type": "string", "description": "the longest random delay, such as 30s" },
        "from": { "type": "string", "description": "no due time is earlier" },
        "until": { "type": "string", "description": "every due time is earlier" },
    })
}

fn schedule_spec() -> Value {
    with_optional(object(&json!({ "pipeline": text() })), &schedule_fields())
}

fn schedule_update() -> Value {
    let schedule = with_optional(object(&json!({ "name": text(), "pipeline": text() })), &schedule_fields());
    let list = json!({ "type": "array", "items": schedule, "maxItems": 1000 });
    let flags = json!({ "prune": { "type": "boolean" }, "dry_run": { "type": "boolean" } });
    with_optional(object(&json!({ "schedules": list })), &flags)
}

fn schedule() -> Value {
    object(&json!({
        "name": text(),
        "pipeline": text(),
        "cron": or_null(&text()),
        "every": or_null(&text()),
        "timezone": text(),
        "params": { "type": "string", "description": "values of parameters, as JSON" },
        "priority": { "type": "integer" },
        "overlap": { "enum": ["skip", "queue", "cancel", "allow"] },
        "catch_up": text(),
        "jitter": text(),
        "from": or_null(&time()),
        "until": or_null(&time()),
        "state": { "enum": ["active", "paused", "ended"] },
        "problem": or_null(&text()),
        "next": { "type": "array", "items": time() },
        "waiting": count(),
        "last_run": or_null(&reference("ScheduledRun")),
        "started": count(),
        "skipped": count(),
        "missed": count(),
        "recent": or_null(&reference("RunCounts")),
    }))
}

fn publication() -> Value {
    object(&json!({ "upload": uuid(), "script": text(), "plan": reference("Plan"), "code": code() }))
}

fn param() -> Value {
    let types = ["text", "int", "float", "bool", "date", "datetime", "list", "map", "json"];
    let required = object(&json!({ "name": text(), "type": { "enum": types }, "required": { "type": "boolean" } }));
    let optional = json!({
        "default": {},
        "default_is_time": { "type": "boolean" },
        "min": {},
        "max": {},
        "one_of": { "type": "array" },
    });
    with_optional(required, &optional)
}

/// An object with further fields, which may be missing.
fn with_optional(mut object: Value, optional: &Value) -> Value {
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    if let (Some(properties), Some(optional)) = (properties, optional.as_object()) {
        properties.extend(optional.clone());
    }
    object
}

fn step_counts() -> Value {
    let names = [
        "blocked",
        "available",
        "running",
        "completed",
        "failed",
        "cancelled",
        "attempts",
        "retries",
        "pendings",
        "resets",
        "run_ms",
        "reused",
    ];
    let counts = names.map(|name| (name.to_owned(), count()));
    let texts = ["name", "scope"].map(|name| (name.to_owned(), text()));
    object(&Value::Object(texts.into_iter().chain(counts).collect()))
}

fn submission() -> Value {
    object(&json!({ "run": uuid(), "name": text(), "plan": reference("Plan"), "code": code() }))
}

fn code() -> Value {
    json!({ "type": "array", "items": blob(), "description": "the code of each step, in order; already in the bucket" })
}

fn blob() -> Value {
    let byte = json!({ "type": "integer", "minimum": 0, "maximum": 255 });
    let hash = json!({ "type": "array", "items": byte, "minItems": 32, "maxItems": 32 });
    object(&json!({ "hash": hash, "len": count() }))
}

fn hex_hash() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
}

/// The fields of steps, nodes and calls are not described: they may differ between releases.
fn plan() -> Value {
    let objects = json!({ "type": "array", "items": { "type": "object" } });
    let plan = object(&json!({ "version": count(), "steps": objects, "nodes": objects, "calls": objects }));
    with_optional(plan, &json!({ "params": objects }))
}

/// An object with exactly these fields, all of them required.
fn object(fields: &Value) -> Value {
    let names: Vec<_> = fields.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "properties": fields, "required": names, "additionalProperties": false })
}

fn or_null(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER })
}

fn time() -> Value {
    json!({ "type": "integer", "description": "milliseconds since 1970, by the hub's clock" })
}

#[cfg(test)]
mod tests {
    use bue_model::audit::{AuditPage, AuditView};
    use bue_model::bulk::BulkView;
    use bue_model::failed_jobs::{FailedJobEntry, FailedJobPage, FailedJobTime, FailureGroup, FailureGroupPage};
    use bue_model::history::{HistorySample, HistoryView};
    use bue_model::rerun::RunPlanView;
    use bue_model::schedule::{
        AppliedSchedule, BackfillProgress, RunCounts, ScheduleChange, SchedulePage, ScheduledRun,
    };
    use bue_model::wire::{
        AtMostView, Changed, ErrorBody, ErrorView, FieldError, HubView, JobCounts, JobPage, JobView, ParentView,
        RunPage, RunView, StepView, UnservedScope, WhyView, WorkerAbilities, WorkerView,
    };
    use bue_model::{ArgumentSummary, Failure, FailureKind, JobId, JobState, Round, RunId, RunState, Timestamp};
    use serde::Serialize;
    use uuid::Uuid;

    use super::*;
    use crate::schedules::progress::Progress;
    use crate::schedules::spec::ScheduleSpec;
    use crate::schedules::view::view_of;

    fn names(value: &Value) -> Vec<String> {
        let mut names: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names
    }

    fn check_fields<T: Serialize>(schema: &str, value: &T) {
        let value = serde_json::to_value(value).expect("JSON");
        assert_eq!(names(&all()[schema]["properties"]), names(&value), "{schema}");
    }

    #[test]
    fn schemas_have_the_fields_that_are_serialized() {
        let run = RunId(Uuid::nil());
        let failure = Failure::new(FailureKind::Raised, "no");
        let round = Round { variable: "x".to_owned(), line: 1, round: 1, rounds: 2 };
        let argument = ArgumentSummary { name: None, value: "7".to_owned() };
        let job = JobView {
            id: JobId(1),
            run,
            step: String::new(),
            line: 1,
            rounds: vec![round.clone()],
            arguments: vec![argument.clone()],
            state: JobState::Failed,
            available_at: Timestamp(1),
            attempts: 1,
            waiting_for: 0,
            worker: None,
            failure: Some(failure.clone()),
            blocked_by: None,
            reused: false,
            digest: Some(String::new()),
        };
        let why = WhyView {
            job: job.clone(),
            now: Timestamp(1),
            scope: String::new(),
            parents: Vec::new(),
            pendings: 0,
            releases: 0,
            lease_ends_at: None,
            rate_opens_at: None,
            at_most: Some(AtMostView { running: 1, limit: 2 }),
            expires_at: None,
            served_by: Vec::new(),
        };
        let view = RunView {
            id: run,
            name: String::new(),
            state: RunState::Running,
            created_at: Timestamp(1),
            finished_at: None,
            version: 1,
            counts: JobCounts::default(),
            step_count: 0,
            steps: Vec::new(),
            now: Timestamp(1),
            eta: None,
            unserved: Vec::new(),
            rerun_of: None,
            pipeline: None,
        };
        let (pipeline, params, steps) = (None, Vec::new(), Vec::new());
        let plan = RunPlanView { run, name: String::new(), pipeline, rerun_of: None, params, steps };
        check_fields("RunPlan", &plan);
        let field = FieldError { field: String::new(), message: String::new() };
        let error = ErrorView { code: String::new(), message: String::new(), hint: String::new(), fields: vec![field] };
        let entry = AuditView {
            at: Timestamp(1),
            actor: String::new(),
            role: None,
            action: String::new(),
            target: String::new(),
            run: None,
            detail: json!({}),
        };
        check_fields("AuditEntry", &entry);
        check_fields("AuditPage", &AuditPage::default());
        check_fields("History", &HistoryView::default());
        check_fields("HistorySample", &HistorySample::default());
        check_fields("Run", &view);
        check_fields("StepCounts", &StepView::default());
        check_fields("JobCounts", &view.counts);
        check_fields("Job", &job);
        check_fields("Round", &round);
        check_fields("Argument", &argument);
        check_fields("Why", &why);
        check_fields("Failure", &failure);
        let parent = ParentView { job: JobId(1), name: String::new(), state: JobState::Blocked, rounds: Some((1, 2)) };
        check_fields("Parent", &parent);
        check_fields("AtMost", &AtMostView { running: 1, limit: 2 });
        check_fields("Info", &HubView { version: String::new(), bucket: None, scopes: Vec::new(), wire: 8 });
        check_fields("JobPage", &JobPage::default());
        check_fields(
            "UnservedScope",
            &UnservedScope { scope: String::new(), steps: Vec::new(), more_steps: 0, jobs: 1 },
        );
        check_fields("WorkerAbilities", &WorkerAbilities::default());
        check_fields("Worker", &WorkerView::default());
        check_fields("BackfillProgress", &BackfillProgress::default());
        check_fields("RunCounts", &RunCounts::default());
        let applied = AppliedSchedule { name: String::new(), change: ScheduleChange::Created, next: None };
        check_fields("AppliedSchedule", &applied);
        check_fields("SchedulePage", &SchedulePage { schedules: Vec::new(), next: None });
        let spec = ScheduleSpec::from_json(r#"{"pipeline": "p", "every": "1h"}"#).expect("a schedule");
        let schedule = view_of(String::new(), &spec, &Progress::default(), 1, (None, None));
        check_fields("Schedule", &schedule);
        check_fields("ScheduledRun", &ScheduledRun { run, state: RunState::Running, due: Timestamp(1) });
        check_fields("Changed", &Changed { jobs: 1 });
        check_fields("RunPage", &RunPage::default());
        check_fields("ErrorPage", &FailedJobPage::default());
        check_fields("ErrorEntry", &FailedJobEntry { at: Timestamp(1), name: String::new(), job });
        check_fields("ErrorGroupPage", &FailureGroupPage::default());
        let newest = FailedJobTime { at: Timestamp(1), run, job: JobId(1) };
        check_fields("ErrorTime", &newest);
        let (step, message, oldest) = (String::new(), String::new(), newest.clone());
        check_fields("ErrorGroup", &FailureGroup { step, message, count: 1, newest, oldest });
        check_fields("Bulk", &BulkView::default());
        check_fields("Error", &ErrorBody { error });
    }
}
