//! `finally:` with its body.

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::language;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::{Block, FinallyBlock};

impl<'a> Parser<'a, '_, '_> {
    /// At the word `finally`: returns whether it begins the block. It may also be the name of a step, whose lines begin with a
    /// language, after settings.
    pub(super) fn finally_follows(&self) -> bool {
        if self.kind_nth(1) != TokenKind::Colon || !self.kind_nth(2).ends_line() {
            return false;
        }
        let mut ahead = 2;
        while self.kind_nth(ahead) == TokenKind::LineStart && self.kind_nth(ahead + 1).begins_setting() {
            ahead += 2;
            while !self.kind_nth(ahead).ends_line() {
                ahead += 1;
            }
        }
        let is_language = language::find(self.text_of(self.peek_nth(ahead + 1))).is_some();
        !(self.kind_nth(ahead) == TokenKind::LineStart && is_language && self.kind_nth(ahead + 2).ends_line())
    }

    /// At the word `finally`.
    pub(super) fn finally_block(&mut self, width: usize) -> Parsed<FinallyBlock<'a>> {
        let span = self.next().span;
        self.next();
        if self.loop_depth > 0 {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_FINALLY, span, "`finally` is inside another block");
            self.report(diagnostic.hint("a run ends once: write `finally:` at the top level"));
        }
        let indent = self.peek().span;
        if self.kind() != TokenKind::LineStart || self.indent_width(indent) <= width {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_FINALLY, span, "this `finally` has no body");
            self.report(diagnostic.hint("indent the lines below `finally` that run when the run ends"));
            return Ok(FinallyBlock { span, body: Block::default() });
        }
        self.check_unit(indent, width);
        self.loop_depth += 1;
        let body = self.block(self.indent_width(indent), Some(width));
        self.loop_depth -= 1;
        Ok(FinallyBlock { span, body })
    }
}
