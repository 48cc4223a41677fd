//! `name:` and its lines: language, function, code, in this order, with settings anywhere between.

use bue_model::{Language, SqlTable};

use super::parser::{Parsed, Parser};
use super::table::split_columns;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::language;
use crate::settings;
use crate::source::Span;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::{Code, CodeKind, Name, Setting, StepDefinition};
use crate::text::{backquoted, strip_quotes, unquoted};

/// Longest name of a function or table, in bytes.
const MAX_FUNCTION: usize = 255;

/// The lines of a step that have been parsed.
#[derive(Default)]
struct Lines<'a> {
    settings: Vec<Setting>,
    language: Option<Span>,
    function: Option<Span>,
    code: Option<Code<'a>>,
    /// Whether there was a line with the code, valid or not.
    code_seen: bool,
    /// Width of the first line's indentation.
    width: Option<usize>,
    /// Whether a line too many has been reported.
    too_long: bool,
}

impl<'a> Parser<'a, '_, '_> {
    /// At the colon after a name.
    pub(super) fn step(&mut self, name: Name<'a>, width: usize) -> Parsed<StepDefinition<'a>> {
        let start = self.position;
        self.next();
        let mut lines = Lines::default();
        let text_after_colon = !self.at_line_end();
        if text_after_colon {
            lines.language = self.language_after_colon(&name);
            self.skip_statement(start, width);
        }
        self.step_lines(&mut lines, width);
        if text_after_colon && lines.language.is_none() {
            // that was not a step, or all of it is on one line
            return Ok(StepDefinition {
                name,
                settings: lines.settings,
                language: None,
                function: None,
                code: lines.code,
            });
        }
        Ok(self.finish_step(name, lines))
    }

    /// Reports a language on the line of the name, and uses it.
    fn language_after_colon(&mut self, name: &Name<'_>) -> Option<Span> {
        let diagnostic = self.unexpected(codes::TEXT_AFTER_STATEMENT, "the end of the line");
        let span = self.rest_of_line();
        self.report(diagnostic.hint(hint_after_colon(&name.text, span.of(self.text))));
        language::find(span.of(self.text)).is_some().then_some(span)
    }

    fn step_lines(&mut self, lines: &mut Lines<'a>, width: usize) {
        while self.kind() == TokenKind::LineStart && self.belongs_to_step(lines, width) {
            let indent = self.start_line(self.loop_depth + 1);
            self.check_step_indent(lines, indent, width);
            let start = self.position;
            self.step_line(lines);
            if !self.at_line_end() {
                self.skip_statement(start, width);
            }
        }
    }

    /// Returns whether the next line belongs to the step: a deeper line does. The oldest scripts do not indent at all: there, a
    /// language alone begins the lines of a step, and only a line that cannot be a statement is one of them.
    fn belongs_to_step(&self, lines: &Lines<'_>, width: usize) -> bool {
        let here = self.indent_width(self.peek().span);
        if here != width {
            // a line less indented than the others, after the last part, is a statement that was indented by mistake
            let stray = lines.code_seen && lines.width.is_some_and(|first| here < first) && self.name_and_sign_ahead();
            return here > width && !stray;
        }
        match lines.language {
            None => language::find(self.line_ahead()).is_some(),
            _ if lines.code_seen || lines.width != Some(width) => false,
            _ => self.kind_nth(1).begins_setting() || !self.looks_like_statement(width),
        }
    }

    /// The text of the line that starts here.
    fn line_ahead(&self) -> &'a str {
        let mut ahead = 1;
        while !self.kind_nth(ahead + 1).ends_line() {
            ahead += 1;
        }
        self.peek_nth(1).span.to(self.peek_nth(ahead).span).of(self.text)
    }

    fn check_step_indent(&mut self, lines: &mut Lines<'_>, indent: Span, outer: usize) {
        let here = self.indent_width(indent);
        match *lines.width.get_or_insert(here) {
            _ if lines.too_long => {}
            first if first != here => {
                self.odd_indent(
                    indent,
                    here,
                    &format!("the line above by {first}"),
                    "indent all lines of a step equally",
                );
            }
            first if first <= outer => {
                self.odd_indent(
                    indent,
                    here,
                    "the lines of a step must be indented",
                    "put four blanks in front of each",
                );
            }
            _ if lines.language.is_none() => self.check_unit(indent, outer),
            _ => {}
        }
    }

