//! `param depth: int = 3 (1..10)`

use bue_model::param::{ParamKind, TimeDefault};

use super::literal::is_constant;
use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::suggest;
use crate::syntax::token::{Token, TokenKind};
use crate::syntax::tree::{AllowedValues, DefaultValue, Literal, ParamStatement};

const SHAPE: &str = "`param day: date = yesterday`, `param depth: int = 3 (1..10)`";

impl<'a> Parser<'a, '_, '_> {
    /// Returns whether a declaration follows: `param`, a name and a colon with something behind it on the line. A line `param x:`
    /// begins a step.
    pub(super) fn param_follows(&self) -> bool {
        let colon = self.name_parts_ahead(1);
        colon > 1 && self.kind_nth(colon) == TokenKind::Colon && !self.kind_nth(colon + 1).ends_line()
    }

    /// `param day`, without a type.
    pub(super) fn untyped_param(&self) -> Option<DiagnosticBuilder> {
        let end = self.name_parts_ahead(1);
        let is_untyped = self.at_word("param") && end > 1 && self.kind_nth(end).ends_line();
        let span = self.peek().span.to(self.peek_nth(end - 1).span);
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_PARAM, span, "this parameter has no type");
        is_untyped.then(|| diagnostic.hint(format!("write it after a colon: `{}: text`", span.of(self.text))))
    }

    /// At the word `param`. A declaration that cannot be parsed still defines the name.
    pub(super) fn param(&mut self, width: usize) -> Parsed<ParamStatement<'a>> {
        let (start, keyword) = (self.position, self.next());
        let name = self.expect_name(codes::INVALID_PARAM, "the name of the parameter", "")?;
        self.next();
        let mut param = ParamStatement { name, kind: None, default: None, allowed: None };
        if self.loop_depth > 0 {
            let message = "a parameter cannot be declared inside a loop";
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_PARAM, keyword.span, message);
            self.report(diagnostic.hint("declare it at the top of the file"));
        }
        if self.param_parts(&mut param).is_err() || !self.ends_after_param() {
            param.kind = None;
            self.recover(start, width);
        }
        Ok(param)
    }

    fn param_parts(&mut self, param: &mut ParamStatement<'a>) -> Parsed<()> {
        param.kind = Some(self.param_kind()?);
        if self.eat(TokenKind::Equals).is_some() {
            param.default = Some(self.default_value()?);
        }
        if let Some(opening) = self.eat(TokenKind::OpenParen) {
            param.allowed = Some(self.allowed_values(opening)?);
        }
        Ok(())
    }

    fn ends_after_param(&mut self) -> bool {
        if self.at_line_end() {
            return true;
        }
        let diagnostic = self.unexpected(codes::INVALID_PARAM, "the end of the line");
        self.report(diagnostic.hint(SHAPE));
        false
    }

    fn param_kind(&mut self) -> Parsed<ParamKind> {
        let token = self.peek();
        let word = self.text_of(token);
        match ParamKind::from_name(word) {
            Some(kind) if token.kind == TokenKind::Word => {
                self.next();
                Ok(kind)
            }
            _ => {
                let message = format!("there is no parameter type {}", self.describe_next());
                let diagnostic = DiagnosticBuilder::new(codes::INVALID_PARAM, self.missing_span(), message);
                self.fail(match intended_kind(word) {
                    Some(kind) => diagnostic.hint(format!("did you mean `{kind}`?")),
                    None => diagnostic.hint(format!("types are {}", ParamKind::ALL.map(ParamKind::name).join(", "))),
                })
            }
        }
    }

    fn default_value(&mut self) -> Parsed<DefaultValue> {
        let token = self.peek();
        match TimeDefault::from_name(self.text_of(token)) {
            Some(default) if token.kind == TokenKind::Word => {
                self.next();
                Ok(DefaultValue::Time(token.span, default))
            }
            _ if self.at_value() => self.literal().map(DefaultValue::Literal),
            _ => {
                let diagnostic = self.unexpected(codes::INVALID_PARAM, "a value");
                self.fail(diagnostic.hint(
                    "a default is a value in JSON notation, `today` or `yesterday` (a date), or `scheduled_at` (a datetime)",
                ))
            }
        }
    }

    /// After the opening parenthesis: `1..10)`, `1..)`, `..10)` or `"fast", "full")`.
    fn allowed_values(&mut self, opening: Token) -> Parsed<AllowedValues> {
        self.skip_line_breaks();
        if self.at_dots() {
            return self.range(opening, None);
        }
        let first = self.allowed_value(opening)?;
        if self.at_dots() {
            return self.range(opening, Some(first));
        }
        let mut choices = vec![first];
        loop {
            self.skip_line_breaks();
            let comma = self.eat(TokenKind::Comma);
            self.skip_line_breaks();
            if self.eat(TokenKind::CloseParen).is_some() {
                return Ok(AllowedValues::OneOf(choices));
            }
            if comma.is_none() {
                let diagnostic = self.unclosed(codes::INVALID_PARAM, opening, "`,` or `)`");
                return self.fail(diagnostic);
            }
            choices.push(self.allowed_value(opening)?);
        }
    }

    fn allowed_value(&mut self, opening: Token) -> Parsed<Literal> {
        if self.at_value() {
            return self.literal();
        }
        let diagnostic = self.unclosed(codes::INVALID_PARAM, opening, "a value");
        self.fail(diagnostic.hint("a range is written `(1..10)`, a choice `(\"fast\", \"full\")`"))
    }

    /// At the two dots.
    fn range(&mut self, opening: Token, first: Option<Literal>) -> Parsed<AllowedValues> {
        let dots = self.next().span.to(self.next().span);
        let last = if self.at(TokenKind::CloseParen) { None } else { Some(self.allowed_value(opening)?) };
        let Some(closing) = self.eat(TokenKind::CloseParen) else {
            let diagnostic = self.unclosed(codes::INVALID_PARAM, opening, "`)`");
            return self.fail(diagnostic);
        };
        let span = opening.span.to(closing.span);
        if first.is_none() && last.is_none() {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_PARAM, dots, "this range has no end");
            return self.fail(diagnostic.hint("`(1..10)`, `(1..)` or `(..10)`"));
        }
        Ok(AllowedValues::Range(span, first, last))
    }

    /// Nothing is called here: a text or a constant may stand before a parenthesis.
    fn at_value(&self) -> bool {
        let is_constant = self.at(TokenKind::Word) && is_constant(self.text_of(self.peek()));
        self.at(TokenKind::Quoted) || is_constant || self.at_literal()
    }

    fn at_dots(&self) -> bool {
        self.at(TokenKind::Dot) && self.kind_nth(1) == TokenKind::Dot
    }
}

/// What other languages call the types.
fn intended_kind(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "str" | "string" | "varchar" => Some("text"),
        "integer" | "number" | "bigint" | "long" => Some("int"),
        "double" | "real" | "decimal" | "numeric" => Some("float"),
        "boolean" => Some("bool"),
        "timestamp" | "timestamptz" | "time" => Some("datetime"),
        "array" | "tuple" | "set" => Some("list"),
        "dict" | "object" | "struct" => Some("map"),
        "any" => Some("json"),
        other => suggest::nearest(other, ParamKind::ALL.map(ParamKind::name)),
    }
}
