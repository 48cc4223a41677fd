//! Instances of blocks: a run's top level, and the rounds of its fan-outs. Pure; how rows, ids and a [`Graph`] belong together.

use bue_model::{NodeId, RunId};

use crate::error::HubError;
use crate::jobs::graph::{BlockIndex, Graph, GraphNode};

/// Rounds of one fan-out that are alive at one time: as many reports can be asked for before the first is ready. Some
/// 15 MB of rows, on disk.
pub(crate) const WINDOW: i64 = 50_000;
/// Rows of one fan-out that are alive at one time, where the body is long.
pub(crate) const WINDOW_ROWS: i64 = 200_000;
/// Rounds of one fan-out that are made at one time, so that nobody waits long for the transaction.
pub(crate) const TURN: i64 = 1_000;
/// Rows of one fan-out that are made at one time, where the body is long.
pub(crate) const TURN_ROWS: i64 = 4_000;

/// A run as a store knows it: what never changes of it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) key: i64,
    pub(crate) id: RunId,
    /// Id of the first node of the top level.
    pub(crate) first: i64,
    pub(crate) graph: Graph,
}

/// A node of an instance of a block: a row of `job` or `done`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) id: i64,
    pub(crate) node: NodeId,
    /// The fan-out whose round it is part of, 0 at the top level.
    pub(crate) fanout: i64,
}

/// An instance of a block: a run's top level, or one round of a fan-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instance {
    /// The run's key.
    pub(crate) run: i64,
    /// 0 at the top level.
    pub(crate) fanout: i64,
    pub(crate) block: BlockIndex,
    /// Id of its first node.
    pub(crate) first: i64,
}

/// A row of `fanout`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FanOut {
    pub(crate) id: i64,
    pub(crate) run: i64,
    pub(crate) node: NodeId,
    pub(crate) outer: i64,
    pub(crate) source: i64,
    pub(crate) first: i64,
    pub(crate) stride: i64,
    pub(crate) count: i64,
    pub(crate) expanded: i64,
    pub(crate) settled: i64,
    pub(crate) failed: i64,
}

impl FanOut {
    /// Its own row in `job` or `done`.
    pub(crate) const fn slot(&self) -> Slot {
        Slot { id: self.id, node: self.node, fanout: self.outer }
    }

    /// Id of the first node of a round.
    pub(crate) const fn round(&self, round: i64) -> i64 {
        self.first + round * self.stride
    }

    /// Rounds that may be alive at one time.
    fn window(&self) -> i64 {
        (WINDOW_ROWS / self.stride.max(1)).clamp(1, WINDOW)
    }

    /// Rounds that may be made at one time.
    fn turn(&self) -> i64 {
        (TURN_ROWS / self.stride.max(1)).clamp(1, TURN)
    }

    /// The window has room for a whole turn, and there are rounds to fill it.
    pub(crate) fn wants_to_grow(&self) -> bool {
        self.expanded < self.count && self.expanded - self.settled <= self.window() - self.turn()
    }

    /// Where the next turn ends.
    pub(crate) fn next_end(&self) -> i64 {
        self.count.min(self.settled + self.window()).min(self.expanded + self.turn())
    }

    /// The position of a round's instance among the rounds.
    pub(crate) fn round_of(&self, instance: Instance) -> i64 {
        (instance.first - self.first) / self.stride.max(1)
    }

    /// Its body.
    pub(crate) fn body(&self, run: &Run) -> Result<BlockIndex, HubError> {
        let node = run.graph.fan_out(self.node);
        node.map(|node| node.body).ok_or_else(|| HubError::damaged("a job where a loop should be"))
    }
}

/// The node of a row.
pub(crate) fn node_of(run: &Run, node: NodeId) -> Result<&GraphNode, HubError> {
    run.graph.node(node).ok_or_else(|| HubError::damaged(format!("run {} has no node {node}", run.id)))
}

/// The instance a row belongs to.
pub(crate) fn instance_of(run: &Run, slot: Slot) -> Result<Instance, HubError> {
    let node = node_of(run, slot.node)?;
    Ok(Instance { run: run.key, fanout: slot.fanout, block: node.block, first: slot.id - node.offset })
}

/// A node of an instance, which must be of the node's block.
pub(crate) fn slot_in(run: &Run, instance: Instance, node: NodeId) -> Result<Slot, HubError> {
    Ok(Slot { id: instance.first + node_of(run, node)?.offset, node, fanout: instance.fanout })
}
