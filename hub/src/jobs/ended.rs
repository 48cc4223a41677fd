//! [`Ended`]: an attempt or a run that has ended, for those who export it. Noted by the change set in which it ends, so a hub announces
//! what its own transactions ended, and of several hubs exactly one announces each.

use std::sync::Arc;

use bue_model::{JobId, RunState, Timestamp};

use crate::jobs::attempts::EndedAttempt;
use crate::jobs::traces::TracedRun;

/// Something that has ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Attempt(AttemptEnd),
    Run(RunEnd),
}

/// An attempt that has ended.
#[derive(Clone, Debug)]
pub(crate) struct AttemptEnd {
    pub(crate) run: TracedRun,
    pub(crate) job: JobId,
    /// The number of its lease.
    pub(crate) token: u64,
    pub(crate) step: String,
    pub(crate) scope: Arc<str>,
    /// 1 for the first one. Attempts that did not fail are not counted.
    pub(crate) number: u32,
    pub(crate) attempt: EndedAttempt,
    /// The first line of the message, if it failed.
    pub(crate) message: Option<String>,
}

/// A run, or a part of one, that has ended: a reset begins another part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunEnd {
    pub(crate) run: TracedRun,
    /// When the part began: when the run was created, or last reset.
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    /// `None` if a reset ended it.
    pub(crate) state: Option<RunState>,
}
