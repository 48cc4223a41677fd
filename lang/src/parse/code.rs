//! The last part of a step or import: a path, or code between fences.

use super::{Parsed, Parser, quoted};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::language;
use crate::lexer::Kind;
use crate::source::Span;
use crate::tree::{Code, CodeKind};

/// Longest path of a file, in bytes; longer than any system takes.
const MAX_PATH: usize = 4096;
/// Bytes in which the end of a text between triple quotes is looked for.
const MAX_QUOTED: usize = 64 * 1024;

impl<'a> Parser<'a, '_, '_> {
    /// A path or code. At the first token of it.
    pub(super) fn code(&mut self) -> Parsed<Code<'a>> {
        let token = self.peek();
        if matches!(token.kind, Kind::Code | Kind::OpenCode) {
            self.next();
            return self.inline(token.span, token.kind);
        }
        self.path()
    }

    fn inline(&mut self, span: Span, kind: Kind) -> Parsed<Code<'a>> {
        let raw = span.of(self.text);
        let fence = raw.len() - raw.trim_start_matches('`').len();
        let end = if kind == Kind::Code { raw.len() - fence } else { raw.len() };
        let text = raw.get(fence..end).unwrap_or_default();
        if !self.at_line_end() {
            let opening = Span { start: span.start, end: span.start + 1 };
            let diagnostic = DiagnosticBuilder::new(
                code::TEXT_AFTER_CODE,
                self.peek().span,
                format!("{} stands behind code", self.found()),
            );
            let diagnostic = diagnostic.label_at(opening, "the code begins here");
            self.report(diagnostic.hint(
                "only a comment may follow the closing fence; code with backticks in it stands between longer fences",
            ));
        }
        self.report_language_after_fence(span, text);
        if text.trim().is_empty() && kind == Kind::Code {
            return self.fail(DiagnosticBuilder::new(code::NO_CODE, span, "there is no code between the fences"));
        }
        Ok(Code { span, kind: CodeKind::Inline(text) })
    }

    /// Elsewhere the language stands behind the opening fence. Here it would be the code's first line.
    fn report_language_after_fence(&mut self, code: Span, text: &str) {
        let Some((first, rest)) = text.split_once('\n') else { return };
        let info = first.trim();
        if (info == "sql" || language::find(info).is_some()) && !rest.trim().is_empty() {
            let start = code.start as usize + code.of(self.text).find(info).unwrap_or_default();
            let message = format!("{} would be a line of the code", quoted(info));
            let diagnostic =
                DiagnosticBuilder::new(code::TEXT_AFTER_CODE, Span::new(start, start + info.len()), message);
            self.report(
                diagnostic.hint("behind the opening fence the code begins; the language stands above the function"),
            );
        }
    }

    fn path(&mut self) -> Parsed<Code<'a>> {
        let first = self.at;
        let span = self.rest_of_line();
        let tokens = self.tokens.get(first..self.at).unwrap_or_default();
        if let Some(fence) = tokens.iter().find(|token| matches!(token.kind, Kind::Code | Kind::OpenCode)) {
            let before = span.to(Span { start: span.start, end: fence.span.start });
            let message = format!("{} stands before code", quoted(before.of(self.text).trim()));
            return self.fail(
                DiagnosticBuilder::new(code::TEXT_AFTER_CODE, before, message).hint("code begins with its fence"),
            );
        }
        let path = super::name::unquoted(span.of(self.text));
        if path.is_empty() || path.len() > MAX_PATH || path.contains(char::is_control) {
            let message =
                format!("this is no path: it is empty, longer than {MAX_PATH} bytes, or holds control characters");
            return self.fail(DiagnosticBuilder::new(code::NO_CODE, span, message));
        }
        if let Some(diagnostic) = self.second_import(span) {
            self.lose(first);
            return self.fail(diagnostic);
        }
        if let Some(diagnostic) = curly_quotes(path, span) {
            return self.fail(diagnostic);
        }
        if is_code(path) || triple_quotes(span.of(self.text)).is_some() {
            self.skip_triple_quotes(span);
            let diagnostic = DiagnosticBuilder::new(code::NO_CODE, span, "this is no path");
            return self.fail(diagnostic.hint("code stands between fences: a backtick before it and one behind it"));
        }
        self.warn_of_comment(span);
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
            DiagnosticBuilder::new(code::TEXT_AFTER_STATEMENT, second, "a second import begins on this line");
        Some(diagnostic.hint(format!("put it on a line of its own: {}", quoted(second.of(self.text)))))
    }

    /// Over a text between triple quotes, if one begins at this path, so that its lines are not taken for others.
    fn skip_triple_quotes(&mut self, path: Span) {
        let text = self.text.get(path.start as usize..).unwrap_or_default();
        let Some(quotes) = triple_quotes(text) else { return };
        let near = text.get(3..text.floor_char_boundary(MAX_QUOTED)).unwrap_or_default();
        let Some(end) = near.find(quotes) else { return };
        let end = path.start as usize + 3 + end + 3;
        while self.kind() != Kind::End && (self.peek().span.start as usize) < end {
            self.next();
        }
        while !self.at_line_end() {
            self.next();
        }
    }

    fn warn_of_comment(&mut self, path: Span) {
        if self.text.as_bytes().get(path.end as usize) == Some(&b'#') {
            let sign = Span { start: path.end, end: path.end + 1 };
            let diagnostic = DiagnosticBuilder::new(
                code::COMMENT_IN_PATH,
                sign,
                "`#` begins a comment here, the path ends before it",
            );
            self.report(diagnostic.hint("put quotes around a path with a `#` in it"));
        }
    }
}

/// The quotes that begin a text of several lines elsewhere.
fn triple_quotes(text: &str) -> Option<&'static str> {
    ["\"\"\"", "'''"].into_iter().find(|quotes| text.starts_with(quotes))
}

/// Quotes that a word processor made of straight ones.
fn curly_quotes(path: &str, span: Span) -> Option<DiagnosticBuilder> {
    let inner = path.strip_prefix(['“', '”', '„', '‘', '’'])?.trim_end_matches(['“', '”', '‘', '’']);
    let diagnostic =
        DiagnosticBuilder::new(code::NO_CODE, span, "these quotes are curly, and would be part of the path");
    Some(diagnostic.hint(format!("type straight ones, or none: {}", quoted(inner))))
}

/// SQL or Python without fences, or the sign that begins a block of text in YAML.
fn is_code(path: &str) -> bool {
    const BEGINNINGS: &[&str] = &["def ", "async def ", "lambda ", "return "];
    if BEGINNINGS.iter().any(|beginning| path.starts_with(beginning)) {
        return true;
    }
    const SQL: &[&str] = &["select", "insert", "with", "create", "update", "delete"];
    let first = path.split_once(' ').map(|(first, _)| first.to_ascii_lowercase());
    let sql = first.is_some_and(|first| SQL.contains(&first.as_str())) && !language::is_path(path);
    sql || ["|", "|-", ">", ">-"].contains(&path)
}
