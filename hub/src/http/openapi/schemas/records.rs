//! The schemas of JSON bodies: the audit and the history.

use serde_json::{Value, json};

use super::shapes::{count, described, object, or_null, reference, text, time, uuid};

/// The schemas of the audit, the history and the dashboard.
pub(super) fn records() -> Value {
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
        "Counts": object(&json!({ "counts": reference("HistorySample"), "oldest_run_at": or_null(&time()) })),
        "HistorySample": object(&json!({
            "at": time(),
            "runs": count(),
            "blocked": count(),
            "available": count(),
            "running": count(),
            "completed": count(),
            "failed": count(),
            "cancelled": count(),
            "delayed": described(&count(), "of the available jobs, those that wait for a time"),
            "handed_back": described(&count(), "answers `pending` so far"),
            "workers": count(),
        })),
    })
}