    fn step_line(&mut self, lines: &mut Lines<'a>) {
        match self.kind() {
            _ if self.at_setting() => lines.settings.extend(self.setting_line().ok()),
            _ if lines.code_seen => self.line_too_many(lines),
            TokenKind::Code | TokenKind::UnclosedCode => self.code_line(lines),
            _ if lines.language.is_none() => lines.language = Some(self.rest_of_line()),
            _ if lines.function.is_none() => lines.function = Some(self.rest_of_line()),
            _ => self.code_line(lines),
        }
    }

    fn code_line(&mut self, lines: &mut Lines<'a>) {
        lines.code_seen = true;
        lines.code = self.code().ok();
        // the mistake has been reported; the lines below belong to it
        lines.too_long = lines.code.is_none();
    }

    /// Consumes everything up to the end of the line; comments are not part of it.
    pub(super) fn rest_of_line(&mut self) -> Span {
        let first = self.peek().span;
        while !self.at_line_end() {
            self.next();
        }
        let span = first.to(self.previous().span);
        self.layout.raw.push(span);
        span
    }

    fn line_too_many(&mut self, lines: &mut Lines<'_>) {
        let span = self.rest_of_line();
        if !lines.too_long {
            lines.too_long = true;
            let diagnostic = DiagnosticBuilder::new(codes::STEP_TOO_LONG, span, "the step above is already complete");
            self.report(diagnostic.hint(
                "a step has three lines: language, function, and path or code; do not indent the statement below it",
            ));
        }
    }

