//! The text of a script, and positions in it.

use serde::Serialize;

/// Longest script, in bytes. People write scripts; a longer text is a mistake.
pub const MAX_SCRIPT: usize = 16 * 1024 * 1024;

/// A script.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// Its path as the user gave it, for messages only.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A piece of the text, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
}

impl Span {
    /// From one byte to another. Scripts are shorter than [`MAX_SCRIPT`], so offsets fit.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: offset(start), end: offset(end) }
    }

    /// From the start of this one to the end of another.
    pub(crate) const fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }

    /// The empty span after this one.
    pub(crate) const fn after(self) -> Self {
        Self { start: self.end, end: self.end }
    }

    /// For slicing.
    pub(crate) const fn range(self) -> core::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The text of the span; empty if it is outside of `text`.
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }
}

fn offset(byte: usize) -> u32 {
    u32::try_from(byte).unwrap_or(u32::MAX)
}

/// A line and a column, both from 1; a column is a character, whatever its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// Where the lines of a text begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    /// Lines end with LF, CRLF or a lone CR.
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self { starts: core::iter::once(0).chain(ends.map(|(at, _)| offset(at + 1))).collect() }
    }

    /// Line of a byte, from 1.
    pub(crate) fn line(&self, byte: u32) -> u32 {
        offset(self.starts.partition_point(|start| *start <= byte))
    }

    /// Line and column of a byte.
    pub(crate) fn position(&self, text: &str, byte: u32) -> Position {
        let line = self.line(byte);
        let before = Span { start: self.start(line), end: byte }.of(text);
        Position { line, column: offset(before.chars().count() + 1) }
    }

    /// The span of the character at a position, empty at the end of a line.
    pub(crate) fn char_at(&self, text: &str, position: Position) -> Span {
        let start = self.start(position.line) as usize;
        let line = self.text(text, position.line);
        let column = (position.column as usize).saturating_sub(1);
        let (at, length) = line.char_indices().nth(column).map_or((line.len(), 0), |(at, char)| (at, char.len_utf8()));
        Span::new(start + at, start + at + length)
    }

    /// First byte of a line.
    pub(crate) fn start(&self, line: u32) -> u32 {
        let at = (line as usize).saturating_sub(1);
        self.starts.get(at).or(self.starts.last()).copied().unwrap_or_default()
    }

    /// A line without its line break.
    pub(crate) fn text<'a>(&self, text: &'a str, line: u32) -> &'a str {
        let end = self.starts.get(line as usize).map_or(text.len(), |next| *next as usize);
        let whole = text.get(self.start(line) as usize..end).unwrap_or_default();
        whole.trim_end_matches(['\n', '\r'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_lf_crlf_or_cr() {
        let text = "a\nb\r\nc\rd";
        let index = LineIndex::new(text);
        let lines: Vec<_> = (1..=4).map(|line| index.text(text, line)).collect();
        assert_eq!(lines, ["a", "b", "c", "d"]);
        assert_eq!(index.position(text, 7), Position { line: 4, column: 1 });
    }

    #[test]
    fn columns_count_characters() {
        let text = "größe: x";
        let at = offset(text.find('x').expect("an x"));
        assert_eq!(LineIndex::new(text).position(text, at), Position { line: 1, column: 8 });
    }
}
