//! What the stores share when they carry turns out: how many one transaction takes, and which errors are a schedule's own.

use bue_model::param::ParamError;
use bue_model::{Node, Timestamp};

use super::fields::problem;
use crate::error::HubError;

/// Turns in one transaction, for which all other requests wait on SQLite.
pub(crate) const MAX_TURNS: i64 = 32;
/// Jobs of started runs after which the transaction takes no more turns.
const MAX_TURN_NODES: usize = 2_000;

/// What one transaction did for schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FiredSchedules {
    /// Schedules that had their turn.
    pub turns: u32,
    /// Runs that were started.
    pub started: u32,
    /// The time of the next turn. `None` if no schedule waits for one.
    pub next_at: Option<Timestamp>,
}

/// Counts what a transaction has started.
#[derive(Debug, Default)]
pub(crate) struct TurnBudget {
    nodes: usize,
}

impl TurnBudget {
    /// Adds a run.
    pub(crate) fn add(&mut self, nodes: &[Node]) {
        self.nodes = self.nodes.saturating_add(nodes.len());
    }

    /// Ends the transaction after this turn.
    pub(crate) const fn use_up(&mut self) {
        self.nodes = MAX_TURN_NODES;
    }

    /// Whether other requests should have their turn now.
    pub(crate) const fn is_used_up(&self) -> bool {
        self.nodes >= MAX_TURN_NODES
    }
}

/// Returns why a schedule cannot start its run, as the user should read it. `None` if the reason is not the schedule: then the
/// turn is taken again later.
pub(crate) fn problem_of(error: &HubError, pipeline: &str) -> Option<String> {
    match error {
        HubError::PipelineNotFound(_) => Some(format!(
            "there is no pipeline `{pipeline}` any more; publish it again and resume the schedule, or remove the schedule"
        )),
        HubError::UnfitParams { .. } => Some(format!("{error}; change the schedule")),
        HubError::Plan(_) | HubError::BadRequest(_) => Some(error.to_string()),
        _ => None,
    }
}

/// Returns the error of a pipeline whose stored version cannot be used. A damaged one is the problem of the schedules that run
/// it, and not of those that are due at the same time.
pub(crate) fn unusable(pipeline: &str, error: HubError) -> HubError {
    match error {
        HubError::Damaged(problem) => HubError::BadRequest(format!(
            "the pipeline `{pipeline}` is damaged in the database: {problem}; publish it again and resume the schedule"
        )),
        error => error,
    }
}

/// Returns the error of a request that sets or runs a schedule: one that is about the pipeline names the schedule's field.
pub(crate) fn misfit(schedule: &str, error: HubError) -> HubError {
    let fields = match error {
        HubError::PipelineNotFound(pipeline) => {
            let message =
                format!("there is no pipeline `{pipeline}`; `bue pipelines` lists them, `bue publish` adds one");
            vec![problem("pipeline", message)]
        }
        HubError::UnfitParams { errors, .. } => {
            let field = |error: ParamError| problem(&format!("params.{}", error.name), error.problem.to_string());
            errors.into_iter().map(field).collect()
        }
        error => return error,
    };
    HubError::UnfitSchedule { schedule: schedule.to_owned(), fields }
}
