//! A diagnostic as a person reads it: excerpt, place, hint. Readable without colour.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Label};
use crate::source::{Script, Span};

/// Longest line that is shown as it is, in bytes; the renderer cuts it to the width of a screen. Of longer ones only a part
/// is handed to it, so that a diagnostic costs the same in whatever file.
const LONGEST_LINE: usize = 16 * 1024;

/// Bytes on each side of the mistake that are kept of longer lines.
const WINDOW: usize = 400;

/// The diagnostic with an excerpt of the script it is about.
#[must_use]
pub fn render(diagnostic: &Diagnostic, script: Script<'_>, color: bool) -> String {
    let level = if diagnostic.is_error() { Level::ERROR } else { Level::WARNING };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
    for (at, label) in diagnostic.labels.iter().enumerate() {
        let same_line = |other: &&Label| other.start.line == label.start.line;
        let earlier = diagnostic.labels.iter().take(at);
        if earlier.filter(same_line).count() == 0 {
            group = excerpt(group, at == 0, diagnostic.labels.iter().skip(at).filter(same_line), diagnostic, script);
        }
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// One line of the script with its labels below it; a label over several lines is shown on its first.
fn excerpt<'a>(
    group: Group<'a>,
    primary: bool,
    labels: impl Iterator<Item = &'a Label>,
    diagnostic: &'a Diagnostic,
    script: Script<'a>,
) -> Group<'a> {
    let mut labels = labels.peekable();
    let Some(first) = labels.peek().copied() else { return group };
    let line = Line::around(script.text, first.span);
    let annotations = labels.enumerate().map(|(at, label)| annotation(&line, label, primary && at == 0));
    let snippet =
        Snippet::source(line.text).line_start(first.start.line as usize).annotations(annotations.collect::<Vec<_>>());
    if !line.cut {
        return group.element(snippet.path(diagnostic.file.as_str()));
    }
    let origin = Origin::path(diagnostic.file.as_str()).line(first.start.line as usize);
    group.element(origin.char_column(first.start.column as usize)).element(snippet)
}

fn annotation<'a>(line: &Line<'_>, label: &'a Label, primary: bool) -> Annotation<'a> {
    let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
    let text = (!label.text.is_empty()).then_some(label.text.as_str());
    kind.span(line.marked(label.span)).label(text)
}

/// The line, or part of a line, around a span.
struct Line<'a> {
    text: &'a str,
    /// Byte of the script at which the text begins.
    start: usize,
    /// The line goes on before or behind the text.
    cut: bool,
}

impl<'a> Line<'a> {
    fn around(text: &'a str, span: Span) -> Self {
        let at = floor(text, span.start as usize);
        let before = text.get(..at).unwrap_or_default();
        let start = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
        let behind = text.get(at..).unwrap_or_default();
        let end = at + behind.find(['\n', '\r']).unwrap_or(behind.len());
        let cut = end - start > LONGEST_LINE;
        let (start, end) = match cut {
            true => {
                (start.max(floor(text, at.saturating_sub(WINDOW))), end.min(floor(text, at.saturating_add(WINDOW))))
            }
            false => (start, end),
        };
        Self { text: text.get(start..end).unwrap_or_default(), start, cut }
    }

    /// A span within the text, cut at its ends.
    fn marked(&self, span: Span) -> core::ops::Range<usize> {
        let inside = |byte: u32| floor(self.text, (byte as usize).saturating_sub(self.start));
        inside(span.start)..inside(span.end)
    }
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, byte: usize) -> usize {
    let byte = byte.min(text.len());
    (0..=byte).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile;

    fn rendered(text: &str) -> String {
        let script = Script { path: "a.bue", text };
        compile(script).diagnostics.iter().map(|diagnostic| render(diagnostic, script, false) + "\n").collect()
    }

    /// The marks stand under the text they are about.
    fn marked(text: &str, wrong: &str) {
        let shown = rendered(text);
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines.iter().rposition(|line| line.contains('^')).expect("marks");
        let width = |text: &str| text.chars().map(|char| if char > '\u{2e80}' { 2 } else { 1 }).sum::<usize>();
        let above = lines[at - 1];
        let start = width(&above[..above.find(wrong).expect("the line")]);
        assert_eq!(lines[at].find('^'), Some(start), "{shown}");
        assert_eq!(lines[at].matches('^').count(), width(wrong), "{shown}");
    }

    #[test]
    fn marks_stand_under_tabs_wide_letters_and_long_lines() {
        marked("p(zzz)", "zzz");
        marked("x = nothing()\r\n", "nothing");
        marked("x =\tnothing()", "nothing");
        marked("日本 = nothing()", "nothing");
        marked("größe = 日本()", "日本");
        marked(&format!("{}nothing()", " ".repeat(10_000)), "nothing");
        marked(&format!("x = nothing({}", "a, ".repeat(4_000)), "(");
        marked(&format!("x{} = nothing()", "x".repeat(100_000)), "nothing");
    }

    #[test]
    fn a_diagnostic_reads_well_without_colour() {
        let shown = rendered("a:\n    ruby\n    f\n    a.rb\n");
        let expected = "\
error[E0012]: there is no language `ruby`
 --> a.bue:2:5
  |
2 |     ruby
  |     ^^^^
  |
  = help: languages are python, sqlite3, postgres, rust, go, c, cpp, wasm
";
        assert_eq!(shown, expected);
    }
}
