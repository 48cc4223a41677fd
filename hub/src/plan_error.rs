//! [`PlanError`]: why a plan is refused. Plans are compiled by `lang`, so each of these is a bug of the program that sent it.

use bue_model::NodeId;
use bue_model::plan::PLAN_VERSION;

/// Why a plan is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A plan of another version.
    #[error("it has version {theirs} and this hub reads version {PLAN_VERSION}")]
    Version {
        /// Its version.
        theirs: u32,
    },
    /// A step without code, or code without a step.
    #[error("it has {steps} steps and {bundles} bundles of code")]
    Code {
        /// Steps.
        steps: usize,
        /// Bundles.
        bundles: usize,
    },
    /// More nodes than the hub accepts.
    #[error("it has more than {limit} nodes")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// More arguments than the hub accepts.
    #[error("its jobs have more than {limit} arguments together")]
    TooManyInputs {
        /// The limit.
        limit: usize,
    },
    /// Loops nested too deeply.
    #[error("it has more than {limit} nested loops")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A name that is too long.
    #[error("a name in it is longer than {limit} bytes")]
    LongName {
        /// The limit.
        limit: usize,
    },
    /// A step with invalid settings.
    #[error("step `{step}`: {reason}")]
    Step {
        /// Its name.
        step: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A step or call that does not exist.
    #[error("node {node} refers to a step or a call that does not exist")]
    NoSuchStep {
        /// The node.
        node: NodeId,
    },
    /// An id that is used twice.
    #[error("two nodes have the id {node}")]
    SameId {
        /// The id.
        node: NodeId,
    },
    /// Ids are positions, so every one must be used.
    #[error("the ids of its nodes have a gap")]
    IdGap,
    /// A call whose first or last job is not that of its pipe.
    #[error("call {call} does not begin and end with the jobs it refers to")]
    CallEnds {
        /// Position among the calls.
        call: usize,
    },
    /// A job of a pipe whose only input is not the job before it.
    #[error("node {node} does not take the result of the job before it in its call as its only input")]
    BrokenChain {
        /// The node.
        node: NodeId,
    },
    /// An argument that is not available there.
    #[error("node {node} uses a node that does not come before it, or is not visible to it")]
    BadInput {
        /// The node.
        node: NodeId,
    },
    /// A loop over, or gathering, a node that it cannot.
    #[error("loop {node} runs over, or gathers, a node that is not where it must be")]
    BadLoop {
        /// The node.
        node: NodeId,
    },
}
