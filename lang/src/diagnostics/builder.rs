//! A diagnostic while it is assembled.

use std::sync::Arc;

use crate::source::Span;

/// A diagnostic whose labels are spans of bytes, without lines and columns.
pub(crate) struct DiagnosticBuilder {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Never empty.
    pub(super) labels: Vec<(Span, String)>,
    pub(super) hint: Option<String>,
    /// The file that the labels are in, and the span of the script that names it; `None` if they are in the script.
    pub(super) place: Option<(CodeFile, Span)>,
}

/// A file that a step uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodeFile {
    /// Its path, for messages.
    pub path: String,
    /// Its text.
    pub text: Arc<str>,
}

impl DiagnosticBuilder {
    /// The code decides whether it is an error (`E…`) or a warning (`W…`).
    pub(crate) fn new(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: vec![(span, String::new())], hint: None, place: None }
    }

    /// A mistake in a file that the script names at `used_at`; `span` is a span of the file.
    pub(crate) fn in_file(
        code: &'static str,
        file: CodeFile,
        span: Span,
        used_at: Span,
        message: impl Into<String>,
    ) -> Self {
        Self { place: Some((file, used_at)), ..Self::new(code, span, message) }
    }

    /// Labels the span itself.
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        if let Some((_, label)) = self.labels.first_mut() {
            *label = text.into();
        }
        self
    }

    /// Shows another span, with a label.
    pub(crate) fn label_at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Sets the hint if there is one.
    pub(crate) fn maybe_hint(mut self, text: Option<String>) -> Self {
        self.hint = text.or(self.hint);
        self
    }

    pub(super) fn is_error(&self) -> bool {
        self.code.starts_with('E')
    }
}
