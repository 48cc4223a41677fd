//! Texts that came from others, for messages: printable, and cut to a length.

/// What stands for the part of a text that was cut off.
pub const ELLIPSIS: char = '…';

/// The characters of an excerpt at most.
const MAX_EXCERPT: usize = 100;

/// The bytes that an excerpt is made of at most, so that a text of megabytes costs no more.
const MAX_EXCERPT_BYTES: usize = 1_000;

/// Returns whether a character can be printed without an effect on the text around it: it is neither a control character nor one
/// that is invisible or changes the direction of the text.
#[must_use]
pub fn is_printable(char: char) -> bool {
    !char.is_control()
        && !matches!(
            char,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns the text without characters that are not [printable](is_printable).
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|char| is_printable(*char)).collect()
}

/// Returns a text of at most `max_chars` characters; the last one is [`ELLIPSIS`] if something was cut off.
#[must_use]
pub fn shortened(text: &str, max_chars: usize) -> String {
    if text.chars().nth(max_chars).is_none() {
        return text.to_owned();
    }
    text.chars().take(max_chars.saturating_sub(1)).chain(core::iter::once(ELLIPSIS).take(max_chars)).collect()
}

/// Returns the beginning of a text that came from others, to quote it in a message: at most a hundred printable characters.
#[must_use]
pub fn excerpt(text: &str) -> String {
    shortened(&printable(text.get(..text.floor_char_boundary(MAX_EXCERPT_BYTES)).unwrap_or_default()), MAX_EXCERPT)
}

/// Cuts a text to at most `max_bytes` bytes, between two characters.
pub fn truncate_bytes(text: &mut String, max_bytes: usize) {
    text.truncate(text.floor_char_boundary(max_bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let cut = [3, 2, 1, 0].map(|max| shortened("äöü", max));
        assert_eq!(cut, ["äöü", "ä…", "…", ""]);
        assert_eq!(shortened("", 0), "");
        for (max, expected) in [(9, "aäö"), (5, "aäö"), (4, "aä"), (3, "aä"), (2, "a"), (0, "")] {
            let mut text = "aäö".to_owned();
            truncate_bytes(&mut text, max);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn what_controls_a_terminal_is_not_printable() {
        assert_eq!(excerpt(&"\u{1b}é".repeat(10_000)).chars().count(), MAX_EXCERPT);
        assert_eq!(printable("a\u{1b}[31m\u{9b}\u{7f}\r\n\tb\u{202e}\u{2066}\u{e0041}é"), "a[31mbé");
    }
}
