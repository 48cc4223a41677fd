//! `for x in p():` with its body, and `all = [q(x) for x in p()]`

use super::parser::{Parsed, Parser, Reported};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::{Block, Call, Gather, GatherParts, Loop, Name, Statement};
use crate::text::backquoted;

/// Most levels of nested loops. A plan is nested as deeply, and JSON parsers limit the depth.
const MAX_LOOPS: u32 = 32;

impl<'a> Parser<'a, '_, '_> {
    /// At the word `for`. The body is parsed even if the head could not be.
    pub(super) fn for_loop(&mut self, width: usize) -> Parsed<Loop<'a>> {
        let span = self.peek().span;
        let start = self.position;
        self.next();
        let (variable, source) = match self.loop_head() {
            Ok((variable, source)) => (Some(variable), Some(source)),
            Err(Reported) => (None, None),
        };
        let body_on_head_line = !self.at_line_end();
        if body_on_head_line {
            self.skip_statement(start, width);
            self.mark_unparsed(start);
        }
        let body = self.loop_body(span, width, source.is_some() && !body_on_head_line)?;
        if let (true, Some(variable)) = (body.statements.is_empty(), &variable) {
            // the lines that should be the body would miss it
            self.mark_name_unparsed(variable);
        }
        Ok(Loop { span, variable, source, body })
    }

    fn loop_head(&mut self) -> Parsed<(Name<'a>, Call<'a>)> {
        let (variable, source) = self.variable_in_call(codes::INVALID_LOOP)?;
        if self.eat(TokenKind::Colon).is_none() {
            let diagnostic = self.unexpected(codes::INVALID_LOOP, "`:`");
            let call = backquoted(source.span.of(self.text));
            self.report(diagnostic.hint(format!("add a colon after {call}")));
            return Ok((variable, source));
        }
        if !self.at_line_end() {
            let diagnostic = self.unexpected(codes::INVALID_LOOP, "the end of the line");
            self.report(diagnostic.hint("write the body below, indented"));
        }
        Ok((variable, source))
    }

    /// `x in p()`
    fn variable_in_call(&mut self, code: &'static str) -> Parsed<(Name<'a>, Call<'a>)> {
        self.skip_line_breaks_in_gather(code);
        let variable = self.expect_name(code, "a name for the element", "in")?;
        self.skip_line_breaks_in_gather(code);
        if !self.at_word("in") {
            let first = variable.text.split(' ').next().unwrap_or_default();
            let diagnostic = self.unexpected(code, "`in`").hint(format!("`for {first} in pipe()`"));
            return self.fail(diagnostic);
        }
        self.next();
        self.skip_line_breaks_in_gather(code);
        if let Some(diagnostic) = self.python_list(code, &variable) {
            return self.fail(diagnostic);
        }
        let source = self.expect_call(code, "a call that returns the list")?;
        Ok((variable, source))
    }

    /// `range(3)` or `[1, 2]`, where the source of a loop is expected.
    fn python_list(&self, code: &'static str, variable: &Name<'_>) -> Option<DiagnosticBuilder> {
        let range = self.at_word("range") && self.kind_nth(1) == TokenKind::OpenParen && self.is_number_at(2);
        if !range && !self.at(TokenKind::OpenBracket) {
            return None;
        }
        let message = format!("expected a call that returns the list, found {}", self.describe_next());
        let source = if range { "range(…)" } else { "[…]" };
        let hint = format!("write a step whose function returns `list({source})`: `for {} in step():`", variable.text);
        Some(DiagnosticBuilder::new(code, self.peek().span, message).hint(hint.replace("list([…])", "[…]")))
    }

    fn is_number_at(&self, ahead: usize) -> bool {
        self.kind_nth(ahead) == TokenKind::Number
    }

    /// A gather is in brackets; the head of a loop is not.
    fn skip_line_breaks_in_gather(&mut self, code: &'static str) {
        if code == codes::INVALID_GATHER {
            self.skip_line_breaks();
        }
    }

    fn loop_body(&mut self, head: Span, width: usize, head_is_valid: bool) -> Parsed<Block<'a>> {
        let indent = self.peek().span;
        if self.kind() != TokenKind::LineStart || self.indent_width(indent) <= width {
            if head_is_valid {
                let diagnostic = DiagnosticBuilder::new(codes::EMPTY_LOOP, head, "this loop has no body");
                self.report(diagnostic.hint("indent the lines below `for` that run for each element"));
            }
            return Ok(Block::default());
        }
        if self.loop_depth == MAX_LOOPS {
            let message = format!("loops are nested more than {MAX_LOOPS} levels deep");
            return self.fail(DiagnosticBuilder::new(codes::TOO_DEEP, head, message));
        }
        self.check_unit(indent, width);
        self.loop_depth += 1;
        let body = self.block(self.indent_width(indent), Some(width));
        self.loop_depth -= 1;
        Ok(body)
    }

    /// After `name =`, at the opening bracket. A gather that cannot be parsed still defines the name of its result.
    pub(super) fn gather(&mut self, result: Name<'a>) -> Parsed<Statement<'a>> {
        let start = self.position;
        let parts = self.gather_parts().ok();
        if parts.is_none() {
            self.recover(start, self.statement_indent);
        }
        let span = result.span.to(self.previous().span);
        Ok(Statement::Gather(Gather { result, span, parts }))
    }

    fn gather_parts(&mut self) -> Parsed<GatherParts<'a>> {
        let opening = self.next();
        self.skip_line_breaks();
        let call = self.expect_call(codes::INVALID_GATHER, "a call for each element")?;
        self.skip_line_breaks();
        if !self.at_word("for") {
            let diagnostic = self.unclosed(codes::INVALID_GATHER, opening, "`for`");
            return self.fail(diagnostic.hint("`name = [pipe(x) for x in source()]`"));
        }
        self.next();
        let (variable, source) = self.variable_in_call(codes::INVALID_GATHER)?;
        self.skip_line_breaks();
        if self.eat(TokenKind::CloseBracket).is_none() {
            let diagnostic = self.unclosed(codes::INVALID_GATHER, opening, "`]`");
            let condition =
                "a gather has no condition: it collects all rounds, and null for a round whose step returns `cancel`";
            return self.fail(if self.at_word("if") { diagnostic.hint(condition) } else { diagnostic });
        }
        Ok(GatherParts { call, variable, source })
    }
}
