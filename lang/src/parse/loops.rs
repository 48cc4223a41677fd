//! `for x in p():` with its body, `all = [q(x) for x in p()]`, and what they run over: `p() + q() !chunk 64 !window 200`

use bue_model::MAX_BATCH;
use bue_model::plan::MAX_WINDOW;

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::{Block, Gather, GatherParts, Loop, LoopHead, LoopSource, Name, Statement};
use crate::text::backquoted;

/// Most levels of nested loops. A plan is nested as deeply, and JSON parsers limit the depth.
const MAX_LOOPS: u32 = 32;

const CHUNK_HINT: &str = "lists of 64 elements: `for batch in rows() !chunk 64:`";

const WINDOW_HINT: &str = "at most 200 unfinished rounds: `for row in rows() !window 200:`";

impl<'a> Parser<'a, '_, '_> {
    /// At the word `for`. The body is parsed even if the head could not be.
    pub(super) fn for_loop(&mut self, width: usize) -> Parsed<Loop<'a>> {
        let span = self.peek().span;
        let start = self.position;
        self.next();
        let head = self.loop_head().ok();
        let body_on_head_line = !self.at_line_end();
        if body_on_head_line {
            self.skip_statement(start, width);
            self.mark_unparsed(start);
        }
        let body = self.loop_body(span, width, head.is_some() && !body_on_head_line)?;
        if let (true, Some(head)) = (body.statements.is_empty(), &head) {
            // the lines that should be the body would miss them
            head.variables.iter().for_each(|variable| self.mark_name_unparsed(variable));
        }
        Ok(Loop { span, head, body })
    }

    fn loop_head(&mut self) -> Parsed<LoopHead<'a>> {
        let head = self.variables_in_source(codes::INVALID_LOOP)?;
        if self.eat(TokenKind::Colon).is_none() {
            let diagnostic = self.unexpected(codes::INVALID_LOOP, "`:`");
            let source = backquoted(head.source.span.of(self.text));
            self.report(diagnostic.hint(format!("add a colon after {source}")));
            return Ok(head);
        }
        if !self.at_line_end() {
            let diagnostic = self.unexpected(codes::INVALID_LOOP, "the end of the line");
            self.report(diagnostic.hint("write the body below, indented"));
        }
        Ok(head)
    }

    /// `x in p()`, `x, y in zip(p(), q())`
    fn variables_in_source(&mut self, code: &'static str) -> Parsed<LoopHead<'a>> {
        let mut variables = Vec::new();
        loop {
            self.skip_line_breaks_in_gather(code);
            variables.push(self.expect_name(code, "a name for the element", "in")?);
            self.skip_line_breaks_in_gather(code);
            if self.eat(TokenKind::Comma).is_none() {
                break;
            }
        }
        if !self.at_word("in") {
            let first = variables.first().and_then(|variable| variable.text.split(' ').next()).unwrap_or_default();
            let diagnostic = self.unexpected(code, "`in`").hint(format!("`for {first} in pipe()`"));
            return self.fail(diagnostic);
        }
        self.next();
        self.skip_line_breaks_in_gather(code);
        if let Some(diagnostic) = variables.first().and_then(|variable| self.python_list(code, variable)) {
            return self.fail(diagnostic);
        }
        let source = self.loop_source(code)?;
        Ok(LoopHead { variables, source })
    }

    /// `p() + q() !chunk 64 !window 200`
    fn loop_source(&mut self, code: &'static str) -> Parsed<LoopSource<'a>> {
        let start = self.peek().span;
        let mut calls = vec![self.expect_call(code, "a call that returns the list")?];
        self.skip_line_breaks_in_gather(code);
        while self.eat(TokenKind::Plus).is_some() {
            self.skip_line_breaks_in_gather(code);
            calls.push(self.expect_call(code, "a call that returns a list")?);
            self.skip_line_breaks_in_gather(code);
        }
        let (mut chunk, mut window) = (None, None);
        if self.at_loop_setting("chunk") {
            chunk = Some(self.chunk_size()?);
            self.skip_line_breaks_in_gather(code);
        }
        if self.at_loop_setting("window") {
            window = Some(self.window_size()?);
            self.skip_line_breaks_in_gather(code);
        }
        if self.at(TokenKind::Bang) {
            self.next();
            return self.fail(self.misplaced_setting());
        }
        Ok(LoopSource { calls, chunk, window, span: start.to(self.previous().span) })
    }

    /// Behind an exclamation mark, where no setting of a loop can be.
    fn misplaced_setting(&self) -> DiagnosticBuilder {
        if self.at_word("chunk") || self.at_word("window") {
            let message = "`!chunk` and `!window` stand at the end in this order, each once";
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_CHUNK, self.peek().span, message);
            return diagnostic.hint("`for batch in rows() !chunk 64 !window 200:`");
        }
        self.unexpected(codes::INVALID_CHUNK, "`chunk` or `window`").hint(CHUNK_HINT)
    }

    /// Returns whether an exclamation mark and this word are next.
    fn at_loop_setting(&self, word: &str) -> bool {
        self.at(TokenKind::Bang) && self.at_word_nth(1, word)
    }

    /// `!window 200`, at the exclamation mark.
    fn window_size(&mut self) -> Parsed<u32> {
        self.next();
        self.next();
        if !self.at(TokenKind::Number) {
            let diagnostic = self.unexpected(codes::INVALID_WINDOW, "a number of rounds");
            return self.fail(diagnostic.hint(WINDOW_HINT));
        }
        let number = self.next();
        let size = self.text_of(number).parse().ok().filter(|size| (1..=MAX_WINDOW).contains(size));
        if let Some(size) = size {
            return Ok(size);
        }
        let message = format!("{} is not a number of rounds from 1 to {MAX_WINDOW}", backquoted(self.text_of(number)));
        self.fail(DiagnosticBuilder::new(codes::INVALID_WINDOW, number.span, message).hint(WINDOW_HINT))
    }

    /// `!chunk 64`, at the exclamation mark.
    fn chunk_size(&mut self) -> Parsed<u32> {
        self.next();
        self.next();
        if !self.at(TokenKind::Number) {
            let diagnostic = self.unexpected(codes::INVALID_CHUNK, "a number of elements");
            return self.fail(diagnostic.hint(CHUNK_HINT));
        }
        let number = self.next();
        let size = self.text_of(number).parse().ok().filter(|size| (1..=MAX_BATCH).contains(size));
        if let Some(size) = size {
            return Ok(size);
        }
        let message = format!("{} is not a size from 1 to {MAX_BATCH}", backquoted(self.text_of(number)));
        self.fail(DiagnosticBuilder::new(codes::INVALID_CHUNK, number.span, message).hint(CHUNK_HINT))
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
        let head = self.variables_in_source(codes::INVALID_GATHER)?;
        self.skip_line_breaks();
        if self.eat(TokenKind::CloseBracket).is_none() {
            let diagnostic = self.unclosed(codes::INVALID_GATHER, opening, "`]`");
            let condition =
                "a gather has no condition: it collects all rounds, and null for a round whose step returns `cancel`";
            return self.fail(if self.at_word("if") { diagnostic.hint(condition) } else { diagnostic });
        }
        Ok(GatherParts { call, head })
    }
}
