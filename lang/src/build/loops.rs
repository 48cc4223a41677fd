//! Loops to fan-out nodes.

use bue_model::{ForEach, Input, Node, NodeId};

use super::builder::Builder;
use super::call::CallRole;
use super::inherited::InheritedSettings;
use super::unknown_names::bound_name;
use crate::source::Span;
use crate::syntax::tree::{Block, Call, Gather, Loop, Name};

/// A loop in the plan.
#[derive(Clone, Copy)]
struct FanOut {
    id: NodeId,
    /// The job whose result it runs over.
    over: NodeId,
}

impl<'t> Builder<'t, '_, '_> {
    /// Adds the jobs of the source call, then the fan-out with its body. The body is checked even if the head could not be parsed.
    pub(super) fn for_loop(&mut self, statement: &'t Loop<'_>, settings: &InheritedSettings, nodes: &mut Vec<Node>) {
        let source = statement.source.as_ref();
        let fan_out =
            source.and_then(|source| self.fan_out(source, statement.variable.as_ref(), statement.span, nodes));
        self.results.enter();
        match &statement.variable {
            Some(variable) => self.bind(variable, fan_out.map(|fan_out| Input::Loop(fan_out.id))),
            None => self.loops_without_variable += 1,
        }
        let body = self.block(&statement.body, settings);
        self.loops_without_variable -= u32::from(statement.variable.is_none());
        self.results.leave();
        self.note_ended_results(&statement.body, statement.variable.as_ref());
        if let (Some(FanOut { id, over }), Some(variable)) = (fan_out, &statement.variable) {
            let line = self.diagnostics.lines.line(statement.span.start);
            let variable = variable.text.to_string();
            nodes.push(Node::ForEach(ForEach { id, variable, over, line, body, gather: None }));
        }
    }

    /// `all = [p(x) for x in q()]`: a loop whose body is one call, and whose results are collected.
    pub(super) fn gather(&mut self, statement: &'t Gather<'_>, nodes: &mut Vec<Node>) {
        let gathered = self.gather_loop(statement, nodes);
        self.bind(&statement.result, gathered.map(Input::Gather));
    }

    fn gather_loop(&mut self, statement: &'t Gather<'_>, nodes: &mut Vec<Node>) -> Option<NodeId> {
        let parts = statement.parts.as_ref()?;
        let fan_out = self.fan_out(&parts.source, Some(&parts.variable), statement.span, nodes);
        let mut body = Vec::new();
        self.results.enter();
        self.bind(&parts.variable, fan_out.map(|fan_out| Input::Loop(fan_out.id)));
        let last = self.call(&parts.call, CallRole::Statement(Some(&statement.result)), &mut body);
        self.results.leave();
        self.ended_results.insert(&parts.variable.text, parts.variable.span);
        let (FanOut { id, over }, last) = fan_out.zip(last)?;
        let line = self.diagnostics.lines.line(statement.span.start);
        let variable = parts.variable.text.to_string();
        nodes.push(Node::ForEach(ForEach { id, variable, over, line, body, gather: Some(last) }));
        Some(id)
    }

    /// Adds the jobs of the source, and assigns the id of the fan-out over its result.
    fn fan_out(
        &mut self,
        source: &'t Call<'_>,
        variable: Option<&'t Name<'_>>,
        at: Span,
        nodes: &mut Vec<Node>,
    ) -> Option<FanOut> {
        self.loop_source_variable = variable.map(|variable| &*variable.text);
        let over = self.call(source, CallRole::Statement(None), nodes);
        self.loop_source_variable = None;
        let over = over?;
        Some(FanOut { id: self.new_node(at)?, over })
    }

    fn note_ended_results(&mut self, body: &'t Block<'_>, variable: Option<&'t Name<'_>>) {
        let names = body.statements.iter().filter_map(bound_name).chain(variable);
        self.ended_results.extend(names.map(|name| (&*name.text, name.span)));
    }
}
