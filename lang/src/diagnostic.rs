//! What is wrong with a script: a statement, places, and a hint one can type.

use serde::Serialize;

use crate::code;
use crate::source::{LineIndex, Position, Script, Span};

/// Most diagnostics about one script. Nobody reads more, and a megabyte of mistakes should not become a gigabyte of talk.
pub const MAX_DIAGNOSTICS: usize = 500;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// There is no plan.
    Error,
    /// There is a plan, perhaps not the one that was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// `E0012` or `W0001`; never changes its meaning. [`explain`](crate::explain) has a page on each.
    pub code: &'static str,
    /// Whether there can be a plan.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The script's path.
    pub file: String,
    /// Where; the first is the place itself, further ones say what it has to do with. Never empty.
    pub labels: Vec<Label>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Line and column of the mistake.
    #[must_use]
    pub fn position(&self) -> Position {
        self.labels.first().map_or(Position { line: 1, column: 1 }, |label| label.start)
    }

    /// Does it keep the script from being a plan?
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// In bytes.
    pub span: Span,
    /// Of its first character.
    pub start: Position,
    /// Behind its last character.
    pub end: Position,
    /// May be empty.
    pub text: String,
}

/// A diagnostic while it is written: spans only.
pub(crate) struct DiagnosticBuilder {
    code: &'static str,
    message: String,
    labels: Vec<(Span, String)>,
    hint: Option<String>,
}

impl DiagnosticBuilder {
    /// The code says whether it is an error: `E…` or `W…`.
    pub(crate) fn new(code: &'static str, at: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: vec![(at, String::new())], hint: None }
    }

    /// Labels the span itself.
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        if let Some((_, label)) = self.labels.first_mut() {
            *label = text.into();
        }
        self
    }

    /// Shows another span, with a label.
    pub(crate) fn label_at(mut self, at: Span, text: impl Into<String>) -> Self {
        self.labels.push((at, text.into()));
        self
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// A hint, if there is one to give.
    pub(crate) fn maybe_hint(mut self, text: Option<String>) -> Self {
        self.hint = text.or(self.hint);
        self
    }

    fn is_error(&self) -> bool {
        self.code.starts_with('E')
    }
}

/// The diagnostics about one script.
pub(crate) struct Diagnostics<'a> {
    pub(crate) script: Script<'a>,
    pub(crate) lines: LineIndex,
    list: Vec<Diagnostic>,
    errors: usize,
}

impl<'a> Diagnostics<'a> {
    pub(crate) fn new(script: Script<'a>) -> Self {
        Self { script, lines: LineIndex::new(script.text), list: Vec::new(), errors: 0 }
    }

    pub(crate) fn add(&mut self, builder: DiagnosticBuilder) {
        self.errors += usize::from(builder.is_error());
        if self.list.len() < MAX_DIAGNOSTICS {
            let diagnostic = self.build(builder);
            self.list.push(diagnostic);
        }
    }

    /// Returns whether the list is full and there is an error in it: then reading on can add nothing.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() == MAX_DIAGNOSTICS && self.errors > 0
    }

    pub(crate) const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// All of them in the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.list.len() == MAX_DIAGNOSTICS {
            self.add_truncation_notice();
        }
        self.list.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| label.span.start));
        self.list
    }

    fn add_truncation_notice(&mut self) {
        let end = Span::new(self.script.text.len(), self.script.text.len());
        let message = format!("only the first {MAX_DIAGNOSTICS} errors and warnings are shown");
        let diagnostic =
            self.build(DiagnosticBuilder::new(code::TOO_MANY, end, message).hint("correct those and check again"));
        self.list.push(diagnostic);
    }

    fn build(&self, builder: DiagnosticBuilder) -> Diagnostic {
        let severity = if builder.is_error() { Severity::Error } else { Severity::Warning };
        let labels = builder.labels.into_iter().map(|(span, text)| self.label(span, text)).collect();
        let file = self.script.path.to_owned();
        Diagnostic { code: builder.code, severity, message: builder.message, file, labels, hint: builder.hint }
    }

    fn label(&self, span: Span, text: String) -> Label {
        let position = |byte| self.lines.position(self.script.text, byte);
        Label { span, start: position(span.start), end: position(span.end), text }
    }
}
