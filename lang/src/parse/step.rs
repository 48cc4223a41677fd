//! `name:` and its lines: language, function, code, in this order, with settings anywhere between.

use bue_model::Language;

use super::{Parser, quoted};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::language;
use crate::lexer::Kind;
use crate::setting;
use crate::source::Span;
use crate::tree::{Code, CodeKind, Name, Setting, StepDefinition};

/// What of a step has been read.
#[derive(Default)]
struct Lines<'a> {
    settings: Vec<Setting>,
    language: Option<Span>,
    function: Option<Span>,
    code: Option<Code<'a>>,
    /// The line with the code was there, readable or not.
    code_seen: bool,
    /// Width of the first line's indentation.
    width: Option<usize>,
    /// A line too many has been reported.
    too_long: bool,
}

impl<'a> Parser<'a, '_, '_> {
    /// At the colon behind a name.
    pub(super) fn step(&mut self, name: Name<'a>, width: usize) -> super::Parsed<StepDefinition<'a>> {
        let start = self.at;
        self.next();
        let mut lines = Lines::default();
        let behind_colon = !self.at_line_end();
        if behind_colon {
            lines.language = self.language_behind_colon(&name);
            self.skip_statement(start, width);
        }
        self.step_lines(&mut lines, width);
        if behind_colon && lines.language.is_none() {
            // that was no step, or all of it stood on one line
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

    /// A mistake, but the language is taken as such.
    fn language_behind_colon(&mut self, name: &Name<'_>) -> Option<Span> {
        let diagnostic = self.unexpected(code::TEXT_AFTER_STATEMENT, "the end of the line");
        let span = self.rest_of_line();
        self.report(diagnostic.hint(meant_behind_colon(&name.text, span.of(self.text))));
        language::find(span.of(self.text)).is_some().then_some(span)
    }

    fn step_lines(&mut self, lines: &mut Lines<'a>, width: usize) {
        while self.kind() == Kind::Line && self.belongs_to_step(lines, width) {
            let indent = self.line_at(self.loops + 1);
            self.check_step_indent(lines, indent, width);
            let start = self.at;
            self.step_line(lines);
            if !self.at_line_end() {
                self.skip_statement(start, width);
            }
        }
    }

    /// Deeper lines do. The oldest scripts do not indent at all: there, a bare language begins a step's lines, and only
    /// what cannot be a statement is one of them.
    fn belongs_to_step(&self, lines: &Lines<'_>, width: usize) -> bool {
        let here = self.width(self.peek().span);
        if here != width {
            // a line further out than the step's, behind its last part, is a statement that was indented by mistake
            let stray = lines.code_seen && lines.width.is_some_and(|first| here < first) && self.name_and_sign_ahead();
            return here > width && !stray;
        }
        match lines.language {
            None => language::find(self.line_ahead()).is_some(),
            _ if lines.code_seen || lines.width != Some(width) => false,
            _ => matches!(self.peek_at(1).kind, Kind::Mark(b'!' | b'$' | b'@')) || !self.looks_like_statement(width),
        }
    }

    /// The text of the line whose `Line` token stands here.
    fn line_ahead(&self) -> &'a str {
        let mut ahead = 1;
        while !matches!(self.peek_at(ahead + 1).kind, Kind::Line | Kind::End) {
            ahead += 1;
        }
        self.peek_at(1).span.to(self.peek_at(ahead).span).of(self.text)
    }

    fn check_step_indent(&mut self, lines: &mut Lines<'_>, indent: Span, outer: usize) {
        let here = self.width(indent);
        match *lines.width.get_or_insert(here) {
            _ if lines.too_long => {}
            first if first != here => {
                self.odd_indent(
                    indent,
                    here,
                    &format!("the line above by {first}"),
                    "indent all lines of a step alike",
                );
            }
            first if first <= outer => {
                self.odd_indent(indent, here, "the lines of a step are indented", "put four blanks in front of each");
            }
            _ if lines.language.is_none() => self.check_unit(indent, outer),
            _ => {}
        }
    }

    fn step_line(&mut self, lines: &mut Lines<'a>) {
        match self.kind() {
            _ if self.at_setting() => lines.settings.extend(self.setting_line().ok()),
            _ if lines.code_seen => self.line_too_many(lines),
            Kind::Code | Kind::OpenCode => self.code_line(lines),
            _ if lines.language.is_none() => lines.language = Some(self.rest_of_line()),
            _ if lines.function.is_none() => lines.function = Some(self.rest_of_line()),
            _ => self.code_line(lines),
        }
    }

    fn code_line(&mut self, lines: &mut Lines<'a>) {
        lines.code_seen = true;
        lines.code = self.code().ok();
        // what is wrong with it has been said; lines below belong to it
        lines.too_long = lines.code.is_none();
    }

    /// Takes everything up to the end of the line; comments are not part of it.
    pub(super) fn rest_of_line(&mut self) -> Span {
        let first = self.peek().span;
        while !self.at_line_end() {
            self.next();
        }
        let span = first.to(self.last().span);
        self.layout.raw.push(span);
        span
    }

    fn line_too_many(&mut self, lines: &mut Lines<'_>) {
        let span = self.rest_of_line();
        if !lines.too_long {
            lines.too_long = true;
            let diagnostic =
                DiagnosticBuilder::new(code::STEP_TOO_LONG, span, "this line is one too many for the step above");
            self.report(
                diagnostic.hint("a step is language, function, and path or code; a statement below it is not indented"),
            );
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
        let function = lines.function.and_then(|span| self.function(span));
        if let (Some(language), Some(function)) = (language, &function) {
            self.check_function(language, function);
        }
        StepDefinition { name, settings: lines.settings, language, function, code: lines.code }
    }

    /// A step of two lines whose second is a path lacks its function, not its path.
    fn move_misplaced_path(&self, lines: &mut Lines<'a>) {
        if let (Some(span), None) = (lines.function, &lines.code)
            && language::is_path(span.of(self.text))
        {
            lines.code = Some(Code { span, kind: CodeKind::Path(span.of(self.text)) });
            lines.function = None;
        }
    }

    /// Reports parts in another order than language, function, path, and goes on with them as meant.
    fn reorder(&mut self, lines: &mut Lines<'a>) {
        let (Some(language), Some(function)) = (lines.language, lines.function) else { return };
        let (first, second) = (language.of(self.text), function.of(self.text));
        if language::find(first).is_none() && language::find(second).is_some() {
            let diagnostic = DiagnosticBuilder::new(
                code::UNKNOWN_LANGUAGE,
                language,
                format!("there is no language {}", quoted(first)),
            );
            self.report(diagnostic.hint(format!(
                "the language stands first: {}, then {}",
                quoted(second),
                quoted(first)
            )));
            (lines.language, lines.function) = (Some(function), Some(language));
        } else if let Some(Code { span, kind: CodeKind::Path(path) }) = lines.code
            && language::is_path(second)
            && !language::is_path(path)
            && language::is_dotted_name(path)
        {
            let diagnostic = DiagnosticBuilder::new(
                code::BAD_FUNCTION,
                function,
                format!("{} is a path, not a function", quoted(second)),
            );
            self.report(diagnostic.hint(format!("the path stands last: {}, then {}", quoted(path), quoted(second))));
            lines.function = Some(span);
            lines.code = Some(Code { span: function, kind: CodeKind::Path(second) });
        }
    }

    /// Is what stands in the language's place a function, because a line is missing? Then the lines are shifted.
    fn lacks_language(&self, lines: &mut Lines<'a>) -> bool {
        let Some(first) = lines.language else { return true };
        let text = first.of(self.text);
        let complete = lines.function.is_some() && (lines.code.is_some() || lines.code_seen);
        if complete || language::find(text).is_some() || language::meant(text).is_some() {
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
        let message = format!("step {} has {}", quoted(&name.text), missing.join(", "));
        let diagnostic = DiagnosticBuilder::new(code::STEP_INCOMPLETE, name.span, message);
        self.report(
            diagnostic
                .hint("below the name stand language, function or table, and path or code, each on an indented line"),
        );
    }

    pub(super) fn language(&mut self, span: Span) -> Option<Language> {
        let text = span.of(self.text);
        let language = language::find(text);
        if language.is_none() {
            let message = format!("there is no language {}", quoted(text));
            let hint = match language::meant(text) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("languages are {}", Language::ALL.map(Language::name).join(", ")),
            };
            self.report(DiagnosticBuilder::new(code::UNKNOWN_LANGUAGE, span, message).hint(hint));
        }
        language
    }

    pub(super) fn check_function(&mut self, language: Language, function: &Name<'_>) {
        if !language::may_name(language, &function.text) {
            let message = format!("{} cannot be a function in {}", quoted(&function.text), language.name());
            let diagnostic = DiagnosticBuilder::new(code::BAD_FUNCTION, function.span, message);
            let hint = match function.text.split_once(' ') {
                Some((first, second)) => format!("`{first} as {second}`, or a comma between two: `{first}, {second}`"),
                None => "names in Python have letters, digits and `_`".into(),
            };
            self.report(diagnostic.hint(hint));
        }
    }

    fn function(&mut self, span: Span) -> Option<Name<'a>> {
        let raw = span.of(self.text);
        let text = super::name::unquoted(raw);
        if text.len() == raw.len() && !language::is_dotted_name(text) || text.is_empty() || text.len() > 255 {
            let message = format!("{} is no name of a function or table", quoted(raw));
            self.report(
                DiagnosticBuilder::new(code::BAD_FUNCTION, span, message)
                    .hint("`function`, `Class.method`, or a table in quotes"),
            );
            return None;
        }
        Some(Name { text: text.into(), span })
    }
}

/// What somebody meant who wrote `name: text`.
fn meant_behind_colon(name: &str, text: &str) -> String {
    let first = text.split([' ', ',']).next().unwrap_or_default();
    match text.strip_prefix('=') {
        Some(value) => format!("`{name} = {}`", value.trim()),
        None if setting::NAMES.contains(&name) => format!("`!{name} {text}`"),
        None if text.contains('|') => format!("a pipe has an equal sign: `{name} = {text}`"),
        None if first != text && language::find(first).is_some() => {
            "language, function and path stand below, each on an indented line".into()
        }
        None => "the language stands on the next line, indented".into(),
    }
}
