//! Rows of new instances of blocks: the top level of a run, the rounds of a fan-out.

use std::collections::HashMap;

use bue_model::NodeId;

use super::change_set::{ChangeResult, ChangeSet};
use super::rows::{DoneRow, JobRow};
use crate::error::HubError;
use crate::jobs::graph::{GraphNode, NodeKind};
use crate::jobs::initial_state::{InheritedHint, InitialState, ParentState};
use crate::jobs::instance::{Instance, Location, Run, location_in, node_of};
use crate::jobs::outcome_rules::{home_scope, step_settings};
use crate::jobs::state::State;

/// What all instances of a block have in common that are made together.
pub(super) struct BlockContext {
    /// The states of the nodes of outer blocks that this block uses.
    outer_parents: HashMap<NodeId, ParentState>,
    /// What the fan-out passes on.
    inherited: InheritedHint,
    /// The jobs are counted as blocked already.
    is_counted: bool,
}

impl ChangeSet<'_> {
    /// Instantiates the top level of a run, of which nothing is stored yet.
    pub(crate) fn start_run(&mut self, run: &Run) -> ChangeResult<()> {
        self.mark_run_changed(run.key);
        self.instantiate_alone(run, run.top_level())
    }

    /// Makes the rows of an instance that uses nothing around it, and whose jobs have not been counted.
    pub(super) fn instantiate_alone(&mut self, run: &Run, instance: Instance) -> ChangeResult<()> {
        let inherited = InheritedHint::default();
        let context = BlockContext { outer_parents: HashMap::new(), inherited, is_counted: false };
        self.instantiate(run, instance, &context)
    }

    /// Returns the context of the rounds of a fan-out, seen from one of them.
    pub(super) fn round_context(
        &mut self,
        run: &Run,
        round: Instance,
        fan_out: Location,
    ) -> ChangeResult<BlockContext> {
        let mut outer_parents = HashMap::new();
        let nodes = run.graph.blocks.get(round.block).map_or(&[][..], |block| &block.nodes);
        for node in nodes {
            for parent in &node_of(run, *node)?.parents {
                let block = node_of(run, *parent)?.block;
                if block != round.block && !outer_parents.contains_key(parent) {
                    let location = location_in(run, self.enclosing(run, round, block)?, *parent)?;
                    outer_parents.insert(*parent, self.parent_state(location.id)?);
                }
            }
        }
        Ok(BlockContext { outer_parents, inherited: self.hint_of_fan_out(fan_out)?, is_counted: true })
    }

    /// Returns what a fan-out inherited from its source, as coming from the fan-out itself.
    pub(super) fn hint_of_fan_out(&mut self, fan_out: Location) -> ChangeResult<InheritedHint> {
        let hint = self.job(fan_out.id)?.map(|row| row.hint()).unwrap_or_default();
        Ok(InheritedHint {
            priority: hint.priority.map(|priority| (fan_out.node, priority)),
            env: hint.env.map(|env| (fan_out.node, env)),
            scope: hint.scope.map(|scope| (fan_out.node, scope)),
        })
    }

    /// Makes the rows of all nodes of an instance. Safe: ids come from the sequence, and an instance is made once, by the
    /// transaction that moves `fanout.expanded` past it or inserts the run.
    pub(super) fn instantiate(&mut self, run: &Run, instance: Instance, context: &BlockContext) -> ChangeResult<()> {
        let nodes = run.graph.blocks.get(instance.block).map_or(&[][..], |block| &block.nodes);
        let mut parents: HashMap<NodeId, ParentState> = HashMap::with_capacity(nodes.len());
        for id in nodes.iter().filter(|id| !run.graph.is_deferred(**id)) {
            let node = node_of(run, *id)?;
            let (initial, inherited) = initial_state_of(node, &parents, context);
            let location = location_in(run, instance, *id)?;
            let state = row_state(node, &initial)?;
            self.count_new_job(run, node, state, context.is_counted);
            self.insert_row(run, location, state, &initial, inherited)?;
            if state == State::Ready {
                self.consider_reuse(run, location);
            }
            parents.insert(*id, initial.as_parent());
        }
        // an instance without open rows settles at once
        self.to_settle.insert(instance);
        Ok(())
    }

    fn count_new_job(&mut self, run: &Run, node: &GraphNode, state: State, is_counted: bool) {
        let NodeKind::Job(job) = &node.kind else { return };
        self.mark_run_changed(run.key);
        if is_counted {
            self.counts.transition(run.key, job.step, State::Blocked, state);
        } else {
            self.counts.add(run.key, job.step, state, 1);
        }
        self.pending_notifications.work |= state == State::Ready;
    }

    /// Counts a job that did not exist before.
    pub(super) fn count_instantiated(&mut self, run: &Run, node: NodeId, state: State) {
        self.mark_run_changed(run.key);
        if let Some(job) = run.graph.job(node) {
            self.counts.add(run.key, job.step, state, 1);
        }
    }

    /// Inserts a row as if it had never run.
    pub(super) fn insert_row(
        &mut self,
        run: &Run,
        location: Location,
        state: State,
        initial: &InitialState,
        inherited: InheritedHint,
    ) -> Result<(), HubError> {
        if state == State::Cancelled {
            self.jobs.insert(location.id, None);
            self.done.insert(location.id, Some(DoneRow::never_run(location, run.key)));
            return Ok(());
        }
        let (waiting_for, blocked_by) = match initial {
            InitialState::Blocked { waiting_for } => (*waiting_for, None),
            InitialState::Stuck { waiting_for, failed_job } => (*waiting_for, Some(*failed_job)),
            InitialState::Ready | InitialState::Cancelled => (0, None),
        };
        let (hinted, hinted_priority) = inherited.priority.unzip();
        let (env_from, env) = inherited.env.unzip();
        let (scope_from, scope_hint) = inherited.scope.unzip();
        let step = step_settings(run, location.node);
        let rate = step.and_then(|(index, _)| self.snapshot.rates.get(&(run.key, index.0))).copied().unwrap_or(0);
        self.put(JobRow {
            location,
            run: run.key,
            state,
            waiting_for,
            scope: home_scope(run, location.node, scope_hint.as_ref()),
            scope_hint,
            scope_from,
            priority: hinted_priority.or(step.map(|(_, settings)| settings.priority)).unwrap_or(0),
            rate,
            hinted,
            env,
            env_from,
            available_at: self.now,
            lease_end: None,
            token: 0,
            reported: 0,
            worker: None,
            started_at: None,
            earlier: None,
            ending: None,
            attempts: 0,
            pendings: 0,
            pending_since: None,
            releases: 0,
            isolated: false,
            expires_at: self.expiry(run, location.node)?,
            resets: 0,
            blocked_by,
            failure: None,
            log: None,
        });
        Ok(())
    }
}

