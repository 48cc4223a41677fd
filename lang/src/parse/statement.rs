//! Which statement a line begins, and blocks of them.

use super::{Parsed, Parser, Reported};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::lexer::Kind;
use crate::source::Span;
use crate::tree::{Block, Name, Statement};

impl<'a> Parser<'a, '_, '_> {
    /// All statements indented by `width` columns; a line indented by `parent` columns or less ends the block.
    pub(super) fn block(&mut self, width: usize, parent: Option<usize>) -> Block<'a> {
        let mut block = Block::default();
        while self.kind() == Kind::Line {
            if self.diagnostics.is_full() {
                self.at = self.tokens.len().saturating_sub(1);
                break;
            }
            let indent = self.peek().span;
            let here = self.width(indent);
            if here < width && parent.is_none_or(|parent| here <= parent) {
                break;
            }
            self.line_at(self.loops);
            if here < width {
                self.report(bad_dedent(self.peek().span));
            }
            let statement = self.statement(here);
            if statement.is_some() && here > width {
                self.odd_indent(indent, here, "nothing above opens a block here", "indent it like the line above");
            }
            block.statements.extend(statement);
        }
        block
    }

    /// One statement with all its lines; the next token begins a line again.
    fn statement(&mut self, width: usize) -> Option<Statement<'a>> {
        let start = self.at;
        self.column = width;
        match self.any_statement(width) {
            Ok(statement) => {
                self.expect_line_end(start, width);
                Some(statement)
            }
            Err(_) => {
                self.recover(start, width);
                None
            }
        }
    }

    /// Reports what stands behind a statement and steps over it.
    fn expect_line_end(&mut self, start: usize, width: usize) {
        if self.at_line_end() {
            return;
        }
        let diagnostic = self.unexpected(code::TEXT_AFTER_STATEMENT, "the end of the line");
        let rest = self.text.get(self.peek().span.start as usize..).unwrap_or_default();
        self.report(diagnostic.hint(match () {
            () if rest.starts_with(';') => "no sign ends a statement: the line's end does",
            () if super::foreign::begins_comment(rest) => "a comment begins with `#`",
            () if rest.starts_with('.') => "a result is passed on as an argument: `q(p())`",
            () => "put it on a line of its own, or behind a `#`",
        }));
        self.recover(start, width);
    }

    fn any_statement(&mut self, width: usize) -> Parsed<Statement<'a>> {
        if let Some(diagnostic) = self.foreign(width) {
            return self.fail(diagnostic);
        }
        match self.kind() {
            Kind::Mark(b'!' | b'$' | b'@') => self.setting_line().map(Statement::Setting),
            Kind::Mark(b'|') => self.fail(self.stray_bar()),
            Kind::Code => self.fail(self.stray_code()),
            // reported already
            Kind::OpenCode => Err(Reported),
            Kind::Word if self.is_word("TAB") && self.peek_at(1).kind == Kind::Mark(b'=') => {
                self.next();
                self.next();
                self.tab()
            }
            Kind::Word if self.is_misspelt_tab() => self.misspelt_tab(),
            Kind::Word if self.is_word("for") && self.name_follows() => self.for_loop(width).map(Statement::Loop),
            Kind::Word if self.is_word("import") && self.import_follows() => self.import(width).map(Statement::Import),
            Kind::Word | Kind::Quoted | Kind::Number | Kind::Mark(b'-') => self.named(width),
            _ => self.fail(self.not_understood(self.peek().span)),
        }
    }

    fn name_follows(&self) -> bool {
        matches!(self.peek_at(1).kind, Kind::Word | Kind::Quoted | Kind::Number)
    }

    /// `import` and words, but no `:` or `=` behind them: that would be a name that begins with the word.
    fn import_follows(&self) -> bool {
        let mut ahead = 1;
        while matches!(self.peek_at(ahead).kind, Kind::Word | Kind::Number) {
            ahead += 1;
        }
        !matches!(self.peek_at(ahead).kind, Kind::Mark(b':' | b'=' | b'|'))
    }

    /// A statement that begins with a name: step, pipe, call or gather.
    fn named(&mut self, width: usize) -> Parsed<Statement<'a>> {
        let name = self.expect_name(code::NOT_UNDERSTOOD, "a name", "")?;
        let bad = self.rest_of_bad_name(&name);
        let reported = bad.is_some() || name.text.is_empty();
        let name = bad.unwrap_or(name);
        match self.kind() {
            Kind::Mark(b':' | b'=') if self.peek_at(1).kind == Kind::Mark(b'=') => {
                self.report_wrong_equals(&name);
                self.assigned(name)
            }
            Kind::Mark(b':') => self.step(name, width).map(Statement::Step),
            Kind::Mark(b'=') => {
                self.next();
                self.assigned(name)
            }
            Kind::Mark(b'(') => self.call_statement(None, name),
            _ if reported => Err(Reported),
            Kind::Mark(b'|') => self.fail(self.nameless_pipe(&name)),
            _ => self.fail(self.bare_name(&name, width)),
        }
    }

    /// `==` and `:=`, which are taken for the `=` they were meant to be.
    fn report_wrong_equals(&mut self, name: &Name<'_>) {
        let sign = self.next().span.to(self.next().span);
        let message = format!("expected `=`, found {}", super::quoted(sign.of(self.text)));
        self.report(DiagnosticBuilder::new(code::NOT_UNDERSTOOD, sign, message).hint(format!("`{} = …`", name.text)));
    }

    /// Behind `name =`, at a number: a setting of another language, or a value.
    fn number_assigned(&self, name: &Name<'_>) -> DiagnosticBuilder {
        let (number, text) = (self.peek(), self.text_of(self.peek()));
        if crate::setting::NAMES.contains(&&*name.text) {
            let diagnostic = DiagnosticBuilder::new(code::OLD_SPELLING, name.span, "a setting begins with `!`");
            return diagnostic.hint(format!("`!{} {text}`", name.text));
        }
        let message = format!("{} is no step and no call, and a script holds no values", super::quoted(text));
        let diagnostic = DiagnosticBuilder::new(code::NOT_A_RESULT, number.span, message);
        diagnostic.hint(format!("a step whose function returns it gives it: `{} = step()`", name.text))
    }

    /// Behind `name =`.
    fn assigned(&mut self, name: Name<'a>) -> Parsed<Statement<'a>> {
        match self.kind() {
            Kind::Mark(b'[') => self.gather(name),
            Kind::Mark(b'(' | b'|') => self.pipe(name),
            Kind::Number if matches!(self.peek_at(1).kind, Kind::Line | Kind::End) => {
                self.lose_name(&name);
                self.fail(self.number_assigned(&name))
            }
            _ if self.call_follows() => self.assigned_call(name),
            _ => self.pipe(name),
        }
    }

    fn call_follows(&self) -> bool {
        let mut ahead = 0;
        while matches!(self.peek_at(ahead).kind, Kind::Word | Kind::Number | Kind::Quoted | Kind::Mark(b'-')) {
            ahead += 1;
        }
        self.peek_at(ahead).kind == Kind::Mark(b'(')
    }

    /// The unit is taken as meant, so that what stands below is not reported.
    fn misspelt_tab(&mut self) -> Parsed<Statement<'a>> {
        let word = self.next();
        self.eat(b'=');
        let value = self.text_of(self.peek());
        let diagnostic = DiagnosticBuilder::new(code::BAD_TAB, word.span, "the indentation unit is not said like this");
        self.report(diagnostic.hint(format!("`TAB = {value}`")));
        self.tab()
    }

    /// Behind `TAB =`.
    fn tab(&mut self) -> Parsed<Statement<'a>> {
        let token = self.peek();
        self.layout.raw.push(token.span);
        let unit = match token.kind {
            Kind::Quoted => super::name::raw_unquoted(self.text_of(token)).replace("\\t", "\t"),
            _ => String::new(),
        };
        if unit.is_empty() || unit.len() > 64 || !unit.chars().all(|char| matches!(char, ' ' | '\t')) {
            let diagnostic = DiagnosticBuilder::new(
                code::BAD_TAB,
                self.place(),
                "the indentation unit is spaces or tabs between quotes",
            );
            return self.fail(diagnostic.hint("`TAB = '    '` or `TAB = '\\t'`"));
        }
        self.next();
        self.layout.unit = unit;
        Ok(Statement::Tab)
    }

    /// Warns, once for each width in a row, that lines are indented in a way of their own.
    pub(super) fn odd_indent(&mut self, indent: Span, width: usize, why: &str, hint: &str) {
        if self.odd_width.replace(width) != Some(width) {
            let columns = if width == 1 { "column" } else { "columns" };
            let message = format!("this line is indented by {width} {columns}, but {why}");
            self.report(DiagnosticBuilder::new(code::ODD_INDENT, indent.after(), message).hint(hint));
        }
    }

    /// Warns if a block's lines are not one unit deeper than the line that opens it.
    pub(super) fn check_unit(&mut self, indent: Span, outer: usize) {
        let width = self.width(indent);
        let unit = self.unit_width();
        if width != outer + unit {
            let why = format!("one level is {unit} columns in this file");
            let blanks = " ".repeat(width.saturating_sub(outer).min(16));
            self.odd_indent(indent, width, &why, &format!("indent by {unit} columns, or say `TAB = '{blanks}'` above"));
        }
    }

    fn stray_bar(&self) -> DiagnosticBuilder {
        DiagnosticBuilder::new(code::BAD_CHAIN, self.peek().span, "a pipe does not begin here")
            .hint("a pipe over several lines stands in parentheses: `name = (a | b)`")
    }

    fn stray_code(&self) -> DiagnosticBuilder {
        let span = self.peek().span;
        let opening = Span { start: span.start, end: span.start + 1 };
        DiagnosticBuilder::new(code::NOT_UNDERSTOOD, opening, "this code belongs to no step")
            .hint("code is the last line of a step: `name:`, then language, function and code, each indented")
    }

    fn nameless_pipe(&self, first: &Name<'_>) -> DiagnosticBuilder {
        DiagnosticBuilder::new(code::BAD_CHAIN, first.span, "a pipe needs a name to be called by")
            .hint(format!("`name = {} | …`", first.text))
    }

    fn bare_name(&self, name: &Name<'_>, width: usize) -> DiagnosticBuilder {
        let diagnostic = self.not_understood(name.span);
        let indented_below = self.kind() == Kind::Line && self.width(self.peek().span) > width;
        match self.kind() {
            _ if indented_below => {
                diagnostic.hint(format!("a step begins with its name and a colon: `{}:`", name.text))
            }
            Kind::Mark(b',') => diagnostic.hint("a call has one result: `r = p()`"),
            Kind::Line | Kind::End => diagnostic.hint(format!("to run a pipe or step write `{}()`", name.text)),
            _ => match self.name_behind_sign() {
                Some(after) => diagnostic.hint(format!("a pipe is `p = {} | {after}`, and `p()` runs it", name.text)),
                None => diagnostic,
            },
        }
    }

    fn not_understood(&self, span: Span) -> DiagnosticBuilder {
        let diagnostic = DiagnosticBuilder::new(code::NOT_UNDERSTOOD, span, "this line is no statement");
        if self.is_mark(b'[') {
            return diagnostic.hint("a list of results needs a name: `all = [p(x) for x in l()]`");
        }
        diagnostic.hint("a line is a step (`name:`), a pipe (`p = a | b`), a call (`p()`), a loop (`for x in p():`), an import or a setting")
    }
}

fn bad_dedent(at: Span) -> DiagnosticBuilder {
    DiagnosticBuilder::new(code::BAD_DEDENT, at, "this line's indentation matches no block above")
        .hint("indent it like the line it belongs with")
}
