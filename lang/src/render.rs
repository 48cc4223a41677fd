//! A complaint as a person reads it: excerpt, place, hint. Readable without colour.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::complaint::{Complaint, Label};
use crate::source::{Script, Span};

/// Bytes of a line that are shown on each side of the mistake. Lines of ten thousand columns do happen.
const WINDOW: usize = 400;

/// The complaint with an excerpt of the script it is about.
#[must_use]
pub fn render(complaint: &Complaint, script: Script<'_>, color: bool) -> String {
    let level = if complaint.is_error() { Level::ERROR } else { Level::WARNING };
    let mut group = level
        .primary_title(complaint.message.as_str())
        .id(complaint.code)
        .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
    for (at, label) in complaint.labels.iter().enumerate() {
        let kind = if at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        group = excerpt(group, label, kind, complaint, script);
    }
    if let Some(hint) = &complaint.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// One line of the script with the label below it; a label over several lines is shown on its first.
fn excerpt<'a>(
    group: Group<'a>,
    label: &'a Label,
    kind: AnnotationKind,
    complaint: &'a Complaint,
    script: Script<'a>,
) -> Group<'a> {
    let line = Line::around(script.text, label.span);
    let origin =
        Origin::path(complaint.file.as_str()).line(label.start.line as usize).char_column(label.start.column as usize);
    let text = (!label.text.is_empty()).then_some(label.text.as_str());
    let annotation = kind.span(line.marked()).label(text);
    let snippet =
        Snippet::source(line.text).line_start(label.start.line as usize).path(None::<&str>).annotation(annotation);
    group.element(origin).element(snippet)
}

/// The part of a line around a span.
struct Line<'a> {
    text: &'a str,
    /// Byte of the script at which the text begins.
    start: usize,
    span: Span,
}

impl<'a> Line<'a> {
    fn around(text: &'a str, span: Span) -> Self {
        let at = floor(text, (span.start as usize).min(text.len()));
        let before = text.get(..at).unwrap_or_default();
        let start = before.rfind(['\n', '\r']).map_or(0, |end| end + 1).max(floor(text, at.saturating_sub(WINDOW)));
        let behind = text.get(at..).unwrap_or_default();
        let end = at + behind.find(['\n', '\r']).unwrap_or(behind.len());
        let end = end.min(floor(text, at.saturating_add(WINDOW)));
        Self { text: text.get(start..end).unwrap_or_default(), start, span }
    }

    /// The span within the text, cut at its end.
    fn marked(&self) -> core::ops::Range<usize> {
        let inside = |byte: u32| floor(self.text, (byte as usize).saturating_sub(self.start).min(self.text.len()));
        inside(self.span.start)..inside(self.span.end)
    }
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, byte: usize) -> usize {
    let byte = byte.min(text.len());
    (0..=byte).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}
