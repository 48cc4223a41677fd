//! The names of settings.

/// Names that may follow `!`.
pub(crate) const NAMES: &[&str] =
    &["scope", "priority", "timeout", "retries", "every", "for", "rate", "allow", "requires"];

/// What other systems call these settings.
const FOREIGN_ALIASES: &[(&[&str], &str)] = &[
    (&["retry", "tries", "attempts", "max_retries"], "retries"),
    (&["timeout_s", "time_limit", "deadline"], "timeout"),
    (&["interval", "poll", "sleep", "delay", "wait", "retry_delay"], "every"),
    (&["limit", "rate_limit", "throttle", "velocity", "concurrency"], "rate"),
    (&["queue", "pool", "tag", "worker"], "scope"),
    (&["weight", "prio", "priority_weight"], "priority"),
    (&["require", "requirements", "packages", "pip", "deps"], "requires"),
    (&["permissions", "permit", "secret", "net"], "allow"),
];

/// The setting that corresponds to a word of another system.
pub(crate) fn intended(word: &str) -> Option<&'static str> {
    FOREIGN_ALIASES.iter().find(|(words, _)| words.contains(&word)).map(|(_, name)| *name)
}