    fn finish_step(&mut self, name: Name<'a>, mut lines: Lines<'a>) -> StepDefinition<'a> {
        self.move_misplaced_path(&mut lines);
        self.reorder(&mut lines);
        if self.lacks_language(&mut lines) {
            self.check_complete(&name, &lines);
            return StepDefinition { name, settings: lines.settings, language: None, function: None, code: lines.code };
        }
        self.check_complete(&name, &lines);
        let language = lines.language.and_then(|span| self.language(span));
        let function = lines.function.and_then(|span| match language.filter(|language| language.has_table()) {
            Some(language) => self.table(language, span),
            None => self.function(span),
        });
        if let (Some(language), Some(function)) = (language, &function) {
            self.check_function(language, function);
        }
        StepDefinition { name, settings: lines.settings, language, function, code: lines.code }
    }

    /// If the second of two lines is a path, the function is missing, not the path.
    fn move_misplaced_path(&self, lines: &mut Lines<'a>) {
        if let (Some(span), None) = (lines.function, &lines.code)
            && language::is_path(span.of(self.text))
        {
            lines.code = Some(Code { span, kind: CodeKind::Path(span.of(self.text)) });
            lines.function = None;
        }
    }

    /// Reports parts in another order than language, function, path, and uses them as intended.
    fn reorder(&mut self, lines: &mut Lines<'a>) {
        let (Some(language), Some(function)) = (lines.language, lines.function) else { return };
        let (first, second) = (language.of(self.text), function.of(self.text));
        if language::find(first).is_none() && language::find(second).is_some() {
            let diagnostic = DiagnosticBuilder::new(
                codes::UNKNOWN_LANGUAGE,
                language,
                format!("there is no language {}", backquoted(first)),
            );
            self.report(diagnostic.hint(format!(
                "write the language first: {}, then {}",
                backquoted(second),
                backquoted(first)
            )));
            (lines.language, lines.function) = (Some(function), Some(language));
        } else if let Some(Code { span, kind: CodeKind::Path(path) }) = lines.code
            && language::is_path(second)
            && !language::is_path(path)
            && language::is_dotted_name(path)
        {
            let diagnostic = DiagnosticBuilder::new(
                codes::INVALID_FUNCTION,
                function,
                format!("{} is a path, not a function", backquoted(second)),
            );
            self.report(diagnostic.hint(format!(
                "write the path last: {}, then {}",
                backquoted(path),
                backquoted(second)
            )));
            lines.function = Some(span);
            lines.code = Some(Code { span: function, kind: CodeKind::Path(second) });
        }
    }

    /// Returns whether the first line is a function, because the language is missing; if so, shifts the lines.
    fn lacks_language(&self, lines: &mut Lines<'a>) -> bool {
        let Some(first) = lines.language else { return true };
        let text = first.of(self.text);
        let complete = lines.function.is_some() && (lines.code.is_some() || lines.code_seen);
        if complete || language::find(text).is_some() || language::intended(text).is_some() {
            return false;
        }
        lines.code_seen |= lines.function.is_some();
        lines.function = lines.language.take();
        true
    }

    fn check_complete(&mut self, name: &Name<'_>, lines: &Lines<'_>) {
        let parts = [
            (lines.language.is_some(), "no language"),
            (lines.function.is_some(), "no function or table"),
            (lines.code.is_some() || lines.code_seen, "no path or code"),
        ];
        let missing: Vec<&str> = parts.iter().filter(|(there, _)| !there).map(|(_, what)| *what).collect();
        let on_one_line =
            |span: Span| language::find(span.of(self.text)).is_none() && span.of(self.text).contains([' ', ',']);
        if missing.is_empty() || lines.language.is_some_and(on_one_line) {
            return;
        }
        let message = format!("step {} has {}", backquoted(&name.text), missing.join(", "));
        let diagnostic = DiagnosticBuilder::new(codes::INCOMPLETE_STEP, name.span, message);
        self.report(diagnostic.hint(
            "write below the name: the language, the function or table, and the path or code, each on an indented line",
        ));
    }

    pub(super) fn language(&mut self, span: Span) -> Option<Language> {
        let text = span.of(self.text);
        let language = language::find(text);
        if language.is_none() {
            let message = format!("there is no language {}", backquoted(text));
            let hint = match language::intended(text) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("languages are {}", Language::ALL.map(Language::name).join(", ")),
            };
            self.report(DiagnosticBuilder::new(codes::UNKNOWN_LANGUAGE, span, message).hint(hint));
        }
        language
    }

    pub(super) fn check_function(&mut self, language: Language, function: &Name<'_>) {
        let is_quoted = strip_quotes(function.span.of(self.text)).is_some();
        if language.has_table() && is_quoted && SqlTable::from_text(&function.text).columns.is_some() {
            let message = "a table cannot have this name, which looks like a declaration of columns";
            self.report(
                DiagnosticBuilder::new(codes::INVALID_FUNCTION, function.span, message)
                    .hint("write the columns outside of the quotes: `sales(id int, day date)`"),
            );
        }
        if !language::may_name(language, &function.text) {
            let message = format!("{} cannot be a function in {}", backquoted(&function.text), language.name());
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_FUNCTION, function.span, message);
            let hint = match function.text.split_once(' ') {
                Some((first, second)) => format!("`{first} as {second}`, or two functions: `{first}, {second}`"),
                None => "names in Python consist of letters, digits and `_`".into(),
            };
            self.report(diagnostic.hint(hint));
        }
    }

    /// The table of a SQL step, which may have columns.
    fn table(&mut self, language: Language, span: Span) -> Option<Name<'a>> {
        let Some((name, columns)) = split_columns(self.text, span) else { return self.function(span) };
        let name = self.function(name)?;
        self.declared_table(language, &name, columns)
    }

    fn function(&mut self, span: Span) -> Option<Name<'a>> {
        let raw = span.of(self.text);
        let text = unquoted(raw);
        if text.len() == raw.len() && !language::is_dotted_name(text) || text.is_empty() || text.len() > MAX_FUNCTION {
            let message = format!("{} is not a name of a function or table", backquoted(raw));
            self.report(
                DiagnosticBuilder::new(codes::INVALID_FUNCTION, span, message)
                    .hint("write `function`, `Class.method`, or a table in quotes"),
            );
            return None;
        }
        Some(Name { text: text.into(), span })
    }
}

/// What was probably intended by `name: text`.
fn hint_after_colon(name: &str, text: &str) -> String {
    let first = text.split([' ', ',']).next().unwrap_or_default();
    match text.strip_prefix('=') {
        Some(value) => format!("`{name} = {}`", value.trim()),
        None if settings::names::NAMES.contains(&name) => format!("`!{name} {text}`"),
        None if text.contains('|') => format!("define a pipe with an equals sign: `{name} = {text}`"),
        None if first != text && language::find(first).is_some() => {
            "write language, function and path below, each on an indented line".into()
        }
        None => "write the language on the next line, indented".into(),
    }
}
