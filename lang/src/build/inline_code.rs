//! Code between fences, as the step gets it.

/// Code without the whitespace that only the layout of the script needs.
pub(crate) struct InlineCode {
    pub(crate) text: String,
    /// Lines removed at the beginning.
    pub(crate) lines_removed: u32,
    /// Bytes removed at the beginning of every line.
    pub(crate) margin: usize,
}

/// Removes an empty first line, the line of the closing fence and the common indentation of all lines. Line breaks become LF.
pub(crate) fn dedent(raw: &str) -> InlineCode {
    let text = raw.replace("\r\n", "\n").replace('\r', "\n");
    let (text, lines_removed) = match text.split_once('\n') {
        Some((first, rest)) if first.trim().is_empty() => (rest, 1),
        _ => (text.as_str(), 0),
    };
    let text = match text.rsplit_once('\n') {
        Some((rest, last)) if last.trim().is_empty() => rest,
        _ => text,
    };
    let margin = margin(text);
    let lines: Vec<&str> = text.split('\n').map(|line| without_margin(line, margin)).collect();
    InlineCode { text: lines.join("\n"), lines_removed, margin: margin.len() }
}

/// The longest common indentation of all lines that are not blank.
fn margin(text: &str) -> &str {
    let lines = text.split('\n').filter(|line| !line.trim().is_empty());
    let indents =
        lines.map(|line| line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or_default());
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
            let code = dedent(raw);
            assert_eq!((code.text.as_str(), code.lines_removed), (text, cut), "{raw:?}");
        }
    }
}
