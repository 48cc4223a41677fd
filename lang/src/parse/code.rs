//! The last part of a step or import: a path, or code between fences.

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::language;
use crate::source::Span;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::{Code, CodeKind};
use crate::text::{backquoted, unquoted};

/// Longest path of a file, in bytes; longer than any system takes.
const MAX_PATH: usize = 4096;

/// Number of bytes in which the closing triple quotes are searched for.
const MAX_QUOTED: usize = 64 * 1024;

impl<'a> Parser<'a, '_, '_> {
    /// A path or code, at its first token.
    pub(super) fn code(&mut self) -> Parsed<Code<'a>> {
        let token = self.peek();
        if matches!(token.kind, TokenKind::Code | TokenKind::UnclosedCode) {
            self.next();
            return self.inline(token.span, token.kind);
        }
        self.path()
    }

    fn inline(&mut self, span: Span, kind: TokenKind) -> Parsed<Code<'a>> {
        let raw = span.of(self.text);
        let fence = raw.len() - raw.trim_start_matches('`').len();
        let end = if kind == TokenKind::Code { raw.len() - fence } else { raw.len() };
        let text = raw.get(fence..end).unwrap_or_default();
        if !self.at_line_end() {
            let opening = Span { start: span.start, end: span.start + 1 };
            let diagnostic = DiagnosticBuilder::new(
                codes::TEXT_AFTER_CODE,
                self.peek().span,
                format!("{} follows the closing fence", self.describe_next()),
            );
            let diagnostic = diagnostic.label_at(opening, "the code begins here");
            self.report(diagnostic.hint(
                "only a comment may follow the closing fence; put code that contains backticks between longer fences",
            ));
        }
        self.report_language_after_fence(span, text);
        if text.trim().is_empty() && kind == TokenKind::Code {
            return self.fail(DiagnosticBuilder::new(codes::EMPTY_CODE, span, "there is no code between the fences"));
        }
        Ok(Code { span, kind: CodeKind::Inline(text) })
    }

    /// In Markdown the language follows the opening fence. Here it would be the first line of the code.
    fn report_language_after_fence(&mut self, code: Span, text: &str) {
        let Some((first, rest)) = text.split_once('\n') else { return };
        let info = first.trim();
        if (info == "sql" || language::find(info).is_some()) && !rest.trim().is_empty() {
            let start = code.start as usize + code.of(self.text).find(info).unwrap_or_default();
            let message = format!("{} would be the first line of the code", backquoted(info));
            let diagnostic =
                DiagnosticBuilder::new(codes::TEXT_AFTER_CODE, Span::new(start, start + info.len()), message);
            self.report(
                diagnostic.hint("the code begins after the opening fence; write the language above the function"),
            );
        }
    }

    fn path(&mut self) -> Parsed<Code<'a>> {
        let first = self.position;
        let span = self.rest_of_line();
        let tokens = self.tokens.get(first..self.position).unwrap_or_default();
        if let Some(fence) = tokens.iter().find(|token| matches!(token.kind, TokenKind::Code | TokenKind::UnclosedCode))
        {
            let before = span.to(Span { start: span.start, end: fence.span.start });
            let message = format!("{} before the opening fence", backquoted(before.of(self.text).trim()));
            return self.fail(
                DiagnosticBuilder::new(codes::TEXT_AFTER_CODE, before, message).hint("begin the line with the fence"),
            );
        }
        let path = unquoted(span.of(self.text));
        if path.is_empty() || path.len() > MAX_PATH || path.contains(char::is_control) {
            let message = format!(
                "this is not a path: it is empty, longer than {MAX_PATH} bytes, or contains control characters"
            );
            return self.fail(DiagnosticBuilder::new(codes::EMPTY_CODE, span, message));
        }
        if let Some(diagnostic) = self.second_import(span) {
            self.mark_unparsed(first);
            return self.fail(diagnostic);
        }
        if let Some(diagnostic) = curly_quotes(path, span) {
            return self.fail(diagnostic);
        }
        if is_code(path) || triple_quotes(span.of(self.text)).is_some() {
            self.skip_triple_quotes(span);
            let diagnostic = DiagnosticBuilder::new(codes::EMPTY_CODE, span, "this is not a path");
            return self.fail(diagnostic.hint("put code between fences: a backtick before it and one after it"));
        }
        self.warn_about_comment(span);
        Ok(Code { span, kind: CodeKind::Path(path) })
    }

    /// `x.py import python (f) y.py`
    fn second_import(&self, path: Span) -> Option<DiagnosticBuilder> {
        let text = path.of(self.text);
        let at = text.find(" import ")?;
        if text.starts_with(['"', '\'']) || !text.contains('(') {
            return None;
        }
        let second = Span::new(path.start as usize + at + 1, path.end as usize);
        let diagnostic =
            DiagnosticBuilder::new(codes::TEXT_AFTER_STATEMENT, second, "a second import begins on this line");
        Some(diagnostic.hint(format!("put it on a separate line: {}", backquoted(second.of(self.text)))))
    }

    /// Skips a text between triple quotes, if one begins at this path, so that its lines are not taken for statements.
    fn skip_triple_quotes(&mut self, path: Span) {
        let text = self.text.get(path.start as usize..).unwrap_or_default();
        let Some(quotes) = triple_quotes(text) else { return };
        let near = text.get(3..text.floor_char_boundary(MAX_QUOTED)).unwrap_or_default();
        let Some(end) = near.find(quotes) else { return };
        let end = path.start as usize + 3 + end + 3;
        while self.kind() != TokenKind::End && (self.peek().span.start as usize) < end {
            self.next();
        }
        while !self.at_line_end() {
            self.next();
        }
    }

    fn warn_about_comment(&mut self, path: Span) {
        if self.text.as_bytes().get(path.end as usize) == Some(&b'#') {
            let sign = Span { start: path.end, end: path.end + 1 };
            let diagnostic = DiagnosticBuilder::new(
                codes::COMMENT_IN_PATH,
                sign,
                "`#` begins a comment, so the path ends before it",
            );
            self.report(diagnostic.hint("put a path that contains `#` in quotes"));
        }
    }
}

/// The quotes with which a text of several lines begins in Python.
fn triple_quotes(text: &str) -> Option<&'static str> {
    ["\"\"\"", "'''"].into_iter().find(|quotes| text.starts_with(quotes))
}

/// Quotes that a word processor has replaced.
fn curly_quotes(path: &str, span: Span) -> Option<DiagnosticBuilder> {
    let inner = path.strip_prefix(['“', '”', '„', '‘', '’'])?.trim_end_matches(['“', '”', '‘', '’']);
    let diagnostic =
        DiagnosticBuilder::new(codes::EMPTY_CODE, span, "these are curly quotes, which would be part of the path");
    Some(diagnostic.hint(format!("use straight quotes, or none: {}", backquoted(inner))))
}

/// Returns whether the path is SQL or Python without fences, or the sign that begins a block of text in YAML.
fn is_code(path: &str) -> bool {
    const CODE_PREFIXES: &[&str] = &["def ", "async def ", "lambda ", "return "];
    if CODE_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
        return true;
    }
    const SQL: &[&str] = &["select", "insert", "with", "create", "update", "delete"];
    let first = path.split_once(' ').map(|(first, _)| first.to_ascii_lowercase());
    let sql = first.is_some_and(|first| SQL.contains(&first.as_str())) && !language::is_path(path);
    sql || ["|", "|-", ">", ">-"].contains(&path)
}
