//! Where to go on after a mistake, so that it costs one diagnostic and the rest of the file is still read.

use std::borrow::Cow;

use super::Parser;
use crate::lexer::Kind;
use crate::tree::Name;

impl<'a> Parser<'a, '_, '_> {
    /// To the end of the statement that began at token `start`, its open brackets and its deeper lines included.
    pub(super) fn recover(&mut self, start: usize, width: usize) {
        self.skip_statement(start, width);
        self.skip_deeper_lines(width);
        self.lose(start);
    }

    /// Notes a name as one that nobody shall be said to miss.
    pub(super) fn lose_name(&mut self, name: &Name<'a>) {
        if let Cow::Borrowed(text) = name.text {
            self.lost.extend(text.split(' '));
        }
    }

    /// Notes the words since token `start` as not read.
    pub(super) fn lose(&mut self, start: usize) {
        let words = self.tokens.get(start..self.at).unwrap_or_default().iter().filter(|token| token.kind == Kind::Word);
        self.lost.extend(words.map(|token| token.span.of(self.text)));
    }

    /// To the end of the line on which all brackets opened since token `start` are closed; a line that looks like a new
    /// statement ends it too, because then a bracket was forgotten.
    pub(super) fn skip_statement(&mut self, start: usize, width: usize) {
        let mut depth = self.open_brackets(start);
        if self.at > start && self.last().kind == Kind::Line {
            self.at -= 1;
        }
        loop {
            match self.kind() {
                Kind::End => return,
                Kind::Line if depth == 0 || self.looks_like_statement(width) => return,
                kind => depth = count_bracket(depth, kind),
            }
            self.next();
        }
    }

    /// Behind the bracket that closes the one just opened.
    pub(super) fn skip_brackets(&mut self) {
        let mut depth = 1;
        while depth > 0 && self.kind() != Kind::End {
            depth = count_bracket(depth, self.next().kind);
        }
    }

    /// Over all lines indented deeper than `width`.
    pub(super) fn skip_deeper_lines(&mut self, width: usize) {
        while self.kind() == Kind::Line && self.width(self.peek().span) > width {
            self.skip_line();
        }
    }

    /// Over a `Line` token and what stands behind it.
    pub(super) fn skip_line(&mut self) {
        self.next();
        while !self.at_line_end() {
            self.next();
        }
    }

    fn open_brackets(&self, start: usize) -> u32 {
        let read = self.tokens.get(start..self.at).unwrap_or_default();
        read.iter().fold(0, |depth, token| count_bracket(depth, token.kind))
    }

    /// At a `Line` token: does the line begin the way statements do?
    pub(super) fn looks_like_statement(&self, width: usize) -> bool {
        if self.width(self.peek().span) > width {
            return false;
        }
        let first = self.peek_at(1);
        match first.kind {
            Kind::Mark(mark) => b"!$@".contains(&mark),
            Kind::Word => ["for", "import", "TAB"].contains(&self.text_of(first)) || self.name_and_sign_ahead(),
            Kind::Quoted => self.name_and_sign_ahead(),
            _ => false,
        }
    }

    pub(super) fn name_and_sign_ahead(&self) -> bool {
        let mut ahead = 1;
        while matches!(self.peek_at(ahead).kind, Kind::Word | Kind::Number | Kind::Quoted | Kind::Mark(b'-')) {
            ahead += 1;
        }
        match self.peek_at(ahead).kind {
            Kind::Mark(b':') => matches!(self.peek_at(ahead + 1).kind, Kind::Line | Kind::End),
            Kind::Mark(b'=' | b'(') => true,
            _ => false,
        }
    }
}

fn count_bracket(depth: u32, kind: Kind) -> u32 {
    match kind {
        Kind::Mark(b'(' | b'[') => depth.saturating_add(1),
        Kind::Mark(b')' | b']') => depth.saturating_sub(1),
        _ => depth,
    }
}