/// Derives a node's initial state, and what it inherits, from its parents in this instance and around it.
fn initial_state_of(
    node: &GraphNode,
    parents: &HashMap<NodeId, ParentState>,
    context: &BlockContext,
) -> (InitialState, InheritedHint) {
    let mut inherited = context.inherited.clone();
    let mut states = Vec::with_capacity(node.parents.len());
    for parent in &node.parents {
        let state = parents.get(parent).or_else(|| context.outer_parents.get(parent)).unwrap_or(&ParentState::Open);
        if let ParentState::Completed(hint) = state {
            inherited.inherit(*parent, hint);
        }
        states.push(state);
    }
    (InitialState::from_parents(states), inherited)
}

/// Returns the state of a new row. A fan-out is instantiated before its source has run, so it always waits.
fn row_state(node: &GraphNode, initial: &InitialState) -> Result<State, HubError> {
    match (initial, &node.kind) {
        (InitialState::Ready, NodeKind::Job(_)) => Ok(State::Ready),
        (InitialState::Ready, NodeKind::Loop(_)) => Err(HubError::damaged("a fan-out whose source never existed")),
        (InitialState::Blocked { .. }, _) => Ok(State::Blocked),
        (InitialState::Stuck { .. }, _) => Ok(State::Stuck),
        (InitialState::Cancelled, _) => Ok(State::Cancelled),
    }
}
