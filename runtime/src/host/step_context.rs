//! What every part of a running step needs: its limits, its log and its deadline.

use std::time::Instant;

use crate::step::limits::Limits;
use crate::step::log::Log;

/// Shared by the parts that run one step.
#[derive(Clone, Copy)]
pub(crate) struct StepContext<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) log: &'a Log,
    /// When the step's time limit is over.
    pub(crate) deadline: Instant,
    /// When the soft limit of a Python step is reached, if it has one.
    pub(crate) soft_deadline: Option<Instant>,
}
