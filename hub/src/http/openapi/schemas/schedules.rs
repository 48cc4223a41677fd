//! The schemas of JSON bodies: schedules.

use serde_json::{Value, json};

use super::shapes::{count, object, or_null, reference, run_state, text, time, uuid, with_optional};

/// The schemas of schedules.
pub(super) fn schedules() -> Value {
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
