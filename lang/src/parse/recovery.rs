//! Where parsing continues after a mistake, so that it causes one diagnostic and the rest of the file is still parsed.

use std::borrow::Cow;

use super::parser::Parser;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::Name;

impl<'a> Parser<'a, '_, '_> {
    /// Skips to the end of the statement that began at token `start`, including its open brackets and its deeper lines.
    pub(super) fn recover(&mut self, start: usize, width: usize) {
        self.skip_statement(start, width);
        self.skip_deeper_lines(width);
        self.mark_unparsed(start);
    }

    /// Marks a name as unparsed, so that its uses are not reported as unknown.
    pub(super) fn mark_name_unparsed(&mut self, name: &Name<'a>) {
        if let Cow::Borrowed(text) = name.text {
            self.unparsed_words.extend(text.split(' '));
        }
    }

    /// Marks the words since token `start` as unparsed.
    pub(super) fn mark_unparsed(&mut self, start: usize) {
        let words = self
            .tokens
            .get(start..self.position)
            .unwrap_or_default()
            .iter()
            .filter(|token| token.kind == TokenKind::Word);
        self.unparsed_words.extend(words.map(|token| token.span.of(self.text)));
    }

    /// Skips to the end of the line on which all brackets opened since token `start` are closed, or to a line that looks like a
    /// new statement, because then a bracket was forgotten.
    pub(super) fn skip_statement(&mut self, start: usize, width: usize) {
        let mut depth = self.open_brackets(start);
        if self.position > start && self.previous().kind == TokenKind::LineStart {
            self.position -= 1;
        }
        loop {
            match self.kind() {
                TokenKind::End => return,
                TokenKind::LineStart if depth == 0 || self.looks_like_statement(width) => return,
                kind => depth = count_bracket(depth, kind),
            }
            self.next();
        }
    }

    /// Skips to after the bracket that closes the one just opened.
    pub(super) fn skip_brackets(&mut self) {
        let mut depth = 1;
        while depth > 0 && self.kind() != TokenKind::End {
            depth = count_bracket(depth, self.next().kind);
        }
    }

    /// Skips all lines indented deeper than `width`.
    pub(super) fn skip_deeper_lines(&mut self, width: usize) {
        while self.kind() == TokenKind::LineStart && self.indent_width(self.peek().span) > width {
            self.skip_line();
        }
    }

    /// Skips the start of a line and everything on it.
    pub(super) fn skip_line(&mut self) {
        self.next();
        while !self.at_line_end() {
            self.next();
        }
    }

    fn open_brackets(&self, start: usize) -> u32 {
        let read = self.tokens.get(start..self.position).unwrap_or_default();
        read.iter().fold(0, |depth, token| count_bracket(depth, token.kind))
    }

    /// At the start of a line: returns whether the line begins as statements do.
    pub(super) fn looks_like_statement(&self, width: usize) -> bool {
        if self.indent_width(self.peek().span) > width {
            return false;
        }
        let first = self.peek_nth(1);
        match first.kind {
            kind if kind.begins_setting() => true,
            TokenKind::Word => {
                let is_param =
                    self.text_of(first) == "param" && self.kind_nth(self.name_parts_ahead(2)) == TokenKind::Colon;
                ["for", "import", "TAB"].contains(&self.text_of(first)) || is_param || self.name_and_sign_ahead()
            }
            TokenKind::Quoted => self.name_and_sign_ahead(),
            _ => false,
        }
    }

    /// At the start of a line: returns whether a name and the sign of a statement follow.
    pub(super) fn name_and_sign_ahead(&self) -> bool {
        let ahead = self.name_parts_ahead(1);
        match self.kind_nth(ahead) {
            TokenKind::Colon => self.kind_nth(ahead + 1).ends_line(),
            TokenKind::Equals | TokenKind::OpenParen => true,
            _ => false,
        }
    }
}

pub(super) fn count_bracket(depth: u32, kind: TokenKind) -> u32 {
    match kind {
        TokenKind::OpenParen | TokenKind::OpenBracket => depth.saturating_add(1),
        TokenKind::CloseParen | TokenKind::CloseBracket => depth.saturating_sub(1),
        _ => depth,
    }
}
