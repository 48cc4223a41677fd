//! Code between fences as the step gets it.

/// Code without what only the script's layout needs.
pub(crate) struct Clean {
    pub(crate) text: String,
    /// Lines cut off at the beginning.
    pub(crate) lines_cut: u32,
    /// Bytes cut off the beginning of every line that has them.
    pub(crate) margin: usize,
}

/// Cuts off an empty first line, the line of the closing fence and the indentation all lines share. Line breaks become LF.
pub(crate) fn clean(raw: &str) -> Clean {
    let text = raw.replace("\r\n", "\n").replace('\r', "\n");
    let (text, lines_cut) = match text.split_once('\n') {
        Some((first, rest)) if first.trim().is_empty() => (rest, 1),
        _ => (text.as_str(), 0),
    };
    let text = match text.rsplit_once('\n') {
        Some((rest, last)) if last.trim().is_empty() => rest,
        _ => text,
    };
    let margin = margin(text);
    let lines: Vec<&str> = text.split('\n').map(|line| without_margin(line, margin)).collect();
    Clean { text: lines.join("\n"), lines_cut, margin: margin.len() }
}

/// The longest indentation that all lines with something on them share.
fn margin(text: &str) -> &str {
    let lines = text.split('\n').filter(|line| !line.trim().is_empty());
    let indents =
        lines.map(|line| line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or_default());
    indents.reduce(common_start).unwrap_or_default()
}

fn common_start<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    one.get(..same).unwrap_or_default()
}

/// Lines of blanks alone may be shorter than the margin.
fn without_margin<'a>(line: &'a str, margin: &str) -> &'a str {
    line.strip_prefix(margin).unwrap_or_else(|| line.trim_start_matches([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_taken_off() {
        for (raw, text, cut) in [
            ("select 1", "select 1", 0),
            ("\nselect 1\n", "select 1", 1),
            ("\n    def f():\n        return 1\n    ", "def f():\n    return 1", 1),
            ("def f():\n    return 1\n", "def f():\n    return 1", 0),
            ("\r\n  a\r\n\r\n  b\r\n", "a\n\nb", 1),
            ("  \n\ta\n\t\tb", "a\n\tb", 1),
            ("\n\n  a\n\n", "\na\n", 1),
        ] {
            let clean = clean(raw);
            assert_eq!((clean.text.as_str(), clean.lines_cut), (text, cut), "{raw:?}");
        }
    }
}
