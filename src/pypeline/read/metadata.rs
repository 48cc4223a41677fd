//! `metadata` of a pipeline, and what PypeLine does without it.

use super::context::Context;
use super::fields::{Fields, Located};
use crate::pypeline::problem::quoted;
use crate::pypeline::project::{Generation, Retries, StepSettings};
use crate::pypeline::yaml::Node;

/// What applies if a file does not say it, in seconds.
#[derive(Clone, Copy, Debug)]
struct Defaults {
    retries: u64,
    first_s: u64,
    last_s: u64,
    timeout_s: u64,
}

const fn defaults(generation: Generation) -> Defaults {
    match generation {
        Generation::Celery => Defaults { retries: 3, first_s: 3, last_s: 600, timeout_s: 60 },
        Generation::Dramatiq => Defaults { retries: 3, first_s: 15, last_s: 3_600, timeout_s: 600 },
    }
}

/// What Celery waits before a retry if it has no back-off.
const CELERY_RETRY_S: u64 = 180;
/// How long a task that belongs to no pipeline may take, on Celery.
const CELERY_TASK_TIMEOUT_S: u64 = 3_600;

/// Reads `metadata`. Without it there are errors, and the defaults.
pub(super) fn read_metadata(node: Option<&Node>, context: &mut Context) -> StepSettings {
    let Defaults { retries, first_s, last_s, timeout_s } = defaults(context.generation);
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "`metadata`", context)) else {
        return StepSettings::default();
    };
    let queue = fields.required_text("queue", "default", context);
    let scope = queue.and_then(|queue| scope_of(&queue, context));
    let count = fields.whole("maxRetry", 0, context).unwrap_or(retries);
    let first_s = fields.whole("retryBackoff", 0, context).unwrap_or(first_s);
    let last_s = fields.whole("retryBackoffMax", 0, context).unwrap_or(last_s);
    let timeout_s = fields.whole("maxTtl", 1, context).unwrap_or(timeout_s);
    fields.without_counterpart(
        "retryJitter",
        "bue lengthens each wait before a retry by a random part, up to a quarter",
        context,
    );
    fields.without_counterpart(
        "processorQueue",
        "the hub orders the jobs of a run; no queue is needed for it",
        context,
    );
    fields.without_counterpart(
        "groupName",
        "pipelines have no groups; a common beginning of their names sorts them",
        context,
    );
    fields.finish(context);
    let retries = retries_of(count, first_s, last_s, context.generation);
    StepSettings { scope, timeout_s: Some(timeout_s), retries, expires_s: None }
}

/// The settings of a task that runs without a pipeline. `used` are those of the first pipeline that has the same function: Celery
/// takes the retries from there.
pub(super) fn settings_of_task(used: Option<&StepSettings>, generation: Generation) -> StepSettings {
    let Defaults { retries, first_s, last_s, timeout_s } = defaults(generation);
    match generation {
        Generation::Celery => StepSettings {
            timeout_s: Some(CELERY_TASK_TIMEOUT_S),
            retries: used.and_then(|settings| settings.retries),
            ..StepSettings::default()
        },
        Generation::Dramatiq => StepSettings {
            timeout_s: Some(timeout_s),
            retries: retries_of(retries, first_s, last_s, generation),
            ..StepSettings::default()
        },
    }
}

/// The settings of a task that `TaskRunner.publish_work` started.
pub(super) fn settings_of_published_work() -> StepSettings {
    StepSettings { timeout_s: Some(defaults(Generation::Celery).timeout_s), ..StepSettings::default() }
}

fn retries_of(count: u64, first_s: u64, last_s: u64, generation: Generation) -> Option<Retries> {
    let (first_ms, last_ms) = match (first_s, generation) {
        (0, Generation::Celery) => (CELERY_RETRY_S * 1_000, CELERY_RETRY_S * 1_000),
        // no wait at all; bue's shortest is a millisecond
        (0, Generation::Dramatiq) => (1, 1),
        _ => (first_s.min(last_s).max(1) * 1_000, last_s.max(1) * 1_000),
    };
    (count > 0).then_some(Retries { count, first_ms, last_ms })
}

/// Returns the scope that corresponds to a queue.
pub(super) fn scope_of(queue: &Located<String>, context: &mut Context) -> Option<String> {
    const MOST: usize = 200;
    let Located { value, place } = queue;
    let is_allowed = |char: char| char.is_ascii_alphanumeric() || " _-./:".contains(char);
    if value.trim().is_empty() || value.len() > MOST || !value.chars().all(is_allowed) {
        let message = format!("the queue {} cannot be a scope", quoted(value));
        context.error(*place, message, "use letters, digits, `_`, `-`, `.`, `/` and `:`");
        return None;
    }
    Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
}
