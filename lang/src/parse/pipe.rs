//! `p = a | b`, `p = (a | b)`, `p = a | [b | c]`

use super::parser::{Parsed, Parser, Reported};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::token::{Token, TokenKind};
use crate::syntax::tree::{Fusion, Link, Name, Pipe, Statement};

impl<'a> Parser<'a, '_, '_> {
    /// After `name =`. A pipe that cannot be parsed to its end still defines its name.
    pub(super) fn pipe(&mut self, name: Name<'a>) -> Parsed<Statement<'a>> {
        let start = self.position;
        let opening = self.eat(TokenKind::OpenParen);
        let (chain, parsed) = self.chain(opening);
        let broken = parsed.is_err() || self.chain_is_empty(&name, &chain, opening);
        if parsed.is_err() {
            self.recover(start, self.statement_indent);
        }
        Ok(Statement::Pipe(Pipe { name, chain, broken }))
    }

    /// Names and brackets between bars; empty parts are dropped. Returns the parts that were parsed even if the rest could not be.
    fn chain(&mut self, opening: Option<Token>) -> (Vec<Link<'a>>, Parsed<()>) {
        let mut chain = Vec::new();
        loop {
            self.skip_bars(opening);
            if self.chain_ends(opening) {
                return (chain, self.close_chain(opening));
            }
            match self.link() {
                Ok(link) => chain.push(link),
                Err(Reported) => return (chain, Err(Reported)),
            }
            self.skip_line_breaks_inside(opening);
            if !self.at(TokenKind::Bar) && !self.chain_ends(opening) {
                let hint = match chain.last() {
                    Some(Link::Step(before)) => self.bar_hint(before),
                    Some(Link::Fusion(_)) | None => None,
                };
                let diagnostic = self.expected_bar(opening).maybe_hint(hint);
                return (chain, self.fail(diagnostic));
            }
        }
    }

    fn link(&mut self) -> Parsed<Link<'a>> {
        match self.at(TokenKind::OpenBracket) {
            true => self.fusion().map(Link::Fusion),
            false => self.expect_name(codes::INVALID_PIPE, "a step", "").map(Link::Step),
        }
    }

    /// At the opening bracket.
    fn fusion(&mut self) -> Parsed<Fusion<'a>> {
        let opening = self.next();
        let mut stages = Vec::new();
        loop {
            self.skip_bars(Some(opening));
            if let Some(closing) = self.eat(TokenKind::CloseBracket) {
                let span = opening.span.to(closing.span);
                return if stages.is_empty() { self.fail(empty_fusion(span)) } else { Ok(Fusion { span, stages }) };
            }
            if self.at(TokenKind::OpenBracket) {
                let diagnostic = self.unexpected(codes::INVALID_FUSION, "a step or `]`");
                return self.fail(diagnostic.hint("one pair of brackets is one job: `[a | b | c]`"));
            }
            stages.push(self.expect_name(codes::INVALID_PIPE, "a step or `]`", "")?);
            self.skip_line_breaks();
            if !self.at(TokenKind::Bar) && !self.at(TokenKind::CloseBracket) {
                let diagnostic = self.unclosed(codes::INVALID_PIPE, opening, "`|` or `]`");
                let hint = stages.last().and_then(|before| self.bar_hint(before));
                return self.fail(diagnostic.maybe_hint(hint));
            }
        }
    }

    fn skip_bars(&mut self, opening: Option<Token>) {
        self.skip_line_breaks_inside(opening);
        while self.eat(TokenKind::Bar).is_some() {
            self.skip_line_breaks_inside(opening);
        }
    }

    fn skip_line_breaks_inside(&mut self, opening: Option<Token>) {
        if opening.is_some() {
            self.skip_line_breaks();
        }
    }

    fn chain_ends(&self, opening: Option<Token>) -> bool {
        if opening.is_some() { self.at(TokenKind::CloseParen) } else { self.at_line_end() }
    }

    fn close_chain(&mut self, opening: Option<Token>) -> Parsed<()> {
        if opening.is_some() {
            self.next();
        }
        if self.at_line_end() {
            return Ok(());
        }
        let diagnostic = self.unexpected(codes::INVALID_PIPE, "the end of the line");
        self.fail(diagnostic)
    }

    fn expected_bar(&self, opening: Option<Token>) -> DiagnosticBuilder {
        match opening {
            Some(opening) => self.unclosed(codes::INVALID_PIPE, opening, "`|` or `)`"),
            None => self.unexpected(codes::INVALID_PIPE, "`|` or the end of the line"),
        }
    }

    /// For `a -> b`, `a > b`, `a && b`, `a, b` and the like: the same with a bar.
    fn bar_hint(&self, before: &Name<'_>) -> Option<String> {
        let (before, after) = (&before.text, self.name_after_sign()?);
        Some(format!("separate steps with a bar: `{before} | {after}`"))
    }

    /// The word after an arrow or another operator of one or two characters at the cursor.
    pub(super) fn name_after_sign(&self) -> Option<&'a str> {
        let word = |ahead| Some(self.peek_nth(ahead)).filter(|token| token.kind == TokenKind::Word);
        let sign = |ahead| ["-", ">", "=", "&", ",", "."].contains(&self.text_of(self.peek_nth(ahead)));
        let name = if sign(1) { word(2) } else { word(1) };
        name.filter(|_| sign(0)).map(|token| self.text_of(token))
    }

    fn chain_is_empty(&mut self, name: &Name<'_>, chain: &[Link<'_>], opening: Option<Token>) -> bool {
        if chain.is_empty() {
            let span = opening.map_or(name.span, |opening| name.span.to(opening.span));
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_PIPE, span, "this pipe has no steps");
            self.report(diagnostic.hint(format!("`{} = first step | second step`", name.text)));
        }
        chain.is_empty()
    }
}

fn empty_fusion(span: Span) -> DiagnosticBuilder {
    DiagnosticBuilder::new(codes::INVALID_FUSION, span, "these brackets contain no step")
        .hint("steps in brackets run as one job: `p = a | [b | c] | d`")
}
