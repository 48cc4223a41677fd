//! The names of settings.

/// Names that may follow `!`.
pub(crate) const NAMES: &[&str] = &[
    "scope",
    "priority",
    "timeout",
    "retries",
    "every",
    "for",
    "max_handbacks",
    "on_failure",
    "expires",
    "rate",
    "at_most",
    "with",
    "allow",
    "requires",
    "files",
];

/// What other systems call these settings.
const FOREIGN_ALIASES: &[(&[&str], &str)] = &[
    (&["retry", "tries", "attempts", "max_retries"], "retries"),
    (&["timeout_s", "time_limit", "deadline", "soft_timeout", "soft_time_limit", "soft"], "timeout"),
    (&["interval", "poll", "sleep", "delay", "wait", "retry_delay"], "every"),
    (&["handbacks", "max_pending", "max_pendings"], "max_handbacks"),
    (&["on_error", "on_failure_callback", "error_handler", "catch", "onfailure"], "on_failure"),
    (&["ttl", "expiry", "max_age", "max_job_age"], "expires"),
    (&["kwargs", "args", "arguments", "options", "params", "parameters"], "with"),
    (&["limit", "rate_limit", "throttle", "velocity"], "rate"),
    (&["concurrency", "max_concurrency", "parallel", "max_parallel", "max_active"], "at_most"),
    (&["queue", "pool", "tag", "worker"], "scope"),
    (&["weight", "prio", "priority_weight"], "priority"),
    (&["require", "requirements", "packages", "pip", "deps"], "requires"),
    (&["permissions", "permit", "secret", "net", "tcp", "bucket"], "allow"),
    (&["file", "data", "include", "package_data"], "files"),
];

/// Settings of Buelon 1.0.79 that bue does not have, and what it has for them.
const ONLY_IN_BUELON: &[(&str, &str)] =
    &[("max_reroutes", "`!max_handbacks 3` limits how often a step may answer `pending`, in any scope")];

/// What to write instead of a setting of Buelon that bue does not have.
pub(crate) fn instead_of_buelons(word: &str) -> Option<&'static str> {
    ONLY_IN_BUELON.iter().find(|(name, _)| *name == word).map(|(_, hint)| *hint)
}

/// The setting that corresponds to a word of another system.
pub(crate) fn intended(word: &str) -> Option<&'static str> {
    FOREIGN_ALIASES.iter().find(|(words, _)| words.contains(&word)).map(|(_, name)| *name)
}
