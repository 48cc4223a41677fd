//! `size=64, mode="fast"`: the value of `!with`. Names are those of parameters of a Python function, values are literals.

use bue_model::job::INLINE_LIMIT;
use bue_model::{Value, cbor};
use bytes::Bytes;

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::token::{Token, TokenKind};
use crate::text::backquoted;

const HINT: &str = "`!with size=64, mode=\"fast\"`";

impl Parser<'_, '_, '_> {
    /// The keyword arguments that begin here, as a CBOR map. On a line of their own they end with it; in an item of an import, they go
    /// on after a comma if another one follows.
    pub(super) fn keywords(&mut self, is_line: bool) -> Parsed<(Span, Bytes)> {
        let start = self.peek().span;
        let mut entries: Vec<(Value, Value)> = Vec::new();
        loop {
            let (name, value) = self.keyword()?;
            let key = Value::Text(self.text_of(name).to_owned());
            if entries.iter().any(|(before, _)| *before == key) {
                let message = format!("the argument {} is set twice", backquoted(self.text_of(name)));
                return self.fail(DiagnosticBuilder::new(codes::INVALID_KEYWORDS, name.span, message));
            }
            entries.push((key, value));
            if !self.at(TokenKind::Comma) || !(is_line || self.keyword_follows()) {
                break;
            }
            self.next();
        }
        if is_line && !self.at_line_end() {
            let diagnostic = self.unexpected(codes::INVALID_KEYWORDS, "`,` or the end of the line");
            return self.fail(diagnostic.hint(HINT));
        }
        let span = start.to(self.previous().span);
        let bytes = cbor::encode(&Value::Map(entries));
        if bytes.len() > INLINE_LIMIT {
            let message = format!("these arguments take more than {} KiB", INLINE_LIMIT / 1024);
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_KEYWORDS, span, message);
            return self.fail(diagnostic.hint("return large values from a step, and pass its result on"));
        }
        Ok((span, bytes.into()))
    }

    /// After a comma in an item: `name=`.
    fn keyword_follows(&self) -> bool {
        self.kind_nth(1) == TokenKind::Word && self.kind_nth(2) == TokenKind::Equals
    }

    /// `name=value`
    fn keyword(&mut self) -> Parsed<(Token, Value)> {
        let name = self.peek();
        if name.kind != TokenKind::Word || self.text_of(name).contains('-') {
            let diagnostic = self.unexpected(codes::INVALID_KEYWORDS, "the name of a parameter of the function");
            return self.fail(diagnostic.hint(HINT));
        }
        self.next();
        if self.eat(TokenKind::Equals).is_none() {
            let diagnostic = self.unexpected(codes::INVALID_KEYWORDS, "`=`");
            return self.fail(diagnostic.hint(HINT));
        }
        // no space around the sign, as in Python
        self.layout.raw.push(name.span.to(self.peek().span));
        Ok((name, self.literal()?.value))
    }
}
