//! Code between fences, as the step gets it.

use std::collections::HashSet;

use bue_model::Language;

/// What begins and ends a Python string, longest first.
const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

/// Code without the whitespace that only the layout of the script needs.
pub(crate) struct InlineCode {
    pub(crate) text: String,
    /// Lines removed at the beginning.
    pub(crate) lines_removed: u32,
    /// Bytes removed at the beginning of every line.
    pub(crate) margin: usize,
}

/// Removes an empty first line, the line of the closing fence and the common indentation of all lines. Line breaks become LF.
///
/// In Python, the lines of a string in triple quotes may be indented less than the code around it. Then only the indentation of the
/// code is removed, and all such lines stay as they are.
pub(crate) fn dedent(raw: &str, language: Language) -> InlineCode {
    let text = raw.replace("\r\n", "\n").replace('\r', "\n");
    let (text, lines_removed) = match text.split_once('\n') {
        Some((first, rest)) if first.trim().is_empty() => (rest, 1),
        _ => (text.as_str(), 0),
    };
    let text = match text.rsplit_once('\n') {
        Some((rest, last)) if last.trim().is_empty() => rest,
        _ => text,
    };
    let string_lines = if language == Language::Python { string_lines(text) } else { HashSet::new() };
    let is_code = |number: usize| !string_lines.contains(&number);
    let margin = margin(text, is_code);
    let has_margin = |line: &str| line.starts_with(margin) || line.trim().is_empty();
    let all_have_it = text.split('\n').all(has_margin);
    let strip = |(number, line)| if all_have_it || is_code(number) { without_margin(line, margin) } else { line };
    let lines: Vec<&str> = text.split('\n').enumerate().map(strip).collect();
    InlineCode { text: lines.join("\n"), lines_removed, margin: margin.len() }
}

/// The longest common indentation of the lines that are code and not blank.
fn margin(text: &str, is_code: impl Fn(usize) -> bool) -> &str {
    let lines = text.split('\n').enumerate().filter(|(number, line)| is_code(*number) && !line.trim().is_empty());
    let indents =
        lines.map(|(_, line)| line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or_default());
    indents.reduce(common_prefix).unwrap_or_default()
}

fn common_prefix<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    one.get(..same).unwrap_or_default()
}

/// Blank lines may be shorter than the margin.
fn without_margin<'a>(line: &'a str, margin: &str) -> &'a str {
    line.strip_prefix(margin).unwrap_or_else(|| line.trim_start_matches([' ', '\t']))
}

/// Returns the numbers of the lines, from 0, that begin inside a Python string.
fn string_lines(text: &str) -> HashSet<usize> {
    let (mut lines, mut line) = (HashSet::new(), 0);
    let mut string: Option<&str> = None;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let mut len = char.len_utf8();
        match string {
            Some(quote) if rest.starts_with(quote) => {
                (string, len) = (None, quote.len());
            }
            Some(_) if char == '\\' => {
                let escaped = rest.chars().nth(1);
                len += escaped.map_or(0, char::len_utf8);
                line += usize::from(escaped == Some('\n'));
                if escaped == Some('\n') {
                    lines.insert(line);
                }
            }
            // a string in single quotes ends with its line
            Some(quote) if char == '\n' && quote.len() == 1 => (string, line) = (None, line + 1),
            Some(_) if char == '\n' => {
                line += 1;
                lines.insert(line);
            }
            None if char == '#' => len = rest.find('\n').unwrap_or(rest.len()),
            None if char == '\n' => line += 1,
            None => {
                string = QUOTES.into_iter().find(|quote| rest.starts_with(quote));
                len = string.map_or(len, str::len);
            }
            Some(_) => {}
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_removed() {
        for (raw, text, cut) in [
            ("select 1", "select 1", 0),
            ("\nselect 1\n", "select 1", 1),
            ("\n    def f():\n        return 1\n    ", "def f():\n    return 1", 1),
            ("def f():\n    return 1\n", "def f():\n    return 1", 0),
            ("\r\n  a\r\n\r\n  b\r\n", "a\n\nb", 1),
            ("  \n\ta\n\t\tb", "a\n\tb", 1),
            ("\n\n  a\n\n", "\na\n", 1),
        ] {
            let code = dedent(raw, Language::Sqlite3);
            assert_eq!((code.text.as_str(), code.lines_removed), (text, cut), "{raw:?}");
        }
    }

    #[test]
    fn the_lines_of_a_string_may_be_indented_less_than_the_code() {
        for (raw, text) in [
            ("  a = \"\"\"\nx\n   y\n\"\"\"\n  b", "a = \"\"\"\nx\n   y\n\"\"\"\nb"),
            ("  a = '''x \\'''\ny\n'''\n  b", "a = '''x \\'''\ny\n'''\nb"),
            ("  a = 'x\\\ny'\n  b", "a = 'x\\\ny'\nb"),
            // indented as the code is, a string loses the indentation too
            ("  a = \"\"\"\n  x\n  \"\"\"", "a = \"\"\"\nx\n\"\"\""),
            // quotes in comments and in other strings open no string
            ("  a  # it's \"\"\"\n b \"'''\"\n c", " a  # it's \"\"\"\nb \"'''\"\nc"),
        ] {
            assert_eq!(dedent(raw, Language::Python).text, text, "{raw:?}");
        }
    }
}
