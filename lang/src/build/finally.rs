//! `finally:` to a node.
//!
//! When a run ends, any of its results may be missing. So the body sees none of them, but the parameters, and `run`.

use bue_model::{Finally, Input, Node};

use super::builder::Builder;
use super::inherited::InheritedSettings;
use super::symbol_table::{Binding, BoundResult, SymbolTable};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::syntax::tree::FinallyBlock;

/// The name of the value that tells how the run ended.
const RUN: &str = "run";

impl<'t> Builder<'t, '_, '_> {
    pub(super) fn finally_block(
        &mut self,
        block: &'t FinallyBlock<'_>,
        settings: &InheritedSettings,
        nodes: &mut Vec<Node>,
    ) {
        if let Some(first) = self.finally.replace(block.span) {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_FINALLY, block.span, "there is a second `finally`");
            self.report(
                diagnostic.label_at(first, "the first one is here").hint("write one block with the lines of both"),
            );
        }
        let Some(id) = self.new_node(block.span) else { return };
        let outside = core::mem::replace(&mut self.results, SymbolTable::new());
        self.results.enter();
        for name in outside.names() {
            match outside.get(name) {
                Some(param @ BoundResult { binding: Binding::Input(Input::Param(_)), .. }) => {
                    self.results.define(name, param);
                }
                _ => drop(self.outside_finally.insert(name)),
            }
        }
        self.results.define(RUN, BoundResult { binding: Binding::Input(Input::Run(id)), quoted: false });
        self.is_in_finally = true;
        let body = self.block(&block.body, settings);
        self.is_in_finally = false;
        self.outside_finally.clear();
        self.results = outside;
        if body.is_empty() && !block.body.statements.is_empty() && !self.diagnostics.has_errors() {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_FINALLY, block.span, "this `finally` calls nothing");
            self.report(diagnostic.hint("call the steps that are to run when the run ends: `notify(run)`"));
        }
        let line = self.diagnostics.lines.line(block.span.start);
        nodes.push(Node::Finally(Finally { id, line, body }));
    }
}
