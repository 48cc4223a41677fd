//! A diagnostic as people read it: message, excerpt, hint. Readable without colour.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::diagnostics::diagnostic::{Diagnostic, Label};
use crate::source::{Script, Span};

/// Longest line, in bytes, that is passed to the renderer as a whole; it cuts the line to the width of a screen. Of longer
/// lines only a part is passed, so that rendering takes the same time for any file.
const LONGEST_LINE: usize = 16 * 1024;

/// Bytes on each side of the mistake that are kept of longer lines.
const WINDOW: usize = 400;

/// The diagnostic with an excerpt of its file, and of the line of the script that names the file.
#[must_use]
pub fn render(diagnostic: &Diagnostic, script: Script<'_>, color: bool) -> String {
    let level = if diagnostic.is_error() { Level::ERROR } else { Level::WARNING };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
    let file = Script { path: &diagnostic.file, text: diagnostic.file_text.as_deref().unwrap_or(script.text) };
    for (at, label) in diagnostic.labels.iter().enumerate() {
        let same_line = |other: &&Label| other.start.line == label.start.line;
        let earlier = diagnostic.labels.iter().take(at);
        if earlier.filter(same_line).count() == 0 {
            group = excerpt(group, at == 0, diagnostic.labels.iter().skip(at).filter(same_line), file);
        }
    }
    if let Some(used_at) = &diagnostic.used_at {
        group = excerpt(group, false, core::iter::once(used_at), script);
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// One line of a file with its labels below it; a label of several lines is shown on its first.
fn excerpt<'a>(
    group: Group<'a>,
    primary: bool,
    labels: impl Iterator<Item = &'a Label>,
    file: Script<'a>,
) -> Group<'a> {
    let mut labels = labels.peekable();
    let Some(first) = labels.peek().copied() else { return group };
    let line = Line::around(file.text, first.span);
    let annotations = labels.enumerate().map(|(at, label)| annotation(&line, label, primary && at == 0));
    let snippet =
        Snippet::source(line.text).line_start(first.start.line as usize).annotations(annotations.collect::<Vec<_>>());
    if !line.cut {
        return group.element(snippet.path(file.path));
    }
    let origin = Origin::path(file.path).line(first.start.line as usize);
    group.element(origin.char_column(first.start.column as usize)).element(snippet)
}

fn annotation<'a>(line: &Line<'_>, label: &'a Label, primary: bool) -> Annotation<'a> {
    let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
    let text = (!label.text.is_empty()).then_some(label.text.as_str());
    kind.span(line.clamp(label.span)).label(text)
}

/// The line, or part of a line, around a span.
struct Line<'a> {
    text: &'a str,
    /// Byte of the script at which the text begins.
    start: usize,
    /// Whether the line continues before or after the text.
    cut: bool,
}

impl<'a> Line<'a> {
    fn around(text: &'a str, span: Span) -> Self {
        let at = floor(text, span.start as usize);
        // no farther than shows that the line is too long: a file of one line may have hundreds of mistakes
        let first = floor(text, at.saturating_sub(LONGEST_LINE + 1));
        let before = text.get(first..at).unwrap_or_default();
        let start = before.rfind(['\n', '\r']).map_or(first, |end| first + end + 1);
        let after = text.get(at..floor(text, at.saturating_add(LONGEST_LINE + 1))).unwrap_or_default();
        let end = at + after.find(['\n', '\r']).unwrap_or(after.len());
        let cut = end - start > LONGEST_LINE;
        let (start, end) = match cut {
            true => {
                (start.max(floor(text, at.saturating_sub(WINDOW))), end.min(floor(text, at.saturating_add(WINDOW))))
            }
            false => (start, end),
        };
        Self { text: text.get(start..end).unwrap_or_default(), start, cut }
    }

    /// The part of a span that is within the text.
    fn clamp(&self, span: Span) -> core::ops::Range<usize> {
        let inside = |byte: u32| floor(self.text, (byte as usize).saturating_sub(self.start));
        inside(span.start)..inside(span.end)
    }
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, byte: usize) -> usize {
    let byte = byte.min(text.len());
    (0..=byte).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}
