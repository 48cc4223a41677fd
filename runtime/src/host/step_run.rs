//! The outcome of one executed step.

use bue_model::{Answer, Failure};

/// The answer of a step, and the memory it used.
pub(crate) struct StepRun {
    pub(crate) answer: Answer,
    /// Bytes of memory at its end.
    pub(crate) memory_bytes: u64,
    /// Pages it wrote to, where they were counted.
    pub(crate) dirty_pages: Option<u32>,
}

impl StepRun {
    /// An answer without any memory used.
    pub(crate) const fn without_memory(answer: Answer) -> Self {
        Self { answer, memory_bytes: 0, dirty_pages: None }
    }

    /// A step that could not be started.
    pub(crate) const fn failed(failure: Failure) -> Self {
        Self::without_memory(Answer::Failed(failure))
    }
}
