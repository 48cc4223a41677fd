//! Calls to jobs: one for each step of the chain, each feeding the next.

use std::rc::Rc;

use bue_model::job::INLINE_LIMIT;
use bue_model::plan::Call as PlanCall;
use bue_model::{CallIndex, Input, JobNode, Node, NodeId, StepIndex, Value, cbor};
use bytes::Bytes;

use super::builder::Builder;
use super::definition::ChainLink;
use super::symbol_table::{Binding, BoundResult, Definition};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::tree::{Argument, Call, CallStatement, Literal, Name};
use crate::text::{backquoted, unquoted};

/// The location of a call in the script.
#[derive(Clone, Copy)]
pub(super) enum CallRole<'t> {
    /// A statement, with the name of its result, or the source of a loop.
    Statement(Option<&'t Name<'t>>),
    /// An argument.
    Nested,
}

/// A step of a chain.
struct Link {
    step: StepIndex,
    /// What is called if the step fails.
    handler: Option<StepIndex>,
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
        let binding = input.map_or(Binding::Unknown, Binding::Input);
        let quoted = self.is_quoted(name.span);
        self.results.define(&name.text, BoundResult { binding, quoted });
    }

    /// Adds the jobs of a call, after those of its arguments. Returns its last job, or `None` if a diagnostic was reported.
    pub(super) fn call(&mut self, call: &'t Call<'_>, role: CallRole<'t>, nodes: &mut Vec<Node>) -> Option<NodeId> {
        let inputs = self.arguments(call, nodes);
        let chain = self.chain(&call.target);
        let (inputs, chain) = (inputs?, chain?);
        let links: Option<Vec<Link>> = chain.iter().map(|link| self.link(*link, call.span)).collect();
        self.jobs(call, &links?, inputs, role, nodes)
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
                Argument::Literal(literal) => self.literal(literal),
            };
            inputs = inputs.zip(input).map(|(mut inputs, input)| {
                inputs.push(input);
                inputs
            });
        }
        inputs
    }

    fn result(&mut self, name: &'t Name<'_>) -> Option<Input> {
        match self.results.get(&name.text).map(|result| result.binding) {
            Some(Binding::Input(input)) => {
                if let Input::Param(index) = input {
                    self.used_params.insert(index);
                }
                Some(input)
            }
            Some(Binding::Unknown) => None,
            None => {
                self.unknown_result(name);
                None
            }
        }
    }

    fn literal(&mut self, literal: &Literal) -> Option<Input> {
        if let Some(result) = self.result_named_like(literal) {
            return self.value_or_result(literal, result);
        }
        self.literal_bytes(literal.span, &literal.value).map(Input::Literal)
    }

    /// The value as CBOR, unless it is too large for a plan.
    pub(super) fn literal_bytes(&mut self, at: Span, value: &Value) -> Option<Bytes> {
        let bytes = cbor::encode(value);
        if bytes.len() > INLINE_LIMIT {
            let message = format!("this value takes more than {} KiB", INLINE_LIMIT / 1024);
            self.report(
                DiagnosticBuilder::new(codes::INVALID_LITERAL, at, message)
                    .hint("return it from a step, and pass the result on"),
            );
            return None;
        }
        self.charge_budget(at, bytes.len())?;
        Some(bytes.into())
    }

    /// The visible result whose name is the word or text that the literal is.
    fn result_named_like(&self, literal: &Literal) -> Option<BoundResult> {
        match &literal.value {
            Value::Text(text) => self.results.get(text.trim()),
            Value::Bool(_) | Value::Null => self.results.get(self.text_of(literal.span)),
            _ => None,
        }
    }

    /// Both could be meant, unless the name of the result is in quotes where it is bound, too.
    fn value_or_result(&mut self, literal: &Literal, result: BoundResult) -> Option<Input> {
        let is_text = matches!(literal.value, Value::Text(_));
        match result.binding {
            Binding::Input(input) if result.quoted && is_text => return Some(input),
            Binding::Input(_) => {}
            Binding::Unknown => return None,
        }
        let written = self.text_of(literal.span);
        let name = unquoted(written);
        let message = format!("{} could be a value, or the result {}", backquoted(written), backquoted(name));
        let without_quotes = format!("for the result, write {} without quotes; ", backquoted(name));
        let hint = "for the value, give the result another name";
        let hint = if is_text { without_quotes + hint } else { hint.to_owned() };
        self.report(DiagnosticBuilder::new(codes::VALUE_OR_RESULT, literal.span, message).hint(hint));
        None
    }

    fn text_of(&self, span: Span) -> &str {
        span.of(self.diagnostics.script.text)
    }

    fn is_quoted(&self, span: Span) -> bool {
        self.text_of(span).starts_with(['"', '\''])
    }

    /// The steps that a call of this name runs.
    fn chain(&mut self, target: &'t Name<'_>) -> Option<Rc<[ChainLink]>> {
        match self.definitions.get(&target.text) {
            Some(Definition::Step(step)) => {
                self.steps.get_mut(step)?.used = true;
                Some(Rc::from([ChainLink::Step(step)]))
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

    /// A step of a chain, with the step that handles its failure.
    fn link(&mut self, link: ChainLink, at: Span) -> Option<Link> {
        let (index, step) = match link {
            ChainLink::Step(step) => (self.use_step(step, at)?, step),
            // all stages have the same handler
            ChainLink::Fusion(fusion) => (self.use_fusion(fusion, at)?, *self.fusions.get(fusion)?.stages.first()?),
        };
        let handler = match self.steps.get(step)?.handler {
            Some(handler) => Some(self.use_step(handler, at)?),
            None => None,
        };
        Some(Link { step: index, handler })
    }

    /// The index of the step in the plan, which it gets when it is first used.
    pub(super) fn use_step(&mut self, step: usize, at: Span) -> Option<StepIndex> {
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
        links: &[Link],
        inputs: Vec<Input>,
        role: CallRole<'t>,
        nodes: &mut Vec<Node>,
    ) -> Option<NodeId> {
        let index = CallIndex(u32::try_from(self.plan.calls.len()).ok()?);
        let (mut inputs, mut handlers) = (inputs, Vec::new());
        let mut ends: Option<(NodeId, NodeId)> = None;
        for Link { step, handler } in links {
            let id = self.new_node(call.span)?;
            let inputs = core::mem::replace(&mut inputs, vec![Input::Node(id)]);
            nodes.push(Node::Job(JobNode { id, step: *step, call: index, inputs }));
            ends = Some((ends.map_or(id, |(first, _)| first), id));
            if let Some(step) = handler {
                // its call comes after this one and those of the handlers before it
                let call_index = CallIndex(index.0 + 1 + u32::try_from(handlers.len()).ok()?);
                let handler = self.new_node(call.span)?;
                let inputs = vec![Input::Failure(id)];
                nodes.push(Node::Job(JobNode { id: handler, step: *step, call: call_index, inputs }));
                handlers.push(handler);
            }
        }
        let (first, last) = ends?;
        let (name, nested) = match role {
            CallRole::Statement(name) => (name.map(|name| name.text.to_string()), self.is_in_finally),
            CallRole::Nested => (None, true),
        };
        let line = self.diagnostics.lines.line(call.span.start);
        self.calls.push(call.span);
        self.plan.calls.push(PlanCall { line, name, first, last, nested });
        for handler in handlers {
            self.calls.push(call.span);
            self.plan.calls.push(PlanCall { line, name: None, first: handler, last: handler, nested: true });
        }
        Some(last)
    }
}
