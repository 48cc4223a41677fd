//! What is wrong with a plan. Plans are made by `lang`, so each of these is a fault of the program that sent it.

use bue_model::NodeId;
use bue_model::plan::PLAN_VERSION;

/// Why a plan is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Another version.
    #[error("it is of version {theirs} and this hub reads version {PLAN_VERSION}")]
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
    /// More than the hub holds.
    #[error("it has more than {limit} nodes")]
    TooManyNodes {
        /// The most.
        limit: usize,
    },
    /// More than the hub holds.
    #[error("its jobs have more than {limit} arguments together")]
    TooManyInputs {
        /// The most.
        limit: usize,
    },
    /// Loops inside loops.
    #[error("it has more than {limit} loops inside each other")]
    TooDeep {
        /// The most.
        limit: usize,
    },
    /// A name nobody typed.
    #[error("a name in it is longer than {limit} bytes")]
    LongName {
        /// The most.
        limit: usize,
    },
    /// A step that cannot be.
    #[error("step `{step}`: {what}")]
    Step {
        /// Its name.
        step: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An index into nothing.
    #[error("node {node} names a step or a call that is not there")]
    NoSuchStep {
        /// The node.
        node: NodeId,
    },
    /// One id for two.
    #[error("two nodes have the id {node}")]
    SameId {
        /// The id.
        node: NodeId,
    },
    /// Ids are positions.
    #[error("the ids of its nodes have a gap")]
    IdGap,
    /// First and last job are not the ends of the chain.
    #[error("call {call} does not begin and end with the jobs it names")]
    CallEnds {
        /// Position among the calls.
        call: usize,
    },
    /// A job of a pipe that is not fed by the one before it alone.
    #[error("node {node} is not fed by the job before it in its call")]
    BrokenChain {
        /// The node.
        node: NodeId,
    },
    /// An argument that cannot be had there.
    #[error("node {node} uses a node that does not stand before it, or not where it can see it")]
    BadInput {
        /// The node.
        node: NodeId,
    },
    /// A loop over nothing.
    #[error("loop {node} runs over, or gathers, a node that is not where it should be")]
    BadLoop {
        /// The node.
        node: NodeId,
    },
}
