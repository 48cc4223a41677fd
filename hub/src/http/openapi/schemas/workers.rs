//! The schemas of JSON bodies: workers.

use serde_json::{Value, json};

use super::shapes::{count, object, or_null, reference, text, texts, time};

/// The schemas of this module, by name.
pub(super) fn workers() -> Value {
    json!({
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
    })
}
