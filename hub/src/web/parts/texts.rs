//! Texts of others, so that each character can be seen: control characters and those that reorder text are written as escapes.

use std::borrow::Cow;

use bue_model::text::is_printable;
use maud::{Markup, html};

/// Characters of a text in a table.
const MAX_CELL: usize = 160;

/// Makes every character visible, except for line breaks and tabs.
pub(in crate::web) fn visible(text: &str) -> Cow<'_, str> {
    let is_plain = |char: char| is_printable(char) || char == '\n' || char == '\t';
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let shown =
        text.chars().map(|char| if is_plain(char) { char.to_string() } else { char.escape_unicode().to_string() });
    Cow::Owned(shown.collect())
}

/// A text of others inside a line. Its direction does not affect what is around it.
pub(in crate::web) fn text(text: &str) -> Markup {
    html! { bdi { (visible(text)) } }
}

/// The same, cut for a table; the whole text, up to a limit, is its tooltip.
pub(in crate::web) fn short_text(text: &str) -> Markup {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(MAX_CELL).collect();
    let is_cut = short.len() < text.len();
    let title: String = text.chars().take(1_000).collect();
    html! { bdi title=[is_cut.then(|| visible(&title).into_owned())] { (visible(&short)) @if is_cut { "…" } } }
}

/// Lines of a log or a traceback, up to a limit of bytes. Says how much was left out.
pub(in crate::web) fn block(content: &str, limit: usize) -> Markup {
    let end = content.floor_char_boundary(limit);
    let (shown, rest) = content.split_at(end);
    html! {
        pre tabindex="0" { (visible(shown)) }
        @if !rest.is_empty() { p.hint { (rest.len()) " more bytes are not shown." } }
    }
}

/// A count with a noun in the right number.
pub(in crate::web) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number with thin spaces between groups of three digits.
pub(in crate::web) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Bytes in a unit that fits.
pub(in crate::web) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{}.{} {unit}", count / size, count % size * 10 / size),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_are_visible_and_markup_is_text() {
        assert_eq!(visible("a\u{202e}b\u{0}\nc\u{1b}"), "a\\u{202e}b\\u{0}\nc\\u{1b}");
        assert_eq!(visible("plain é 漢"), "plain é 漢");
        assert_eq!(text("<b>&\"").into_string(), "<bdi>&lt;b&gt;&amp;&quot;</bdi>");
        assert_eq!(block("ab\ncé", 5).into_string().matches("more bytes").count(), 1);
        let cut = short_text(&"x".repeat(10_000)).into_string();
        assert!(cut.len() < 1_400 && cut.contains('…'), "{}", cut.len());
    }

    #[test]
    fn numbers_are_grouped_and_sizes_have_units() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0, 1_023, 1_536, 5 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
        assert_eq!((counted(1, "job", "jobs"), counted(2, "job", "jobs")), ("1 job".to_owned(), "2 jobs".to_owned()));
    }
}
