//! The diagnostics of one script, while it is read.

use super::builder::{CodeFile, DiagnosticBuilder};
use super::codes;
use super::diagnostic::{Diagnostic, Label, Severity};
use crate::source::{LineIndex, Script, Span};

/// Maximum number of diagnostics of one script. More would not be read, and they keep the output of a megabyte of mistakes small.
pub const MAX_DIAGNOSTICS: usize = 500;

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

    /// All of them, in the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.list.len() == MAX_DIAGNOSTICS {
            self.add_truncation_notice();
        }
        self.list.sort_by_key(Diagnostic::script_offset);
        self.list
    }

    fn add_truncation_notice(&mut self) {
        let end = Span::new(self.script.text.len(), self.script.text.len());
        let message = format!("only the first {MAX_DIAGNOSTICS} errors and warnings are shown");
        let diagnostic =
            self.build(DiagnosticBuilder::new(codes::TOO_MANY, end, message).hint("correct those and check again"));
        self.list.push(diagnostic);
    }

    fn build(&self, builder: DiagnosticBuilder) -> Diagnostic {
        let severity = if builder.is_error() { Severity::Error } else { Severity::Warning };
        let DiagnosticBuilder { code, message, labels, hint, place } = builder;
        let (labels, file, file_text, used_at) = match place {
            None => (self.labels(labels), self.script.path.to_owned(), None, None),
            Some((CodeFile { path, text }, used_at)) => {
                let lines = LineIndex::new(&text);
                let labels = labels.into_iter().map(|(span, note)| label(&lines, &text, span, note)).collect();
                let used_at = label(&self.lines, self.script.text, used_at, "used here".to_owned());
                (labels, path, Some(text), Some(used_at))
            }
        };
        Diagnostic { code, severity, message, file, labels, file_text, used_at, hint }
    }

    fn labels(&self, labels: Vec<(Span, String)>) -> Vec<Label> {
        labels.into_iter().map(|(span, text)| label(&self.lines, self.script.text, span, text)).collect()
    }
}

fn label(lines: &LineIndex, file: &str, span: Span, text: String) -> Label {
    Label { span, start: lines.position(file, span.start), end: lines.position(file, span.end), text }
}
