//! Tracebacks with the source around each frame: Python's text, in which the line of a frame becomes the lines around it.

use bue_model::Bundle;
use maud::{Markup, html};

use crate::web::parts::texts::{block, visible};

/// Lines before and after that of a frame.
const AROUND: u32 = 3;
/// Frames with their source: the last ones, where the error is.
const MAX_FRAMES: usize = 20;
/// Characters of a line of source.
const MAX_LINE: usize = 300;

/// A line such as `  File "load.py", line 7, in load`.
#[derive(Debug, PartialEq, Eq)]
struct Frame<'a> {
    path: &'a str,
    line: u32,
}

impl<'a> Frame<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("  File \"")?;
        let (path, rest) = rest.rsplit_once("\", line ")?;
        let digits = rest.split(',').next()?;
        Some(Self { path, line: digits.parse().ok()? })
    }
}

/// The lines around that of a frame, with their numbers.
#[derive(Debug, PartialEq, Eq)]
struct Excerpt {
    /// The number of the frame's line.
    current: u32,
    lines: Vec<(u32, String)>,
}

impl Excerpt {
    /// `None` if the bundle does not have the line.
    fn of(bundle: &Bundle, frame: &Frame<'_>) -> Option<Self> {
        let file = bundle.files.iter().find(|file| file.path == frame.path)?;
        let text = std::str::from_utf8(&file.content).ok()?;
        // code inside a script has the line numbers of the script
        let first = if file.path == bundle.entry { bundle.first_line.max(1) } else { 1 };
        let (from, to) = (frame.line.saturating_sub(AROUND), frame.line.saturating_add(AROUND));
        let numbered = (first..).zip(text.lines());
        let around = numbered.skip_while(|(number, _)| *number < from).take_while(|(number, _)| *number <= to);
        let cut = |line: &str| line.chars().take(MAX_LINE).collect::<String>();
        let lines: Vec<_> = around.map(|(number, line)| (number, cut(line))).collect();
        lines.iter().any(|(number, _)| *number == frame.line).then_some(Self { current: frame.line, lines })
    }
}

/// A traceback, of which up to `limit` bytes are shown. Frames in files of the bundle have the lines around them.
pub(in crate::web) fn traceback(trace: &str, bundle: Option<&Bundle>, limit: usize) -> Markup {
    let Some(bundle) = bundle else { return block(trace, limit) };
    let shown = trace.get(..trace.floor_char_boundary(limit)).unwrap_or_default();
    let lines: Vec<&str> = shown.lines().collect();
    let (mut parts, mut next) = (Vec::new(), 0);
    for (index, excerpt) in last_excerpts(&lines, bundle) {
        parts.push(plain(lines.get(next..=index).unwrap_or_default()));
        parts.push(source(&excerpt));
        // the excerpt takes the place of the line that Python shows, with what it underlines there
        let is_source = |line: &&&str| line.starts_with("    ");
        next = index + 1 + lines.iter().skip(index + 1).take_while(is_source).count();
    }
    parts.push(plain(lines.get(next..).unwrap_or_default()));
    html! {
        div.traceback { @for part in &parts { (part) } }
        @if shown.len() < trace.len() { p.hint { (trace.len() - shown.len()) " more bytes are not shown." } }
    }
}

/// The last frames of which there is source: their positions among the lines, and the lines around each.
fn last_excerpts(lines: &[&str], bundle: &Bundle) -> Vec<(usize, Excerpt)> {
    let frames = lines.iter().enumerate().rev().filter_map(|(index, line)| Some((index, Frame::parse(line)?)));
    let excerpts = frames.filter_map(|(index, frame)| Some((index, Excerpt::of(bundle, &frame)?)));
    let mut last: Vec<_> = excerpts.take(MAX_FRAMES).collect();
    last.reverse();
    last
}

fn plain(lines: &[&str]) -> Markup {
    html! { @if !lines.is_empty() { pre tabindex="0" { (visible(&lines.join("\n"))) } } }
}

/// Lines of source. That of the frame is marked, also without colours.
fn source(excerpt: &Excerpt) -> Markup {
    html! {
        pre.source tabindex="0" {
            @for (number, line) in &excerpt.lines {
                @let text = format!("{} {number:>5}  {}\n", if *number == excerpt.current { ">" } else { " " }, visible(line));
                @if *number == excerpt.current { mark { (text) } } @else { (text) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bue_model::SourceFile;

    use super::*;

    fn bundle(entry: &str, first_line: u32, files: &[(&str, String)]) -> Bundle {
        let file =
            |(path, text): &(&str, String)| SourceFile { path: (*path).to_owned(), content: text.clone().into() };
        Bundle { entry: entry.into(), first_line, files: files.iter().map(file).collect(), packages: Vec::new() }
    }

    fn numbered(count: u32, rest: &str) -> String {
        (1..=count).map(|number| format!("line {number}{rest}\n")).collect()
    }

    const TRACE: &str = "Traceback (most recent call last):\n  File \"a.py\", line 12, in outer\n    inner()\n  \
                         File \"lib/b.py\", line 1, in inner\n    raise X\n    ^^^^^^^\n  File \"/packages/p.py\", line 3, in p\n    p\n\
                         ValueError: no\n";

    #[test]
    fn each_frame_of_the_users_files_has_the_lines_around_it() {
        let files = [("a.py", numbered(5, "")), ("lib/b.py", numbered(9, "<b>"))];
        // the entry begins on line 10 of the script
        let markup = traceback(TRACE, Some(&bundle("a.py", 10, &files)), 10_000).into_string();
        assert!(markup.contains("<mark>&gt;    12  line 3\n</mark>"), "{markup}");
        assert!(markup.contains("     10  line 1\n") && markup.contains("     14  line 5\n"), "{markup}");
        assert!(
            markup.contains("<mark>&gt;     1  line 1&lt;b&gt;\n</mark>") && markup.contains("line 4&lt;b&gt;"),
            "{markup}"
        );
        assert!(
            !markup.contains("line 5&lt;b&gt;") && !markup.contains("raise X") && !markup.contains("^^^"),
            "{markup}"
        );
        assert!(markup.contains("line 3, in p\n    p\nValueError: no"), "a frame without source stays: {markup}");
    }

    #[test]
    fn what_is_not_there_or_wrong_leaves_the_text() {
        let files = [("a.py", numbered(5, ""))];
        let whole = |bundle: Option<&Bundle>| traceback(TRACE, bundle, 10_000).into_string().contains("inner()");
        assert!(whole(None) && whole(Some(&bundle("a.py", 1, &files))) && whole(Some(&Bundle::default())));
        for line in ["", "  File \"a", "  File \"a\", line x, in y", "  File \"a\", line 4294967296, in y"] {
            assert_eq!(Frame::parse(line), None, "{line}");
        }
        assert_eq!(
            Frame::parse("  File \"a\", line 1, in b\", line 2"),
            Some(Frame { path: "a\", line 1, in b", line: 2 })
        );
    }

    #[test]
    fn a_traceback_is_bounded() {
        let files = [("a.py", numbered(5, &"x".repeat(10_000)))];
        let trace = "  File \"a.py\", line 3, in f\n    f()\n".repeat(1_000);
        let markup = traceback(&trace, Some(&bundle("a.py", 1, &files)), 20_000).into_string();
        assert_eq!(markup.matches("<mark>").count(), MAX_FRAMES);
        assert!(markup.len() < 80_000 && markup.contains("more bytes are not shown"), "{} bytes", markup.len());
    }
}
