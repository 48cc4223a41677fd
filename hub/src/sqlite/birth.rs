//! Making instances of blocks: the top level of a run, the rounds of a fan-out.

use std::collections::HashMap;

use bue_model::NodeId;
use rusqlite::{OptionalExtension, params};

use super::fate::{Fate, Inherited, Standing, fate, standing_at_birth};
use super::ledger::{Instance, Ledger, Slot, node_of, slot_in};
use super::memory::Run;
use super::state::State;
use crate::error::HubError;
use crate::graph::{GraphJob, Kind};

/// What is the same for every instance of a block that is made now.
pub(super) struct Surroundings {
    /// How the nodes of outer blocks that this one uses stand.
    outer: HashMap<NodeId, Standing>,
    /// What the fan-out passes on.
    inherited: Inherited,
    /// The rounds were counted as blocked before.
    counted: bool,
}

impl Surroundings {
    /// Of the top level.
    pub(super) fn none() -> Self {
        Self { outer: HashMap::new(), inherited: Inherited::default(), counted: false }
    }
}

impl Ledger<'_> {
    /// What surrounds the rounds of a fan-out, seen from one of them.
    pub(super) fn surroundings(&self, run: &Run, round: Instance, fan_out: Slot) -> Result<Surroundings, HubError> {
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
    fn inherited(&self, fan_out: Slot) -> Result<Inherited, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT iif(hinted IS NULL, NULL, priority), env FROM job WHERE id = ?1")?;
        let found = select.query_row([fan_out.id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (priority, env) = found.unwrap_or((None, None));
        let named = fan_out.node;
        Ok(Inherited { priority: priority.map(|priority| (named, priority)), env: env.map(|env| (named, env)) })
    }

    /// Makes all nodes of an instance.
    pub(super) fn make(&mut self, run: &Run, instance: Instance, around: &Surroundings) -> Result<(), HubError> {
        let nodes = run.graph.blocks.get(instance.block).map_or(&[][..], |block| &block.nodes);
        let mut made: HashMap<NodeId, Standing> = HashMap::with_capacity(nodes.len());
        for id in nodes {
            let node = node_of(run, *id)?;
            let mut inherited = around.inherited.clone();
            let mut parents = Vec::with_capacity(node.parents.len());
            for parent in &node.parents {
                let standing = made.get(parent).or_else(|| around.outer.get(parent)).unwrap_or(&Standing::Open);
                if let Standing::Completed(hint) = standing {
                    inherited.take(*parent, hint);
                }
                parents.push(standing);
            }
            let fate = fate(parents);
            let slot = slot_in(run, instance, *id)?;
            match &node.kind {
                Kind::Job(job) => self.make_job(run, slot, job, &fate, inherited, around.counted)?,
                Kind::Loop(_) => self.make_loop(run, slot, &fate, inherited)?,
            }
            made.insert(*id, standing_at_birth(&fate));
        }
        // an instance without anything open settles here and now
        self.closings.insert(instance);
        Ok(())
    }

    fn make_job(
        &mut self,
        run: &Run,
        slot: Slot,
        job: &GraphJob,
        fate: &Fate,
        inherited: Inherited,
        counted: bool,
    ) -> Result<(), HubError> {
        let state = match fate {
            Fate::Free => State::Ready,
            Fate::Blocked(_) => State::Blocked,
            Fate::Stuck(..) => State::Stuck,
            Fate::Cancelled => State::Cancelled,
        };
        self.touch(run.key);
        if counted {
            self.counts.moved(run.key, job.step, State::Blocked, state);
        } else {
            self.counts.add(run.key, job.step, state, 1);
        }
        self.effects.work |= state == State::Ready;
        self.insert(run, slot, state, fate, inherited)
    }

    /// A fan-out is made before its source has run, so it is never free.
    fn make_loop(&mut self, run: &Run, slot: Slot, fate: &Fate, inherited: Inherited) -> Result<(), HubError> {
        let state = match fate {
            Fate::Free => return Err(HubError::damaged("a fan-out whose source was never made")),
            Fate::Blocked(_) => State::Blocked,
            Fate::Stuck(..) => State::Stuck,
            Fate::Cancelled => State::Cancelled,
        };
        self.insert(run, slot, state, fate, inherited)
    }

    /// Safe to insert: ids come from the sequence, and an instance is made once, by the transaction that moves
    /// `fanout.expanded` past it or makes the run.
    pub(super) fn insert(
        &self,
        run: &Run,
        slot: Slot,
        state: State,
        fate: &Fate,
        inherited: Inherited,
    ) -> Result<(), HubError> {
        if state == State::Cancelled {
            return self.insert_cancelled(run, slot);
        }
        let (waiting_for, blocked_by) = match fate {
            Fate::Blocked(missing) => (*missing, None),
            Fate::Stuck(missing, by) => (*missing, Some(*by)),
            Fate::Free | Fate::Cancelled => (0, None),
        };
        let (hinted, hinted_priority) = inherited.priority.unzip();
        let (env_from, env) = inherited.env.unzip();
        let step = run.graph.job(slot.node).and_then(|job| Some((job.step, run.graph.step_of(job)?)));
        let settings = step.map(|(_, step)| &step.settings);
        let rate = match step {
            Some((index, step)) if step.settings.rate.as_ref().is_some_and(|rate| rate.by.is_none()) => {
                self.rate_of(run.key, index)?
            }
            _ => 0,
        };
        let mut insert = self.db.prepare_cached(
            "INSERT INTO job (id, run, node, fanout, state, waiting_for, scope, priority, rate, hinted, env, env_from,
                 available_at, blocked_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        insert.execute(params![
            slot.id,
            run.key,
            slot.node.0,
            slot.fanout,
            state,
            waiting_for,
            settings.map_or("", |settings| settings.scope.as_str()),
            hinted_priority.or(settings.map(|settings| settings.priority)).unwrap_or(0),
            rate,
            hinted.map(|node| node.0),
            env,
            env_from.map(|node| node.0),
            self.now,
            blocked_by,
        ])?;
        Ok(())
    }

    /// As above.
    pub(super) fn insert_cancelled(&self, run: &Run, slot: Slot) -> Result<(), HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO done (id, run, node, fanout, state, token, attempts, resets, ended_at)
             VALUES (?1, ?2, ?3, ?4, 8, 0, 0, 0, ?5)",
        )?;
        insert.execute(params![slot.id, run.key, slot.node.0, slot.fanout, self.now])?;
        Ok(())
    }

    fn rate_of(&self, run: i64, step: bue_model::StepIndex) -> Result<i64, HubError> {
        let mut select = self.db.prepare_cached("SELECT id FROM rate WHERE run = ?1 AND step = ?2 AND key = x''")?;
        Ok(select.query_row(params![run, step.0], |row| row.get(0)).optional()?.unwrap_or(0))
    }
}
