//! Loops to fan-out nodes.

use bue_model::{ForEach, Input, Node, NodeId};

use super::Builder;
use super::call::Standing;
use super::define::Surroundings;
use crate::source::Span;
use crate::tree::{Call, Gather, Loop, Name};

impl<'t> Builder<'t, '_, '_> {
    /// The jobs of the source call, then the fan-out with its body. A body is checked even if its loop is broken.
    pub(super) fn for_loop(&mut self, statement: &'t Loop<'_>, settings: &Surroundings, nodes: &mut Vec<Node>) {
        let source = statement.source.as_ref();
        let fan_out =
            source.and_then(|source| self.fan_out(source, statement.variable.as_ref(), statement.span, nodes));
        self.results.enter();
        match &statement.variable {
            Some(variable) => self.bind(variable, fan_out.map(|(id, _)| Input::Loop(id))),
            None => self.headless += 1,
        }
        let body = self.block(&statement.body, settings);
        self.headless -= u32::from(statement.variable.is_none());
        self.results.leave();
        self.remember_ended(&statement.body, statement.variable.as_ref());
        if let (Some((id, over)), Some(variable)) = (fan_out, &statement.variable) {
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
        self.bind(&parts.variable, fan_out.map(|(id, _)| Input::Loop(id)));
        let last = self.call(&parts.call, Standing::Statement(Some(&statement.result)), &mut body);
        self.results.leave();
        self.ended.insert(&parts.variable.text, parts.variable.span);
        let ((id, over), last) = fan_out.zip(last)?;
        let line = self.diagnostics.lines.line(statement.span.start);
        let variable = parts.variable.text.to_string();
        nodes.push(Node::ForEach(ForEach { id, variable, over, line, body, gather: Some(last) }));
        Some(id)
    }

    /// The fan-out's id and the last job of its source, whose jobs are made here.
    fn fan_out(
        &mut self,
        source: &'t Call<'_>,
        variable: Option<&'t Name<'_>>,
        at: Span,
        nodes: &mut Vec<Node>,
    ) -> Option<(NodeId, NodeId)> {
        self.source_of = variable.map(|variable| &*variable.text);
        let over = self.call(source, Standing::Statement(None), nodes);
        self.source_of = None;
        let over = over?;
        Some((self.new_node(at)?, over))
    }

    fn remember_ended(&mut self, body: &'t crate::tree::Block<'_>, variable: Option<&'t Name<'_>>) {
        let names = body.statements.iter().filter_map(super::missing::bound_name).chain(variable);
        self.ended.extend(names.map(|name| (&*name.text, name.span)));
    }
}
