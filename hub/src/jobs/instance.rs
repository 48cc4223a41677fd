//! Instances of blocks: a run's top level, and the rounds of its fan-outs. Pure: how rows, ids and a [`Graph`] fit together.

use bue_model::{NodeId, RunId, TraceContext};

use crate::error::HubError;
use crate::jobs::graph::{Block, BlockIndex, Graph, GraphNode};
use crate::jobs::original::Original;
use crate::jobs::traces::TracedRun;

/// Live rounds of one fan-out: a step can have as many requests to a slow service under way before the first one is ready.
/// Some 15 MB of rows, on disk.
pub(crate) const WINDOW: i64 = 50_000;
/// Rows of the live rounds of one fan-out, where the body is long.
pub(crate) const WINDOW_ROWS: i64 = 200_000;
/// Rounds of one fan-out that are instantiated together, so that other requests do not wait long for the transaction.
pub(crate) const ROUND_BATCH: i64 = 1_000;
/// Rows of the rounds that are instantiated together, where the body is long.
pub(crate) const ROUND_BATCH_ROWS: i64 = 4_000;

/// Parts in which a small window is filled again.
pub(crate) const WINDOW_PARTS: i64 = 10;

/// The end of all ids: far below where sums of ids could overflow, and far above what any number of loops takes.
pub(crate) const MAX_ID: i64 = 1 << 62;

/// A range of row ids, the end excluded.
pub(crate) type IdRange = (i64, i64);

/// What never changes of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) key: i64,
    pub(crate) id: RunId,
    /// Id of the first node of the top level.
    pub(crate) first: i64,
    pub(crate) graph: Graph,
    /// The run that it repeats, if it is a rerun.
    pub(crate) original: Option<Original>,
    /// The client's own span, of which the run is a part.
    pub(crate) parent: Option<TraceContext>,
}

impl Run {
    /// Returns it as its trace sees it.
    pub(crate) const fn traced(&self) -> TracedRun {
        TracedRun { id: self.id, parent: self.parent }
    }

    /// Returns the ids of the top level.
    pub(crate) fn top_level_ids(&self) -> IdRange {
        (self.first, self.first + self.graph.blocks.first().map_or(0, Block::stride))
    }

    /// Returns the top level.
    pub(crate) const fn top_level(&self) -> Instance {
        Instance { run: self.key, fanout: 0, block: 0, first: self.first }
    }
}

/// Where a row of `job` or `done` belongs: a node of an instance of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Location {
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
    /// The fan-out around it, 0 where none.
    pub(crate) outer: i64,
    /// The job over whose list it runs.
    pub(crate) source: i64,
    /// Id of the first node of the first round.
    pub(crate) first: i64,
    /// Ids that a round takes.
    pub(crate) stride: i64,
    /// Rounds. While the source runs, those of the elements that it has yielded so far.
    pub(crate) count: i64,
    /// Whether the source still runs, or has to run again, so that there may be more rounds.
    pub(crate) streams: bool,
    /// Rounds that may be live at one time, whatever their length.
    pub(crate) max_live: i64,
    /// Rounds that are instantiated.
    pub(crate) expanded: i64,
    /// Rounds in which nothing is open.
    pub(crate) settled: i64,
    /// Settled rounds with a failed job.
    pub(crate) failed: i64,
}

impl FanOut {
    /// Returns where its own row in `job` or `done` belongs.
    pub(crate) const fn location(&self) -> Location {
        Location { id: self.id, node: self.node, fanout: self.outer }
    }

    /// Returns the id of the first node of a round.
    pub(crate) const fn round_start(&self, round: i64) -> i64 {
        self.first + round * self.stride
    }

    /// Returns the ids of all rounds that are instantiated.
    pub(crate) const fn expanded_ids(&self) -> IdRange {
        (self.first, self.round_start(self.expanded))
    }

