//! [`parameter_names`]: the names of a Python function's parameters, read from its source, for messages. The source is not
//! executed, and need not be valid.

/// Returns the names of the positional parameters of a function on the top level of a module, in order. Empty if the source has
/// no such function.
pub(crate) fn parameter_names<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
    parameters(source, function).map_or_else(Vec::new, |text| split(text).map_while(name_of).collect())
}

/// Returns the source behind the parenthesis that opens the parameters. The last definition is the one that counts.
fn parameters<'a>(source: &'a str, function: &str) -> Option<&'a str> {
    let mut found = None;
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        if let Some(offset) = opening(line, function) {
            found = source.get(start + offset..);
        }
        start += line.len();
    }
    found
}

/// Returns where in this line the parameters of the function begin, if the line begins its definition.
fn opening(line: &str, function: &str) -> Option<usize> {
    let rest = line.strip_prefix("async ").map_or(line, str::trim_start);
    let rest = rest.strip_prefix("def ")?.trim_start().strip_prefix(function)?.trim_start().strip_prefix('(')?;
    Some(line.len() - rest.len())
}

/// Splits parameters at the commas between them, until the parenthesis that closes them.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut remaining = Some(text);
    std::iter::from_fn(move || {
        let text = remaining.take()?;
        let (end, is_last) = end_of_parameter(text)?;
        if !is_last {
            remaining = text.get(end + 1..);
        }
        text.get(..end)
    })
}

/// Returns the position of the comma or parenthesis that ends the first parameter, and whether it is the parenthesis.
fn end_of_parameter(text: &str) -> Option<(usize, bool)> {
    let mut depth = 0_u32;
    let mut chars = text.char_indices();
    while let Some((position, char)) = chars.next() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => return Some((position, true)),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return Some((position, false)),
            '#' => {
                chars.find(|(_, char)| *char == '\n');
            }
            '"' | '\'' => skip_text(&mut chars, char),
            _ => {}
        }
    }
    None
}

/// Skips a text in quotes.
fn skip_text(chars: &mut impl Iterator<Item = (usize, char)>, quote: char) {
    while let Some((_, char)) = chars.next() {
        match char {
            '\\' => {
                chars.next();
            }
            char if char == quote => return,
            _ => {}
        }
    }
}

/// Returns the name of a parameter. `None` for the one that takes all others, and for what is no parameter.
fn name_of(parameter: &str) -> Option<&str> {
    let code = parameter.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let end = code.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(code.len());
    code.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_last_definition_on_the_top_level() {
        assert_eq!(parameter_names("def work(account):\n    pass\n", "work"), ["account"]);
        assert_eq!(parameter_names("async  def work (a, b = 1):", "work"), ["a", "b"]);
        assert_eq!(parameter_names("def work(a): ...\ndef work(b): ...\n", "work"), ["b"]);
        assert_eq!(parameter_names("def worker(a): ...\n  def work(b): ...\n", "work"), [""; 0]);
        assert_eq!(parameter_names("work = 1", "work"), [""; 0]);
    }

    #[test]
    fn annotations_defaults_and_comments_are_skipped() {
        let source = "def work(\n    a: dict[str, int] = {'x': (1, 2)},  # not (this, one\n    # nor this\n    b=\",)\",\n    *rest,\n    c=3,\n): pass";
        assert_eq!(parameter_names(source, "work"), ["a", "b"]);
    }

    #[test]
    fn what_is_no_python_has_no_names() {
        for source in ["def work(", "def work(a, b", "def work(a, 'x", "def work(a=\\", "def work()", "def work(,)"] {
            let names = parameter_names(source, "work");
            assert!(names.len() <= 1, "{source}: {names:?}");
        }
    }
}
