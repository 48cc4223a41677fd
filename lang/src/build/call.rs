//! Calls to jobs: one for each step of the chain, each feeding the next.

use std::rc::Rc;

use bue_model::plan::Call as PlanCall;
use bue_model::{CallIndex, Input, JobNode, Node, NodeId, StepIndex};

use super::builder::Builder;
use super::symbol_table::{Binding, Definition};
use crate::source::Span;
use crate::syntax::tree::{Argument, Call, CallStatement, Name};

/// The location of a call in the script.
#[derive(Clone, Copy)]
pub(super) enum CallRole<'t> {
    /// A statement, with the name of its result, or the source of a loop.
    Statement(Option<&'t Name<'t>>),
    /// An argument.
    Nested,
}

impl<'t> Builder<'t, '_, '_> {
    pub(super) fn call_statement(&mut self, statement: &'t CallStatement<'_>, nodes: &mut Vec<Node>) {
        let role = CallRole::Statement(statement.result.as_ref());
        let last = statement.call.as_ref().and_then(|call| self.call(call, role, nodes));
        if let Some(result) = &statement.result {
            self.bind(result, last.map(Input::Node));
        }
    }

    /// Binds the name of a result from here to the end of the block.
    pub(super) fn bind(&mut self, name: &'t Name<'_>, input: Option<Input>) {
        self.results.define(&name.text, input.map_or(Binding::Unknown, Binding::Input));
    }

    /// Adds the jobs of a call, after those of its arguments. Returns its last job, or `None` if a diagnostic was reported.
    pub(super) fn call(&mut self, call: &'t Call<'_>, role: CallRole<'t>, nodes: &mut Vec<Node>) -> Option<NodeId> {
        let inputs = self.arguments(call, nodes);
        let chain = self.chain(&call.target);
        let (inputs, chain) = (inputs?, chain?);
        let steps: Option<Vec<StepIndex>> = chain.iter().map(|step| self.use_step(*step, call.span)).collect();
        self.jobs(call, &steps?, inputs, role, nodes)
    }

    fn arguments(&mut self, call: &'t Call<'_>, nodes: &mut Vec<Node>) -> Option<Vec<Input>> {
        let mut inputs = Some(Vec::with_capacity(call.arguments.len()));
        for argument in &call.arguments {
            if self.diagnostics.is_full() {
                return None;
            }
            let input = match argument {
                Argument::Name(name) => self.result(name),
                Argument::Call(inner) => self.call(inner, CallRole::Nested, nodes).map(Input::Node),
            };
            inputs = inputs.zip(input).map(|(mut inputs, input)| {
                inputs.push(input);
                inputs
            });
        }
        inputs
    }

    fn result(&mut self, name: &'t Name<'_>) -> Option<Input> {
        match self.results.get(&name.text) {
            Some(Binding::Input(input)) => Some(input),
            Some(Binding::Unknown) => None,
            None => {
                self.unknown_result(name);
                None
            }
        }
    }

    /// The steps that a call of this name runs.
    fn chain(&mut self, target: &'t Name<'_>) -> Option<Rc<[usize]>> {
        match self.definitions.get(&target.text) {
            Some(Definition::Step(step)) => {
                self.steps.get_mut(step)?.used = true;
                Some(Rc::from([step]))
            }
            Some(Definition::Pipe(pipe)) => {
                let pipe = self.pipes.get_mut(pipe)?;
                pipe.used = true;
                (!pipe.broken).then(|| Rc::clone(&pipe.chain))
            }
            None => {
                self.unknown_target(target);
                None
            }
        }
    }

    /// The index of the step in the plan, which it gets when it is first used.
    fn use_step(&mut self, step: usize, at: Span) -> Option<StepIndex> {
        if let Some(index) = self.steps.get(step)?.index {
            return Some(index);
        }
        self.charge_budget(at, self.steps.get(step)?.bytes())?;
        let entry = self.steps.get_mut(step)?;
        let index = StepIndex(u32::try_from(self.plan.steps.len()).ok()?);
        self.plan.steps.push(entry.step(&self.diagnostics.lines)?);
        entry.index = Some(index);
        Some(index)
    }

    fn jobs(
        &mut self,
        call: &'t Call<'_>,
        steps: &[StepIndex],
        inputs: Vec<Input>,
        role: CallRole<'t>,
        nodes: &mut Vec<Node>,
    ) -> Option<NodeId> {
        let index = CallIndex(u32::try_from(self.plan.calls.len()).ok()?);
        let mut inputs = inputs;
        let mut ends: Option<(NodeId, NodeId)> = None;
        for step in steps {
            let id = self.new_node(call.span)?;
            let inputs = core::mem::replace(&mut inputs, vec![Input::Node(id)]);
            nodes.push(Node::Job(JobNode { id, step: *step, call: index, inputs }));
            ends = Some((ends.map_or(id, |(first, _)| first), id));
        }
        let (first, last) = ends?;
        let (name, nested) = match role {
            CallRole::Statement(name) => (name.map(|name| name.text.to_string()), false),
            CallRole::Nested => (None, true),
        };
        let line = self.diagnostics.lines.line(call.span.start);
        self.calls.push(call.span);
        self.plan.calls.push(PlanCall { line, name, first, last, nested });
        Some(last)
    }
}
