//! [`RoundPath`]: a job's rounds of the loops around it, while the loops are read. Pure.

use bue_model::{ArgumentSummary, Input, NodeId, Round};

use crate::error::HubError;
use crate::jobs::columns::unsigned;
use crate::jobs::instance::{FanOut, Instance, Location, Run, instance_of};

/// The rounds so far, from the innermost loop outwards.
pub(crate) struct RoundPath<'a> {
    run: &'a Run,
    instance: Instance,
    rounds: Vec<Round>,
}

impl<'a> RoundPath<'a> {
    /// Begins at a job.
    pub(crate) fn new(run: &'a Run, job: Location) -> Result<Self, HubError> {
        Ok(Self { run, instance: instance_of(run, job)?, rounds: Vec::new() })
    }

    /// Returns the id of the fan-out that is needed next. `None` at the top level.
    pub(crate) fn needs(&self) -> Option<i64> {
        Some(self.instance.fanout).filter(|id| *id != 0)
    }

    /// Adds the round of the fan-out that was needed.
    pub(crate) fn add(&mut self, fan_out: &FanOut) -> Result<(), HubError> {
        let node = self.run.graph.fan_out(fan_out.node);
        let node = node.ok_or_else(|| HubError::damaged("a job where a loop should be"))?;
        // the `finally` block has one round for each end of the run
        if node.over.is_some() {
            self.rounds.push(Round {
                variable: node.variable.clone(),
                line: node.line,
                round: unsigned(fan_out.round_index(self.instance)).saturating_add(1),
                rounds: unsigned(fan_out.count),
            });
        }
        self.instance = instance_of(self.run, fan_out.location())?;
        Ok(())
    }

    /// Returns the rounds, outermost first.
    pub(crate) fn finish(mut self) -> Vec<Round> {
        self.rounds.reverse();
        self.rounds
    }
}

/// Returns the line of the call that a job belongs to.
pub(crate) fn line_of(run: &Run, node: NodeId) -> u32 {
    let call = run.graph.job(node).and_then(|job| run.graph.calls.get(job.call.get()));
    call.map_or(0, |call| call.line)
}

/// Names the arguments that the worker could not name: by the loop variable or by the call that each comes from.
pub(crate) fn named(run: &Run, node: NodeId, mut arguments: Vec<ArgumentSummary>) -> Vec<ArgumentSummary> {
    let Some(job) = run.graph.job(node) else { return arguments };
    for (argument, input) in arguments.iter_mut().zip(&job.inputs) {
        if argument.name.is_none() {
            argument.name = name_of(run, input).map(str::to_owned);
        }
    }
    arguments
}

fn name_of<'r>(run: &'r Run, input: &Input) -> Option<&'r str> {
    match input {
        Input::Loop(node) => run.graph.fan_out(*node).map(|fan_out| fan_out.variable.as_str()),
        Input::LoopPart(node, part) => run.graph.fan_out(*node)?.variable.split(", ").nth(*part as usize),
        Input::Node(node) => {
            let call = run.graph.calls.get(run.graph.job(*node)?.call.get())?;
            call.name.as_deref().filter(|_| call.last == *node)
        }
        Input::Failure(_) => Some("failure"),
        Input::Run(_) => Some("run"),
        Input::Gather(_) | Input::Literal(_) | Input::Param(_) => None,
    }
}
