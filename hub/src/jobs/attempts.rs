//! The attempts of a job, as rows keep them: the columns `started_at` of `job`, for the one that runs; those of `done`, for the
//! last one of a job that has ended; and all earlier ones, at most [`MAX_ATTEMPT_VIEWS`], in the column `earlier`. Pure.

use bue_model::Timestamp;
use bue_model::attempt::{AttemptUsage, AttemptVerdict, AttemptView};
use bue_model::wire::MAX_ATTEMPT_VIEWS;
use serde::{Deserialize, Serialize};

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, signed, to_postcard, unsigned};
use crate::jobs::state::State;

/// An attempt that has ended, in the column `earlier`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndedAttempt {
    pub(crate) started_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) worker: Option<String>,
    pub(crate) verdict: AttemptVerdict,
    /// `None` if the worker did not report.
    pub(crate) usage: Option<AttemptUsage>,
}

impl EndedAttempt {
    /// Returns it as users see it.
    pub(crate) fn into_view(self) -> AttemptView {
        AttemptView {
            started_at: Timestamp(self.started_at),
            ended_at: Some(Timestamp(self.ended_at)),
            worker: self.worker,
            verdict: Some(self.verdict),
            run_ms: self.usage.map(|usage| usage.run_ms),
            cpu_ms: self.usage.and_then(|usage| usage.cpu_ms),
            peak_memory: self.usage.and_then(|usage| usage.peak_memory),
        }
    }
}

/// Returns the column `earlier` with one more attempt, without those that are too many.
pub(crate) fn with_attempt(earlier: Option<&[u8]>, attempt: EndedAttempt) -> Result<Vec<u8>, HubError> {
    let mut attempts = earlier_attempts(earlier)?;
    attempts.push(attempt);
    let excess = attempts.len().saturating_sub(MAX_ATTEMPT_VIEWS);
    attempts.drain(..excess);
    to_postcard(&attempts)
}

/// Returns the attempts in the column `earlier`, oldest first.
pub(crate) fn earlier_attempts(earlier: Option<&[u8]>) -> Result<Vec<EndedAttempt>, HubError> {
    earlier.map_or(Ok(Vec::new()), from_postcard)
}

/// The attempt of a row that is not in the column `earlier`: the running one, or the last one of a job that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastAttempt {
    /// `None` if there is none.
    pub(crate) started_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    /// Of a row in `done`, if the worker reported.
    pub(crate) usage: Option<AttemptUsage>,
}

impl LastAttempt {
    /// Returns it as users see it.
    fn into_view(self, worker: Option<&str>, state: State) -> Option<AttemptView> {
        let verdict = match state {
            State::Completed => Some(AttemptVerdict::Completed),
            State::Cancelled => Some(AttemptVerdict::Cancelled),
            _ => None,
        };
        Some(AttemptView {
            started_at: Timestamp(self.started_at?),
            ended_at: verdict.and(self.ended_at).map(Timestamp),
            worker: worker.map(str::to_owned),
            verdict,
            run_ms: self.usage.map(|usage| usage.run_ms),
            cpu_ms: self.usage.and_then(|usage| usage.cpu_ms),
            peak_memory: self.usage.and_then(|usage| usage.peak_memory),
        })
    }
}

/// Returns the last attempts of a job, oldest first.
pub(crate) fn attempt_views(
    earlier: Option<&[u8]>,
    last: LastAttempt,
    worker: Option<&str>,
    state: State,
) -> Result<Vec<AttemptView>, HubError> {
    let mut views: Vec<_> = earlier_attempts(earlier)?.into_iter().map(EndedAttempt::into_view).collect();
    views.extend(last.into_view(worker, state));
    let excess = views.len().saturating_sub(MAX_ATTEMPT_VIEWS);
    views.drain(..excess);
    Ok(views)
}

/// What an attempt used, as columns hold it: the milliseconds that it took and that it computed, and the bytes of its memory.
pub(crate) type UsageColumns = (Option<i64>, Option<i64>, Option<i64>);

/// Converts what an attempt used to columns.
pub(crate) fn usage_to_columns(usage: Option<AttemptUsage>) -> UsageColumns {
    let Some(usage) = usage else { return (None, None, None) };
    (Some(signed(usage.run_ms)), usage.cpu_ms.map(signed), usage.peak_memory.map(signed))
}

/// Converts what an attempt used from columns.
pub(crate) fn usage_from_columns((run_ms, cpu_ms, peak_memory): UsageColumns) -> Option<AttemptUsage> {
    let run_ms = unsigned(run_ms?);
    Some(AttemptUsage { run_ms, cpu_ms: cpu_ms.map(unsigned), peak_memory: peak_memory.map(unsigned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(started_at: i64) -> EndedAttempt {
        let usage = Some(AttemptUsage { run_ms: 5, cpu_ms: None, peak_memory: Some(7) });
        EndedAttempt { started_at, ended_at: started_at + 10, worker: None, verdict: AttemptVerdict::Failed, usage }
    }

    #[test]
    fn the_last_attempts_are_kept() {
        let mut earlier = None;
        for at in 0..25 {
            earlier = Some(with_attempt(earlier.as_deref(), attempt(at)).expect("a column"));
        }
        let kept = earlier_attempts(earlier.as_deref()).expect("attempts");
        assert_eq!(kept, (15..25).map(attempt).collect::<Vec<_>>());
        let running = LastAttempt { started_at: Some(25), ended_at: Some(99), usage: None };
        let views = attempt_views(earlier.as_deref(), running, Some("w"), State::Running).expect("views");
        assert_eq!(views.len(), MAX_ATTEMPT_VIEWS);
        let (first, last) = (&views[0], &views[MAX_ATTEMPT_VIEWS - 1]);
        assert_eq!((first.started_at, first.verdict), (Timestamp(16), Some(AttemptVerdict::Failed)));
        assert_eq!((last.started_at, last.ended_at, last.verdict), (Timestamp(25), None, None));
        assert_eq!(last.worker.as_deref(), Some("w"));
    }

    #[test]
    fn a_job_that_never_ran_has_no_attempts() {
        let views = attempt_views(None, LastAttempt::default(), Some("w"), State::Cancelled).expect("views");
        assert_eq!(views, []);
        assert_eq!(usage_from_columns(usage_to_columns(None)), None);
        let usage = AttemptUsage { run_ms: 1, cpu_ms: Some(2), peak_memory: None };
        assert_eq!(usage_from_columns(usage_to_columns(Some(usage))), Some(usage));
    }
}
