//! Keeps text that came from others (messages, traces, names) from controlling the terminal: the rule for every output of `bue`.
//!
//! Escape sequences can set the title or the clipboard of a terminal, and hide or forge lines; Unicode's bidirectional
//! overrides reorder the text around them. Text for people loses these characters, JSON has `\uXXXX` for them.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

/// The start of an escape sequence with parameters.
const SEQUENCE_START: &str = "\u{1b}[";

/// Returns the text without characters that would control the terminal or reorder the text around them. Tabs and line breaks stay.
pub(crate) fn without_control_characters(text: &str) -> String {
    text.chars().filter(|char| matches!(char, '\n' | '\t') || !is_unsafe(*char)).collect()
}

/// The same, but escape sequences that set colours stay: for text that this process, or a compiler, has coloured.
pub(crate) fn with_colours_only(text: &str) -> String {
    let mut pieces = text.split(SEQUENCE_START);
    let mut kept = pieces.next().map(without_control_characters).unwrap_or_default();
    for piece in pieces {
        let after_parameters =
            piece.trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, ';' | ':'));
        kept.push_str(if after_parameters.starts_with('m') { SEQUENCE_START } else { "[" });
        kept.push_str(&without_control_characters(piece));
    }
    kept
}

/// Writes a value as JSON that has only printable characters.
///
/// # Errors
/// The value cannot be represented, or the writer fails.
pub(crate) fn write_json(out: impl Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, PrintableJson))
}

/// JSON without blanks. `serde_json` itself escapes the control characters below U+0020 only.
struct PrintableJson;

impl Formatter for PrintableJson {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut remaining = fragment;
        while let Some((start, char)) = remaining.char_indices().find(|(_, char)| is_unsafe(*char)) {
            let (before, from) = remaining.split_at(start);
            writer.write_all(before.as_bytes())?;
            write!(writer, "\\u{:04x}", u32::from(char))?;
            remaining = from.get(char.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(remaining.as_bytes())
    }
}

/// C0, DEL, C1, and the bidirectional overrides and isolates. All have four hexadecimal digits.
fn is_unsafe(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}\u{7f}\r\tb\nc";

    #[test]
    fn only_tabs_and_line_breaks_stay() {
        assert_eq!(without_control_characters(HOSTILE), "a]0;x31m\tb\nc");
    }

    #[test]
    fn only_sequences_that_set_colours_stay() {
        let coloured = "\u{1b}[1m\u{1b}[38;5;9merror\u{1b}[0m";
        assert_eq!(with_colours_only(coloured), coloured);
        assert_eq!(with_colours_only("\u{1b}[2J\u{1b}]52;c;eA==\u{7}\u{1b}["), "[2J]52;c;eA==[");
        assert_eq!(with_colours_only(HOSTILE), without_control_characters(HOSTILE));
    }

    #[test]
    fn json_keeps_the_value_and_has_printable_characters_only() {
        let mut bytes = Vec::new();
        write_json(&mut bytes, &[HOSTILE, "é\u{9b}"]).expect("JSON");
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(text.contains("\\u009b31m\\u202e\\u2066\\u007f") && text.contains("é\\u009b"), "{text}");
        assert!(!text.chars().any(is_unsafe), "{text:?}");
        assert_eq!(serde_json::from_str::<[String; 2]>(&text).expect("JSON"), [HOSTILE, "é\u{9b}"]);
    }
}
