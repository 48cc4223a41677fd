//! `p = a | b`, `p = (a | b)`

use super::{Parsed, Parser};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::lexer::{Kind, Token};
use crate::tree::{Name, Pipe, Statement};

impl<'a> Parser<'a, '_, '_> {
    /// Behind `name =`. A pipe that cannot be read to its end still defines its name.
    pub(super) fn pipe(&mut self, name: Name<'a>) -> Parsed<Statement<'a>> {
        let start = self.at;
        let opening = self.eat(b'(');
        let (chain, read) = self.chain(opening);
        let broken = read.is_err() || self.chain_is_empty(&name, &chain, opening);
        if read.is_err() {
            self.recover(start, self.column);
        }
        Ok(Statement::Pipe(Pipe { name, chain, broken }))
    }

    /// Names between bars; empty parts are dropped. What was read comes back even if the rest could not be.
    fn chain(&mut self, opening: Option<Token>) -> (Vec<Name<'a>>, Parsed<()>) {
        let mut chain = Vec::new();
        loop {
            self.bars(opening);
            if self.chain_ends(opening) {
                return (chain, self.close_chain(opening));
            }
            match self.expect_name(code::BAD_CHAIN, "a step", "") {
                Ok(name) => chain.push(name),
                Err(reported) => return (chain, Err(reported)),
            }
            self.skip_gap_inside(opening);
            if !self.is_mark(b'|') && !self.chain_ends(opening) {
                let diagnostic = self.expected_bar(opening).maybe_hint(self.bar_hint(&chain));
                return (chain, self.fail(diagnostic));
            }
        }
    }

    fn bars(&mut self, opening: Option<Token>) {
        self.skip_gap_inside(opening);
        while self.eat(b'|').is_some() {
            self.skip_gap_inside(opening);
        }
    }

    fn skip_gap_inside(&mut self, opening: Option<Token>) {
        if opening.is_some() {
            self.gap();
        }
    }

    fn chain_ends(&self, opening: Option<Token>) -> bool {
        if opening.is_some() { self.is_mark(b')') } else { self.at_line_end() }
    }

    fn close_chain(&mut self, opening: Option<Token>) -> Parsed<()> {
        if opening.is_some() {
            self.next();
        }
        if self.at_line_end() {
            return Ok(());
        }
        let diagnostic = self.unexpected(code::BAD_CHAIN, "the end of the line");
        self.fail(diagnostic)
    }

    fn expected_bar(&self, opening: Option<Token>) -> DiagnosticBuilder {
        match opening {
            Some(opening) => self.unclosed(code::BAD_CHAIN, opening, "`|` or `)`"),
            None => self.unexpected(code::BAD_CHAIN, "`|` or the end of the line"),
        }
    }

    /// For `a -> b`, `a > b`, `a && b`, `a, b` and the like: the same with a bar.
    fn bar_hint(&self, chain: &[Name<'_>]) -> Option<String> {
        let before = &chain.last()?.text;
        let after = self.name_behind_sign()?;
        Some(format!("a bar stands between steps: `{before} | {after}`"))
    }

    /// The word behind the arrow or other one or two signs that stand here.
    pub(super) fn name_behind_sign(&self) -> Option<&'a str> {
        let word = |ahead| Some(self.peek_at(ahead)).filter(|token| token.kind == Kind::Word);
        let sign = |ahead| ["-", ">", "=", "&", ",", "."].contains(&self.text_of(self.peek_at(ahead)));
        let found = if sign(1) { word(2) } else { word(1) };
        found.filter(|_| sign(0)).map(|token| self.text_of(token))
    }

    fn chain_is_empty(&mut self, name: &Name<'_>, chain: &[Name<'_>], opening: Option<Token>) -> bool {
        if chain.is_empty() {
            let span = opening.map_or(name.span, |opening| name.span.to(opening.span));
            let diagnostic = DiagnosticBuilder::new(code::BAD_CHAIN, span, "this pipe has no steps");
            self.report(diagnostic.hint(format!("`{} = first step | second step`", name.text)));
        }
        chain.is_empty()
    }
}
