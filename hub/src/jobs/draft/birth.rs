//! Making instances of blocks: the top level of a run, the rounds of a fan-out.

use std::collections::HashMap;
use std::sync::Arc;

use bue_model::NodeId;

use super::rows::{DoneRow, JobRow};
use super::{Draft, Step};
use crate::error::HubError;
use crate::jobs::graph::{GraphNode, Kind};
use crate::jobs::initial_state::{Fate, Hint, Inherited, Standing, fate, standing_at_birth};
use crate::jobs::instance::{Instance, Run, Slot, node_of, slot_in};
use crate::jobs::outcome_rules::settings;
use crate::jobs::state::State;

/// What is the same for every instance of a block that is made now.
pub(super) struct Surroundings {
    /// How the nodes of outer blocks that this one uses stand.
    outer: HashMap<NodeId, Standing>,
    /// What the fan-out passes on.
    inherited: Inherited,
    /// The rounds were counted as blocked before.
    counted: bool,
}

impl Draft<'_> {
    /// Makes a run's top level.
    pub(crate) fn begin(&mut self, run: &Run) -> Step<()> {
        let around = Surroundings { outer: HashMap::new(), inherited: Inherited::default(), counted: false };
        self.touch(run.key);
        let top = Instance { run: run.key, fanout: 0, block: 0, first: run.first };
        // nothing was ever stored of it
        self.make(run, top, &around)
    }

    /// What surrounds the rounds of a fan-out, seen from one of them.
    pub(super) fn surroundings(&mut self, run: &Run, round: Instance, fan_out: Slot) -> Step<Surroundings> {
        let mut outer = HashMap::new();
        let nodes = run.graph.blocks.get(round.block).map_or(&[][..], |block| &block.nodes);
        for node in nodes {
            for parent in &node_of(run, *node)?.parents {
                let block = node_of(run, *parent)?.block;
                if block != round.block && !outer.contains_key(parent) {
                    let slot = slot_in(run, self.climb(run, round, block)?, *parent)?;
                    outer.insert(*parent, self.standing(slot.id)?);
                }
            }
        }
        Ok(Surroundings { outer, inherited: self.inherited(fan_out)?, counted: true })
    }

    /// What a fan-out got from its source and passes on, in its own name.
    fn inherited(&mut self, fan_out: Slot) -> Step<Inherited> {
        let hint = self.job(fan_out.id)?.map(|row| row.hint()).unwrap_or_default();
        let named = fan_out.node;
        Ok(Inherited {
            priority: hint.priority.map(|priority| (named, priority)),
            env: hint.env.map(|env| (named, env)),
        })
    }

    /// Makes all nodes of an instance. Safe: ids come from the sequence, and an instance is made once, by the transaction
    /// that moves `fanout.expanded` past it or makes the run.
    pub(super) fn make(&mut self, run: &Run, instance: Instance, around: &Surroundings) -> Step<()> {
        let nodes = run.graph.blocks.get(instance.block).map_or(&[][..], |block| &block.nodes);
        let mut made: HashMap<NodeId, Standing> = HashMap::with_capacity(nodes.len());
        for id in nodes {
            let node = node_of(run, *id)?;
            let (fate, inherited) = begin_of(node, &made, around);
            let slot = slot_in(run, instance, *id)?;
            let state = state_at_birth(node, &fate)?;
            self.count_birth(run, node, state, around.counted);
            self.insert(run, slot, state, &fate, inherited);
            made.insert(*id, standing_at_birth(&fate));
        }
        // an instance without anything open settles here and now
        self.closings.insert(instance);
        Ok(())
    }

    fn count_birth(&mut self, run: &Run, node: &GraphNode, state: State, counted: bool) {
        let Kind::Job(job) = &node.kind else { return };
        self.touch(run.key);
        if counted {
            self.counts.moved(run.key, job.step, State::Blocked, state);
        } else {
            self.counts.add(run.key, job.step, state, 1);
        }
        self.effects.work |= state == State::Ready;
    }

    pub(super) fn insert(&mut self, run: &Run, slot: Slot, state: State, fate: &Fate, inherited: Inherited) {
        if state == State::Cancelled {
            self.insert_cancelled(run, slot);
            return;
        }
        let (waiting_for, blocked_by) = match fate {
            Fate::Blocked(missing) => (*missing, None),
            Fate::Stuck(missing, by) => (*missing, Some(*by)),
            Fate::Free | Fate::Cancelled => (0, None),
        };
        let (hinted, hinted_priority) = inherited.priority.unzip();
        let (env_from, env) = inherited.env.unzip();
        let step = settings(run, slot.node);
        let rate = step.and_then(|(index, _)| self.known.rates.get(&(run.key, index.0))).copied().unwrap_or(0);
        self.put(JobRow {
            slot,
            run: run.key,
            state,
            waiting_for,
            scope: Arc::from(step.map_or("", |(_, settings)| settings.scope.as_str())),
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
            attempts: 0,
            pendings: 0,
            pending_since: None,
            releases: 0,
            resets: 0,
            blocked_by,
            failure: None,
            log: None,
        });
    }

    fn insert_cancelled(&mut self, run: &Run, slot: Slot) {
        let row = DoneRow {
            slot,
            run: run.key,
            state: State::Cancelled,
            token: 0,
            worker: None,
            attempts: 0,
            resets: 0,
            hint: Hint::default(),
            value: None,
            log: None,
        };
        self.jobs.insert(slot.id, None);
        self.done.insert(slot.id, Some(row));
    }
}

/// A node's fate and what is left to it, by its parents in this instance and around it.
fn begin_of(node: &GraphNode, made: &HashMap<NodeId, Standing>, around: &Surroundings) -> (Fate, Inherited) {
    let mut inherited = around.inherited.clone();
    let mut parents = Vec::with_capacity(node.parents.len());
    for parent in &node.parents {
        let standing = made.get(parent).or_else(|| around.outer.get(parent)).unwrap_or(&Standing::Open);
        if let Standing::Completed(hint) = standing {
            inherited.take(*parent, hint);
        }
        parents.push(standing);
    }
    (fate(parents), inherited)
}

/// A fan-out is made before its source has run, so it is never free.
fn state_at_birth(node: &GraphNode, fate: &Fate) -> Result<State, HubError> {
    match (fate, &node.kind) {
        (Fate::Free, Kind::Job(_)) => Ok(State::Ready),
        (Fate::Free, Kind::Loop(_)) => Err(HubError::damaged("a fan-out whose source was never made")),
        (Fate::Blocked(_), _) => Ok(State::Blocked),
        (Fate::Stuck(..), _) => Ok(State::Stuck),
        (Fate::Cancelled, _) => Ok(State::Cancelled),
    }
}