    /// Returns the instance of a round.
    pub(crate) const fn round(&self, round: i64, body: BlockIndex) -> Instance {
        Instance { run: self.run, fanout: self.id, block: body, first: self.round_start(round) }
    }

    /// Returns the position of a round's instance among the rounds.
    pub(crate) fn round_index(&self, round: Instance) -> i64 {
        (round.first - self.first) / self.stride.max(1)
    }

    /// Returns how many rounds may be live at one time.
    fn window(&self) -> i64 {
        (WINDOW_ROWS / self.stride.max(1)).clamp(1, WINDOW).min(self.max_live.max(1))
    }

    /// Returns whether so many rounds have not ended that the source is to wait. Only a `!window` makes it wait.
    pub(crate) fn is_window_full(&self, window: Option<u32>) -> bool {
        window.is_some_and(|window| self.count - self.settled >= i64::from(window))
    }

    /// Returns how many rounds may be instantiated together. Of a small window, a part of it, so that it never runs empty.
    fn round_batch(&self) -> i64 {
        let part_of_window = (self.window() / WINDOW_PARTS).max(1);
        (ROUND_BATCH_ROWS / self.stride.max(1)).clamp(1, ROUND_BATCH).min(part_of_window)
    }

    /// Returns whether there are rounds to instantiate and the window has room for a whole batch of them.
    pub(crate) fn can_grow(&self) -> bool {
        self.expanded < self.count && self.expanded - self.settled <= self.window() - self.round_batch()
    }

    /// Returns the end of the next batch of rounds.
    pub(crate) fn next_batch_end(&self) -> i64 {
        self.count.min(self.settled + self.window()).min(self.expanded + self.round_batch())
    }

    /// Returns the block of its body.
    pub(crate) fn body(&self, run: &Run) -> Result<BlockIndex, HubError> {
        let node = run.graph.fan_out(self.node);
        node.map(|node| node.body).ok_or_else(|| HubError::damaged("a job where a loop should be"))
    }
}

/// Returns a node of a run.
pub(crate) fn node_of(run: &Run, node: NodeId) -> Result<&GraphNode, HubError> {
    run.graph.node(node).ok_or_else(|| HubError::damaged(format!("run {} has no node {node}", run.id)))
}

/// Returns the instance that a row belongs to.
pub(crate) fn instance_of(run: &Run, location: Location) -> Result<Instance, HubError> {
    let node = node_of(run, location.node)?;
    Ok(Instance { run: run.key, fanout: location.fanout, block: node.block, first: location.id - node.offset })
}

/// Returns the ids of an instance.
pub(crate) fn ids_of(run: &Run, instance: Instance) -> IdRange {
    let stride = run.graph.blocks.get(instance.block).map_or(0, Block::stride);
    (instance.first, instance.first + stride)
}

/// Returns where the row of a node of an instance is. The node must be of the instance's block.
pub(crate) fn location_in(run: &Run, instance: Instance, node: NodeId) -> Result<Location, HubError> {
    Ok(Location { id: instance.first + node_of(run, node)?.offset, node, fanout: instance.fanout })
}

/// Returns the instance of `block` that contains `from`: `from` itself, or one around it. `fan_out` looks a fan-out up, which
/// must exist because rounds of it do.
pub(crate) fn enclosing_instance<E: From<HubError>>(
    run: &Run,
    from: Instance,
    block: BlockIndex,
    mut fan_out: impl FnMut(i64) -> Result<FanOut, E>,
) -> Result<Instance, E> {
    let mut instance = from;
    while instance.block != block {
        if instance.fanout == 0 {
            return Err(HubError::damaged("nothing is around the top level").into());
        }
        instance = instance_of(run, fan_out(instance.fanout)?.location())?;
    }
    Ok(instance)
}

/// The error for a fan-out that must exist and does not.
pub(crate) fn missing_fan_out(id: i64) -> HubError {
    HubError::damaged(format!("fan-out {id} is missing"))
}
