//! `p()`, `r = p(a, q())`

use super::{Parsed, Parser};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::lexer::{Kind, Token};
use crate::tree::{Argument, Call, CallStatement, Name, Statement};

/// Calls as arguments of calls.
const MAX_DEPTH: u32 = 64;

const SEPARATE: &str = "arguments are results with commas between them; a step works on what is in them";

impl<'a> Parser<'a, '_, '_> {
    /// Behind `name =`, at the name of what is called.
    pub(super) fn assigned_call(&mut self, result: Name<'a>) -> Parsed<Statement<'a>> {
        let target = self.expect_name(code::BAD_CALL, "a pipe or step to call", "")?;
        self.call_statement(Some(result), target)
    }

    /// At the opening parenthesis. A call that cannot be read still gives its result a name.
    pub(super) fn call_statement(&mut self, result: Option<Name<'a>>, target: Name<'a>) -> Parsed<Statement<'a>> {
        let start = self.at;
        let call = self.call(target, 0).ok();
        if call.is_none() {
            self.recover(start, self.column);
        } else if self.is_mark(b':') {
            let diagnostic = self.unexpected(code::BAD_CALL, "the end of the line");
            self.report(diagnostic.hint("only a step's name and a loop end with a colon: `name:`, `for x in p():`"));
            call.iter().for_each(|call| self.lose_name(&call.target));
            self.recover(start, self.column);
            return Ok(Statement::Call(CallStatement { result, call: None }));
        } else if self.is_mark(b'|') {
            let diagnostic = self.unexpected(code::BAD_CHAIN, "the end of the line");
            self.report(diagnostic.hint("a pipe is made of names: `p = a | b`, and then `p()`"));
            result.iter().for_each(|name| self.lose_name(name));
            self.recover(start, self.column);
            return Ok(Statement::Call(CallStatement { result: None, call }));
        }
        Ok(Statement::Call(CallStatement { result, call }))
    }

    /// A name and its parentheses.
    pub(super) fn expect_call(&mut self, code: &'static str, what: &str) -> Parsed<Call<'a>> {
        let target = self.expect_name(code, what, "for")?;
        if self.is_mark(b'(') {
            return self.call(target, 0);
        }
        let diagnostic = self.unexpected(code, "`(`");
        let loops = if self.is_mark(b':') { "; a loop runs over a call, not over a result" } else { "" };
        self.fail(diagnostic.hint(format!("a call has parentheses: `{}()`{loops}", target.text)))
    }

    /// At the opening parenthesis.
    fn call(&mut self, target: Name<'a>, depth: u32) -> Parsed<Call<'a>> {
        let opening = self.next();
        if depth == MAX_DEPTH {
            self.skip_brackets();
            let message = format!("calls inside calls, more than {MAX_DEPTH} deep");
            let diagnostic = DiagnosticBuilder::new(code::TOO_DEEP, target.span, message);
            return self.fail(diagnostic.hint("give results names: `r = p()`, then `q(r)`"));
        }
        let mut arguments = Vec::new();
        loop {
            self.gap();
            if let Some(closing) = self.eat(b')') {
                let span = target.span.to(closing.span);
                return Ok(Call { target, arguments, span });
            }
            arguments.push(self.argument(opening, depth)?);
            self.gap();
            if self.eat(b',').is_none() && !self.is_mark(b')') {
                let diagnostic = self.bad_argument_end(opening);
                return self.fail(diagnostic);
            }
        }
    }

    fn argument(&mut self, opening: Token, depth: u32) -> Parsed<Argument<'a>> {
        if !matches!(self.kind(), Kind::Word | Kind::Quoted) {
            let diagnostic = self.bad_argument(opening);
            return self.fail(diagnostic);
        }
        let name = self.expect_name(code::BAD_CALL, "an argument", "")?;
        match self.is_mark(b'(') {
            true => self.call(name, depth + 1).map(Argument::Call),
            false => Ok(Argument::Name(name)),
        }
    }

    fn bad_argument(&self, opening: Token) -> DiagnosticBuilder {
        const HINT: &str = "arguments are results of calls: `r = p()`, then `q(r)`; a step that needs a fixed value holds it in its code";
        match self.kind() {
            Kind::Number | Kind::Mark(b'-' | b'[' | b'{') => {
                let message = format!("{} is not a result, and only results can be arguments", self.found());
                DiagnosticBuilder::new(code::NOT_A_RESULT, self.peek().span, message).hint(HINT)
            }
            Kind::End => self.unclosed(code::BAD_CALL, opening, "an argument or `)`"),
            Kind::Other if self.found().contains(['“', '”', '„', '‘', '’']) => {
                let diagnostic = DiagnosticBuilder::new(code::BAD_CALL, self.peek().span, "these quotes are curly");
                diagnostic.hint("arguments are results, without quotes: `q(r)`")
            }
            _ => self.unexpected(code::BAD_CALL, "an argument or `)`").hint(SEPARATE),
        }
    }

    fn bad_argument_end(&self, opening: Token) -> DiagnosticBuilder {
        if self.is_mark(b'=') {
            let diagnostic = DiagnosticBuilder::new(code::NOT_A_RESULT, self.peek().span, "arguments have no names");
            return diagnostic.hint("arguments are given in order: `p(a, b)`");
        }
        let diagnostic = self.unclosed(code::BAD_CALL, opening, "`,` or `)`");
        // a name there may as well begin the next line
        if matches!(self.kind(), Kind::Mark(_)) { diagnostic.hint(SEPARATE) } else { diagnostic }
    }
}
