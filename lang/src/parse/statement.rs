//! Which statement a line begins, and blocks of statements.

use super::hints::{misspelt_equals, number_assigned, unmatched_indent};
use super::parser::{Parsed, Parser, Reported};
use crate::diagnostics::codes;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::{Block, Name, Statement};

impl<'a> Parser<'a, '_, '_> {
    /// All statements indented by `width` columns; a line indented by `parent` columns or less ends the block.
    pub(super) fn block(&mut self, width: usize, parent: Option<usize>) -> Block<'a> {
        let mut block = Block::default();
        while self.at(TokenKind::LineStart) {
            if self.diagnostics.is_full() {
                self.position = self.tokens.len().saturating_sub(1);
                break;
            }
            let indent = self.peek().span;
            let here = self.indent_width(indent);
            if here < width && parent.is_none_or(|parent| here <= parent) {
                break;
            }
            self.start_line(self.loop_depth);
            if here < width {
                self.report(unmatched_indent(self.peek().span));
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
        let start = self.position;
        self.statement_indent = width;
        match self.any_statement(width) {
            Ok(statement) => {
                self.expect_line_end(start, width);
                Some(statement)
            }
            Err(Reported) => {
                self.recover(start, width);
                None
            }
        }
    }

    /// Reports and skips text after a statement.
    fn expect_line_end(&mut self, start: usize, width: usize) {
        if !self.at_line_end() {
            self.report(self.text_after_statement());
            self.recover(start, width);
        }
    }

    fn any_statement(&mut self, width: usize) -> Parsed<Statement<'a>> {
        if self.at_word("finally") && self.finally_follows() {
            return self.finally_block(width).map(Statement::Finally);
        }
        if let Some(diagnostic) = self.untyped_param().or_else(|| self.other_language(width)) {
            return self.fail(diagnostic);
        }
        match self.kind() {
            kind if kind.begins_setting() => self.setting_line().map(Statement::Setting),
            TokenKind::Bar => self.fail(self.stray_bar()),
            TokenKind::Code => self.fail(self.stray_code()),
            // the lexer has reported it
            TokenKind::UnclosedCode => Err(Reported),
            TokenKind::Word if self.at_word("TAB") && self.kind_nth(1) == TokenKind::Equals => {
                self.next();
                self.next();
                self.tab()
            }
            TokenKind::Word if self.is_misspelt_tab() => self.misspelt_tab(),
            TokenKind::Word if self.at_word("for") && self.name_follows() => self.for_loop(width).map(Statement::Loop),
            TokenKind::Word if self.at_word("param") && self.param_follows() => self.param(width).map(Statement::Param),
            TokenKind::Word if self.at_word("import") && self.import_follows() => {
                self.import(width).map(Statement::Import)
            }
            kind if kind.is_name_part() => self.named(width),
            _ => self.fail(self.not_understood(self.peek().span)),
        }
    }

    fn name_follows(&self) -> bool {
        matches!(self.kind_nth(1), TokenKind::Word | TokenKind::Quoted | TokenKind::Number)
    }

    /// `import` and words, but no `:`, `=` or `|` after them: that would be a name that begins with the word.
    fn import_follows(&self) -> bool {
        let mut ahead = 1;
        while matches!(self.kind_nth(ahead), TokenKind::Word | TokenKind::Number) {
            ahead += 1;
        }
        !matches!(self.kind_nth(ahead), TokenKind::Colon | TokenKind::Equals | TokenKind::Bar)
    }

    /// A statement that begins with a name: step, pipe, call or gather.
    fn named(&mut self, width: usize) -> Parsed<Statement<'a>> {
        let name = self.expect_name(codes::NOT_UNDERSTOOD, "a name", "")?;
        let intended = self.recover_name(&name);
        let reported = intended.is_some() || name.text.is_empty();
        let name = intended.unwrap_or(name);
        match self.kind() {
            TokenKind::Colon | TokenKind::Equals if self.kind_nth(1) == TokenKind::Equals => {
                self.skip_misspelt_equals(&name);
                self.assigned(name)
            }
            TokenKind::Colon => self.step(name, width).map(Statement::Step),
            TokenKind::Equals => {
                self.next();
                self.assigned(name)
            }
            TokenKind::OpenParen => self.call_statement(None, name),
            _ if reported => Err(Reported),
            TokenKind::Bar => self.fail(self.nameless_pipe(&name)),
            _ => self.fail(self.bare_name(&name, width)),
        }
    }

    /// `==` and `:=` are reported, and taken for the intended `=`.
    fn skip_misspelt_equals(&mut self, name: &Name<'_>) {
        let sign = self.next().span.to(self.next().span);
        self.report(misspelt_equals(sign, self.text, name));
    }

    /// After `name =`.
    fn assigned(&mut self, name: Name<'a>) -> Parsed<Statement<'a>> {
        match self.kind() {
            TokenKind::OpenBracket if self.fusion_follows() => self.pipe(name),
            TokenKind::OpenBracket => self.gather(name),
            TokenKind::OpenParen | TokenKind::Bar => self.pipe(name),
            TokenKind::Number if self.kind_nth(1).ends_line() => {
                self.mark_name_unparsed(&name);
                let number = self.peek();
                self.fail(number_assigned(&name, number.span, self.text_of(number)))
            }
            _ if self.call_follows() => self.assigned_call(name),
            _ => self.pipe(name),
        }
    }

    /// `[a | b]` or `[a]`, where `[p(x) for x in q()]` could be, too.
    fn fusion_follows(&self) -> bool {
        let mut ahead = 1;
        while self.kind_nth(ahead).is_name_part() || self.kind_nth(ahead) == TokenKind::LineStart {
            ahead += 1;
        }
        let is_one_name = self.kind_nth(1) == TokenKind::Word && self.kind_nth(ahead) == TokenKind::CloseBracket;
        is_one_name || self.kind_nth(ahead) == TokenKind::Bar
    }

    fn call_follows(&self) -> bool {
        self.kind_nth(self.name_parts_ahead(0)) == TokenKind::OpenParen
    }
}
