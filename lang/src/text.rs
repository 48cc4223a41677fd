//! Rules about characters and quotes that the lexer, the parser and the settings share.

use unicode_ident::{is_xid_continue, is_xid_start};

/// Returns whether a word may begin with the character.
pub(crate) fn is_word_start(char: char) -> bool {
    char == '_' || is_xid_start(char)
}

/// Returns whether the character may be inside a word.
pub(crate) fn is_word_continue(char: char) -> bool {
    char == '-' || is_xid_continue(char)
}

/// The text without its first and last character if these are equal quotes.
pub(crate) fn strip_quotes(text: &str) -> Option<&str> {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\''))
}

/// The text without quotes around it, and without blanks inside the quotes at their ends.
pub(crate) fn unquoted(text: &str) -> &str {
    strip_quotes(text).map_or(text, str::trim)
}

/// The first characters of a text, for messages.
pub(crate) fn shortened(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}

/// The text in backquotes, shortened for messages.
pub(crate) fn backquoted(text: &str) -> String {
    const MAX_CHARS: usize = 40;
    let mut short = shortened(text, MAX_CHARS);
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}
