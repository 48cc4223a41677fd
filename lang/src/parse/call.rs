//! `p()`, `r = p(a, q())`

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::syntax::token::{Token, TokenKind};
use crate::syntax::tree::{Argument, Call, CallStatement, Name, Statement};

/// Most levels of calls as arguments of calls.
const MAX_DEPTH: u32 = 64;

const SEPARATE: &str = "arguments are results and values, separated by commas; to use a part of a result, write a step";

impl<'a> Parser<'a, '_, '_> {
    /// After `name =`, at the name of what is called.
    pub(super) fn assigned_call(&mut self, result: Name<'a>) -> Parsed<Statement<'a>> {
        let target = self.expect_name(codes::INVALID_CALL, "a pipe or step to call", "")?;
        self.call_statement(Some(result), target)
    }

    /// At the opening parenthesis. A call that cannot be parsed still defines the name of its result.
    pub(super) fn call_statement(&mut self, result: Option<Name<'a>>, target: Name<'a>) -> Parsed<Statement<'a>> {
        let start = self.position;
        let call = self.call(target, 0).ok();
        if call.is_none() {
            self.recover(start, self.statement_indent);
        } else if self.at(TokenKind::Colon) {
            let diagnostic = self.unexpected(codes::INVALID_CALL, "the end of the line");
            self.report(
                diagnostic
                    .hint("only the name of a step and the head of a loop end with a colon: `name:`, `for x in p():`"),
            );
            call.iter().for_each(|call| self.mark_name_unparsed(&call.target));
            self.recover(start, self.statement_indent);
            return Ok(Statement::Call(CallStatement { result, call: None }));
        } else if self.at(TokenKind::Bar) {
            let diagnostic = self.unexpected(codes::INVALID_PIPE, "the end of the line");
            self.report(diagnostic.hint("a pipe consists of names: `p = a | b`, then call it: `p()`"));
            result.iter().for_each(|name| self.mark_name_unparsed(name));
            self.recover(start, self.statement_indent);
            return Ok(Statement::Call(CallStatement { result: None, call }));
        }
        Ok(Statement::Call(CallStatement { result, call }))
    }

    /// A name and its parentheses.
    pub(super) fn expect_call(&mut self, code: &'static str, what: &str) -> Parsed<Call<'a>> {
        let target = self.expect_name(code, what, "for")?;
        if self.at(TokenKind::OpenParen) {
            return self.call(target, 0);
        }
        let diagnostic = self.unexpected(code, "`(`");
        let loops = if self.at(TokenKind::Colon) { "; a loop runs over a call, not over a result" } else { "" };
        self.fail(diagnostic.hint(format!("a call needs parentheses: `{}()`{loops}", target.text)))
    }

    /// At the opening parenthesis.
    fn call(&mut self, target: Name<'a>, depth: u32) -> Parsed<Call<'a>> {
        let opening = self.next();
        if depth == MAX_DEPTH {
            self.skip_brackets();
            let message = format!("calls are nested more than {MAX_DEPTH} levels deep");
            let diagnostic = DiagnosticBuilder::new(codes::TOO_DEEP, target.span, message);
            return self.fail(diagnostic.hint("name the results: `r = p()`, then `q(r)`"));
        }
        let mut arguments = Vec::new();
        loop {
            self.skip_line_breaks();
            if let Some(closing) = self.eat(TokenKind::CloseParen) {
                let span = target.span.to(closing.span);
                return Ok(Call { target, arguments, span });
            }
            arguments.push(self.argument(opening, depth)?);
            self.skip_line_breaks();
            if self.eat(TokenKind::Comma).is_none() && !self.at(TokenKind::CloseParen) {
                let diagnostic = self.bad_argument_end(opening);
                return self.fail(diagnostic);
            }
        }
    }

    fn argument(&mut self, opening: Token, depth: u32) -> Parsed<Argument<'a>> {
        if self.at_literal() {
            return self.literal().map(Argument::Literal);
        }
        if !matches!(self.kind(), TokenKind::Word | TokenKind::Quoted) {
            let diagnostic = self.bad_argument(opening);
            return self.fail(diagnostic);
        }
        let name = self.expect_name(codes::INVALID_CALL, "an argument", "")?;
        match self.at(TokenKind::OpenParen) {
            true => self.call(name, depth + 1).map(Argument::Call),
            false => Ok(Argument::Name(name)),
        }
    }

    fn bad_argument(&self, opening: Token) -> DiagnosticBuilder {
        match self.kind() {
            TokenKind::End => self.unclosed(codes::INVALID_CALL, opening, "an argument or `)`"),
            TokenKind::Other if self.describe_next().contains(['“', '”', '„', '‘', '’']) => {
                let diagnostic =
                    DiagnosticBuilder::new(codes::INVALID_CALL, self.peek().span, "these are curly quotes");
                diagnostic.hint("a text is in straight quotes, `q(\"text\")`, and a result in none, `q(r)`")
            }
            _ => self.unexpected(codes::INVALID_CALL, "an argument or `)`").hint(SEPARATE),
        }
    }

    fn bad_argument_end(&self, opening: Token) -> DiagnosticBuilder {
        if self.at(TokenKind::Equals) {
            let diagnostic = DiagnosticBuilder::new(codes::NOT_A_RESULT, self.peek().span, "arguments have no names");
            return diagnostic.hint("pass arguments by position: `p(a, b)`");
        }
        let diagnostic = self.unclosed(codes::INVALID_CALL, opening, "`,` or `)`");
        // a name there may just as well begin the next line
        if self.kind().is_sign() { diagnostic.hint(SEPARATE) } else { diagnostic }
    }
}
