//! [`Original`]: what a rerun knows of the run that it repeats, in order to reuse the results of its jobs. Pure.
//!
//! The plans of both runs have the same nodes. So each job of a rerun has at most one *counterpart*, the job of the same node in the
//! same rounds; rounds are matched by their elements ([`matching_rounds`](super::matching_rounds)). A job is not run but gets the
//! result of its counterpart if that has completed, the step is the same, and so are all inputs, which means that the results of all
//! its parents are those of their counterparts. `changes/reuse.rs` has the rules.

use bue_model::{Input, NodeId, StepIndex};

use crate::jobs::graph::{Graph, GraphJob, NodeKind};

/// The run that a rerun repeats.
#[derive(Clone, Debug)]
pub(crate) struct Original {
    /// Id of the first node of its top level.
    pub(crate) first: i64,
    /// Its version when the rerun was created. Once it has another one, or is deleted, nothing of it is reused any more: a reset may
    /// replace results from which others were computed.
    pub(crate) version: i64,
    /// The jobs that get the results of their counterparts if their inputs are the same.
    pub(crate) reusable: NodeSet,
}

/// A set of nodes of one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeSet(Vec<u8>);

impl NodeSet {
    /// Returns the set that [`Self::as_bytes`] returned.
    pub(crate) const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns it as bytes, a bit for each node.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a node.
    fn insert(&mut self, node: NodeId) {
        let (byte, bit) = position(node);
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        if let Some(byte) = self.0.get_mut(byte) {
            *byte |= bit;
        }
    }

    /// Returns whether a node is in it.
    pub(crate) fn contains(&self, node: NodeId) -> bool {
        let (byte, bit) = position(node);
        self.0.get(byte).is_some_and(|byte| byte & bit != 0)
    }
}

fn position(node: NodeId) -> (usize, u8) {
    (node.0 as usize / 8, 1 << (node.0 % 8))
}

/// The steps whose jobs run anew, whatever their inputs are.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForcedSteps {
    /// With everything that depends on them.
    pub(crate) from: Vec<StepIndex>,
    /// Alone: what depends on them runs anew if their results differ.
    pub(crate) only: Vec<StepIndex>,
}

/// Returns the nodes of a rerun whose jobs may be reused, given the graphs of the original and the rerun. They have the same nodes,
/// but steps may have other code, and parameters other values.
pub(crate) fn reusable_nodes(original: &Graph, rerun: &Graph, forced: &ForcedSteps) -> NodeSet {
    let (mut reusable, downstream) = (NodeSet::default(), downstream_of(rerun, &forced.from));
    for index in 0..rerun.len() {
        let node = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
        let (Some(before), Some(now)) = (original.job(node), rerun.job(node)) else { continue };
        let is_forced = downstream.contains(node) || forced.only.contains(&now.step);
        if !is_forced && !rerun.begins_late(node) && is_same_job(original, before, rerun, now) {
            reusable.insert(node);
        }
    }
    reusable
}

/// Returns whether two jobs have the same step, with the same code and settings, and arguments from the same places. Literal
/// arguments have the same values.
fn is_same_job(original: &Graph, before: &GraphJob, rerun: &Graph, now: &GraphJob) -> bool {
    let (Some(step_before), Some(step_now)) = (original.step_of(before), rerun.step_of(now)) else { return false };
    let code = |graph: &Graph, job: &GraphJob| graph.code.get(job.step.get()).copied();
    step_before == step_now && code(original, before) == code(rerun, now) && before.inputs == now.inputs
}

/// Returns the nodes with these steps, and all that depend on them. A node depends on nodes with smaller ids only.
fn downstream_of(graph: &Graph, steps: &[StepIndex]) -> NodeSet {
    let mut downstream = NodeSet::default();
    if steps.is_empty() {
        return downstream;
    }
    for index in 0..graph.len() {
        let id = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
        let Some(node) = graph.node(id) else { continue };
        let is_in = |node: &NodeId| downstream.contains(*node);
        let is_affected = match &node.kind {
            NodeKind::Loop(_) => false,
            NodeKind::Job(job) => steps.contains(&job.step) || gathered_by(graph, job).any(|gathered| is_in(&gathered)),
        };
        if is_affected || node.parents.iter().any(is_in) || graph.loops_around(node.block).iter().any(is_in) {
            downstream.insert(id);
        }
    }
    downstream
}

/// Returns the jobs whose results, from all rounds, a job gets as lists.
fn gathered_by<'a>(graph: &'a Graph, job: &'a GraphJob) -> impl Iterator<Item = NodeId> + 'a {
    job.inputs.iter().filter_map(|input| match input {
        Input::Gather(fan_out) => graph.fan_out(*fan_out)?.gather,
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_nodes_survives_a_round_trip() {
        let mut set = NodeSet::default();
        for node in [0, 7, 8, 300] {
            set.insert(NodeId(node));
        }
        let set = NodeSet::from_bytes(set.as_bytes().to_vec());
        let found: Vec<u32> = (0..1_000).filter(|node| set.contains(NodeId(*node))).collect();
        assert_eq!(found, [0, 7, 8, 300]);
    }
}
