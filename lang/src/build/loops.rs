//! Loops to fan-out nodes.

use bue_model::{ForEach, Input, Node, NodeId};

use super::builder::Builder;
use super::call::CallRole;
use super::inherited::InheritedSettings;
use super::unknown_names::bound_name;
use crate::source::Span;
use crate::syntax::tree::{Block, Gather, Loop, LoopHead, Name};

/// A loop in the plan.
#[derive(Clone, Copy)]
struct FanOut {
    id: NodeId,
    /// The job whose result it runs over.
    over: NodeId,
}

impl<'t> Builder<'t, '_, '_> {
    /// Adds the jobs of the source, then the fan-out with its body. The body is checked even if the head could not be parsed.
    pub(super) fn for_loop(&mut self, statement: &'t Loop<'_>, settings: &InheritedSettings, nodes: &mut Vec<Node>) {
        let fan_out = statement.head.as_ref().and_then(|head| self.fan_out(head, statement.span, nodes));
        self.results.enter();
        match &statement.head {
            Some(head) => self.bind_variables(&head.variables, fan_out),
            None => self.loops_without_variable += 1,
        }
        let body = self.block(&statement.body, settings);
        self.loops_without_variable -= u32::from(statement.head.is_none());
        self.results.leave();
        let variables = statement.head.as_ref().map_or(&[][..], |head| &head.variables);
        self.note_ended_results(&statement.body, variables);
        if let (Some(FanOut { id, over }), Some(head)) = (fan_out, &statement.head) {
            let line = self.diagnostics.lines.line(statement.span.start);
            let variable = joined(&head.variables);
            nodes.push(Node::ForEach(ForEach {
                id,
                variable,
                over,
                line,
                body,
                gather: None,
                window: head.source.window,
            }));
        }
    }

    /// `all = [p(x) for x in q()]`: a loop whose body is one call, and whose results are collected.
    pub(super) fn gather(&mut self, statement: &'t Gather<'_>, nodes: &mut Vec<Node>) {
        let gathered = self.gather_loop(statement, nodes);
        self.bind(&statement.result, gathered.map(Input::Gather));
    }

    fn gather_loop(&mut self, statement: &'t Gather<'_>, nodes: &mut Vec<Node>) -> Option<NodeId> {
        let parts = statement.parts.as_ref()?;
        let fan_out = self.fan_out(&parts.head, statement.span, nodes);
        let mut body = Vec::new();
        self.results.enter();
        self.bind_variables(&parts.head.variables, fan_out);
        let last = self.call(&parts.call, CallRole::Statement(Some(&statement.result)), &mut body);
        self.results.leave();
        self.ended_results.extend(parts.head.variables.iter().map(|name| (&*name.text, name.span)));
        let (FanOut { id, over }, last) = fan_out.zip(last)?;
        let line = self.diagnostics.lines.line(statement.span.start);
        let variable = joined(&parts.head.variables);
        let window = parts.head.source.window;
        nodes.push(Node::ForEach(ForEach { id, variable, over, line, body, gather: Some(last), window }));
        Some(id)
    }

    /// One variable is the element; of several, each is a part of it.
    fn bind_variables(&mut self, variables: &'t [Name<'_>], fan_out: Option<FanOut>) {
        for (part, variable) in (0..).zip(variables) {
            let input = fan_out.map(|FanOut { id, .. }| match variables.len() {
                1 => Input::Loop(id),
                _ => Input::LoopPart(id, part),
            });
            self.bind(variable, input);
        }
    }

    /// Adds the jobs of the source, and assigns the id of the fan-out over its result.
    fn fan_out(&mut self, head: &'t LoopHead<'_>, at: Span, nodes: &mut Vec<Node>) -> Option<FanOut> {
        self.loop_source_variables = head.variables.iter().map(|variable| &*variable.text).collect();
        let over = self.loop_source(head, nodes);
        self.loop_source_variables.clear();
        let over = over?;
        Some(FanOut { id: self.new_node(at)?, over })
    }

    fn note_ended_results(&mut self, body: &'t Block<'_>, variables: &'t [Name<'_>]) {
        let names = body.statements.iter().filter_map(bound_name).chain(variables);
        self.ended_results.extend(names.map(|name| (&*name.text, name.span)));
    }
}

/// `x, y`
fn joined(variables: &[Name<'_>]) -> String {
    let names: Vec<&str> = variables.iter().map(|name| &*name.text).collect();
    names.join(", ")
}
