//! `for x in p():` with its body, and `all = [q(x) for x in p()]`

use super::{Parsed, Parser};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::lexer::Kind;
use crate::source::Span;
use crate::tree::{Block, Call, Gather, GatherParts, Loop, Name, Statement};

/// Loops inside loops. A plan nests as deep as they do, and readers of JSON give up at some depth.
const MAX_LOOPS: u32 = 32;

impl<'a> Parser<'a, '_, '_> {
    /// At the word `for`. The body is read even if the head could not be.
    pub(super) fn for_loop(&mut self, width: usize) -> Parsed<Loop<'a>> {
        let span = self.peek().span;
        let start = self.at;
        self.next();
        let (variable, source) = match self.loop_head() {
            Ok((variable, source)) => (Some(variable), Some(source)),
            Err(_) => (None, None),
        };
        let body_behind = !self.at_line_end();
        if body_behind {
            self.skip_statement(start, width);
            self.lose(start);
        }
        let body = self.loop_body(span, width, source.is_some() && !body_behind)?;
        if let (true, Some(variable)) = (body.statements.is_empty(), &variable) {
            // what was meant to be the body will miss it
            self.lose_name(variable);
        }
        Ok(Loop { span, variable, source, body })
    }

    fn loop_head(&mut self) -> Parsed<(Name<'a>, Call<'a>)> {
        let (variable, source) = self.variable_in_call(code::BAD_LOOP)?;
        if self.eat(b':').is_none() {
            let diagnostic = self.unexpected(code::BAD_LOOP, "`:`");
            let call = super::quoted(source.span.of(self.text));
            self.report(diagnostic.hint(format!("a colon ends the line, behind {call}")));
            return Ok((variable, source));
        }
        if !self.at_line_end() {
            let diagnostic = self.unexpected(code::BAD_LOOP, "the end of the line");
            self.report(diagnostic.hint("the body stands below, indented"));
        }
        Ok((variable, source))
    }

    /// `x in p()`
    fn variable_in_call(&mut self, code: &'static str) -> Parsed<(Name<'a>, Call<'a>)> {
        self.gap_in_gather(code);
        let variable = self.expect_name(code, "a name for the element", "in")?;
        self.gap_in_gather(code);
        if !self.is_word("in") {
            let first = variable.text.split(' ').next().unwrap_or_default();
            let diagnostic = self.unexpected(code, "`in`").hint(format!("`for {first} in pipe()`"));
            return self.fail(diagnostic);
        }
        self.next();
        self.gap_in_gather(code);
        if let Some(diagnostic) = self.pythons_list(code, &variable) {
            return self.fail(diagnostic);
        }
        let source = self.expect_call(code, "a call that gives the list")?;
        Ok((variable, source))
    }

    /// `range(3)` or `[1, 2]`, where a loop's source should be.
    fn pythons_list(&self, code: &'static str, variable: &Name<'_>) -> Option<DiagnosticBuilder> {
        let range = self.is_word("range") && self.peek_at(1).kind == Kind::Mark(b'(') && self.is_number_at(2);
        if !range && !self.is_mark(b'[') {
            return None;
        }
        let message = format!("expected a call that gives the list, found {}", self.found());
        let source = if range { "range(…)" } else { "[…]" };
        let hint =
            format!("a step whose function returns `list({source})` gives it: `for {} in step():`", variable.text);
        Some(DiagnosticBuilder::new(code, self.peek().span, message).hint(hint.replace("list([…])", "[…]")))
    }

    fn is_number_at(&self, ahead: usize) -> bool {
        self.peek_at(ahead).kind == Kind::Number
    }

    /// A gather stands in brackets, the head of a loop does not.
    fn gap_in_gather(&mut self, code: &'static str) {
        if code == code::BAD_GATHER {
            self.gap();
        }
    }

    fn loop_body(&mut self, head: Span, width: usize, complain: bool) -> Parsed<Block<'a>> {
        let indent = self.peek().span;
        if self.kind() != Kind::Line || self.width(indent) <= width {
            if complain {
                let diagnostic = DiagnosticBuilder::new(code::EMPTY_LOOP, head, "this loop has no body");
                self.report(diagnostic.hint("indent the lines that run for each element, below the `for` line"));
            }
            return Ok(Block::default());
        }
        if self.loops == MAX_LOOPS {
            let message = format!("loops inside loops, more than {MAX_LOOPS} deep");
            return self.fail(DiagnosticBuilder::new(code::TOO_DEEP, head, message));
        }
        self.check_unit(indent, width);
        self.loops += 1;
        let body = self.block(self.width(indent), Some(width));
        self.loops -= 1;
        Ok(body)
    }

    /// Behind `name =`, at the opening bracket. A gather that cannot be read still gives its result a name.
    pub(super) fn gather(&mut self, result: Name<'a>) -> Parsed<Statement<'a>> {
        let start = self.at;
        let parts = self.gather_parts().ok();
        if parts.is_none() {
            self.recover(start, self.column);
        }
        let span = result.span.to(self.last().span);
        Ok(Statement::Gather(Gather { result, span, parts }))
    }

    fn gather_parts(&mut self) -> Parsed<GatherParts<'a>> {
        let opening = self.next();
        self.gap();
        let call = self.expect_call(code::BAD_GATHER, "a call for each element")?;
        self.gap();
        if !self.is_word("for") {
            let diagnostic = self.unclosed(code::BAD_GATHER, opening, "`for`");
            return self.fail(diagnostic.hint("`name = [pipe(x) for x in source()]`"));
        }
        self.next();
        let (variable, source) = self.variable_in_call(code::BAD_GATHER)?;
        self.gap();
        if self.eat(b']').is_none() {
            let diagnostic = self.unclosed(code::BAD_GATHER, opening, "`]`");
            let condition = "all rounds are gathered; a round whose step answers `cancel` gives null";
            return self.fail(if self.is_word("if") { diagnostic.hint(condition) } else { diagnostic });
        }
        Ok(GatherParts { call, variable, source })
    }
}
