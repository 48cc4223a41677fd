//! What a user sees of a schedule.

use bue_model::Timestamp;
use bue_model::schedule::{RunCounts, ScheduleView, ScheduledRun};

use super::duration_text::duration_text;
use super::progress::Progress;
use super::spec::ScheduleSpec;

/// Due times in the view of one schedule.
pub(crate) const MAX_NEXT: usize = 5;
/// Due times in a list of schedules.
pub(crate) const NEXT_IN_LIST: usize = 1;
/// Runs whose states the view of one schedule counts.
pub(crate) const MAX_RECENT: i64 = 100;

/// Returns the view of a schedule. The stores look up its last run and count its recent ones.
pub(crate) fn view_of(
    name: String,
    spec: &ScheduleSpec,
    progress: &Progress,
    next: usize,
    (last_run, recent): (Option<ScheduledRun>, Option<RunCounts>),
) -> ScheduleView {
    ScheduleView {
        name,
        pipeline: spec.pipeline.clone(),
        cron: spec.cron(),
        every: spec.every(),
        timezone: spec.timezone.clone(),
        params: spec.params_json(),
        priority: spec.priority,
        overlap: spec.overlap.name().to_owned(),
        catch_up: spec.catch_up.text(),
        jitter: duration_text(spec.jitter_ms),
        from: spec.recurrence.from.map(Timestamp),
        until: spec.recurrence.until.map(Timestamp),
        state: progress.state(),
        problem: progress.problem.clone(),
        next: next_due_times(spec, progress, next),
        waiting: progress.waiting.len() as u64,
        last_run,
        started: progress.started,
        skipped: progress.skipped,
        missed: progress.missed,
        recent,
    }
}

/// Returns the next due times of a schedule; none while it is paused.
fn next_due_times(spec: &ScheduleSpec, progress: &Progress, count: usize) -> Vec<Timestamp> {
    let first = progress.next_due.filter(|_| !progress.is_paused);
    let due_times = std::iter::successors(first, |due| spec.recurrence.next_after(*due));
    due_times.take(count).map(Timestamp).collect()
}
