//! The run of one step, after its end.

use bue_model::{Answer, Failure};

/// What became of a step, and what it used.
pub(crate) struct StepRun {
    pub(crate) answer: Answer,
    pub(crate) memory_bytes: u64,
    pub(crate) dirty_pages: Option<u32>,
}

impl StepRun {
    pub(crate) const fn failed(failure: Failure) -> Self {
        Self { answer: Answer::Failed(failure), memory_bytes: 0, dirty_pages: None }
    }
}
