//! Writes the tokens of a script with standard space between them.

use super::lines::{self, Line, LineKind};
use super::spacing::{self, Piece};
use crate::compile::{analyze, compile};
use crate::diagnostics::diagnostic::Diagnostic;
use crate::source::{MAX_SCRIPT, Script, Span};
use crate::syntax::token::{Token, TokenKind, Tokens};
use crate::syntax::tree::Layout;

/// The script, formatted.
///
/// # Errors
/// The diagnostics of the script, if one is an error: a script that does not parse is not changed.
pub fn format(script: Script<'_>) -> Result<String, Vec<Diagnostic>> {
    if script.text.len() > MAX_SCRIPT {
        return Err(compile(script).diagnostics);
    }
    analyze(script, |tokens, tree, _, diagnostics| match diagnostics.has_errors() {
        true => Err(diagnostics.finish()),
        false => Ok(Formatter {
            text: script.text,
            layout: &tree.layout,
            lines: Vec::new(),
            line: 0,
            at: 0,
            kind: StatementKind::Start,
        }
        .run(tokens)),
    })
}

struct Formatter<'a> {
    text: &'a str,
    layout: &'a Layout,
    lines: Vec<Line>,
    /// Index of the next line in the layout.
    line: usize,
    /// Byte after the text that was written last.
    at: usize,
    /// What the current line is.
    kind: StatementKind,
}

/// Whether a line declares a parameter, in which a parenthesis is not that of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StatementKind {
    /// Nothing of the line was seen.
    Start,
    /// It begins with `param`.
    PerhapsParam,
    /// ... and a colon follows before any parenthesis.
    Param,
    Other,
}

impl StatementKind {
    fn after(self, piece: &Piece, text: &str) -> Self {
        match (self, piece.kind) {
            (Self::Start, TokenKind::Word) if text == "param" => Self::PerhapsParam,
            (Self::Start, _) | (Self::PerhapsParam, TokenKind::OpenParen) => Self::Other,
            (Self::PerhapsParam, TokenKind::Colon) => Self::Param,
            _ => self,
        }
    }
}

impl Formatter<'_> {
    fn run(mut self, tokens: &Tokens) -> String {
        if let Some(header) = tokens.header {
            self.begin_line(header, LineKind::Code { depth: 0, width: 0 });
            self.write(header, "", header.of(self.text));
        }
        let mut comments = tokens.comments.iter().copied().peekable();
        let mut raw = self.layout.raw.iter().copied().peekable();
        let mut before: Option<Piece> = None;
        for token in &tokens.list {
            while let Some(comment) = comments.next_if(|comment| comment.start < token.span.start) {
                self.comment(comment);
            }
            if (token.span.end as usize) < self.at || token.kind == TokenKind::End {
                continue;
            }
            if token.kind == TokenKind::LineStart {
                self.start_line(token.span);
                before = None;
                continue;
            }
            let span = raw.next_if(|raw| raw.start == token.span.start);
            if (token.span.start as usize) >= self.at {
                let piece = self.piece(*token, span);
                self.token(&piece, before.as_ref());
                before = Some(piece);
            }
        }
        comments.for_each(|comment| self.comment(comment));
        lines::joined(&self.lines, &self.layout.unit)
    }

    fn piece(&self, token: Token, raw: Option<Span>) -> Piece {
        Piece { kind: token.kind, span: raw.unwrap_or(token.span), raw: raw.is_some() }
    }

    fn token(&mut self, piece: &Piece, before: Option<&Piece>) {
        let text = piece.span.of(self.text);
        self.kind = self.kind.after(piece, text);
        let space = match (self.kind, piece.kind, before) {
            (StatementKind::Param, TokenKind::OpenParen, _) => " ",
            (StatementKind::Param, _, Some(before)) if before.kind == TokenKind::Colon => " ",
            (_, _, before) => before.map_or("", |before| spacing::between(before, piece)),
        };
        match piece.kind {
            TokenKind::Code => self.write(piece.span, space, &text.replace("\r\n", "\n").replace('\r', "\n")),
            _ => self.write(piece.span, space, text),
        }
    }

    fn start_line(&mut self, indent: Span) {
        self.kind = StatementKind::Start;
        let depth = self.layout.depths.get(self.line).map_or(0, |depth| *depth as usize);
        self.line += 1;
        let width = indent.of(self.text).len();
        self.begin_line(indent.after(), LineKind::Code { depth, width });
    }

    fn comment(&mut self, comment: Span) {
        let text = comment.of(self.text).trim_end();
        let start = comment.start as usize;
        let line_start = self.text.get(..start).and_then(|before| before.rfind(['\n', '\r'])).map_or(0, |at| at + 1);
        let alone =
            self.text.get(line_start..start).unwrap_or_default().trim_start_matches('\u{feff}').trim().is_empty();
        match alone && line_start >= self.at {
            true => {
                self.begin_line(comment, LineKind::Comment { width: start - line_start });
                self.write(comment, "", text);
            }
            false => self.write(comment, "  ", text),
        }
    }

    /// Keeps up to two blank lines in front of the line.
    fn begin_line(&mut self, span: Span, kind: LineKind) {
        const MOST: usize = 2;
        let skipped = self.text.get(self.at..span.start as usize).unwrap_or_default();
        let breaks = skipped.matches(['\n', '\r']).count() - skipped.matches("\r\n").count();
        let blank = if self.lines.is_empty() { 0 } else { breaks.saturating_sub(1).min(MOST) };
        self.lines.push(Line { blank, kind, text: String::new() });
        self.at = span.start as usize;
    }

    fn write(&mut self, span: Span, space: &str, text: &str) {
        if let Some(line) = self.lines.last_mut() {
            line.text.push_str(space);
            line.text.push_str(text);
        }
        self.at = span.end as usize;
    }
}
