//! The reason for which a source does not parse, in the words that CPython has for it.

use super::module::SyntaxProblem;
use crate::source::{LineIndex, Position};

/// Statements of Python 2 that are functions of Python 3.
const FORMER_STATEMENTS: [&str; 2] = ["print", "exec"];

/// The problem at a byte. `reason` is what the parser says.
pub(super) fn problem(source: &str, at: usize, reason: String) -> SyntaxProblem {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let lines = LineIndex::new(source);
    let Position { line, column } = lines.position(source, at);
    let text = lines.text(source, line);
    let before: String = text.chars().take(column as usize).collect();
    match former_statement(&before) {
        Some(name) => {
            let message = format!("Missing parentheses in call to '{name}'. Did you mean {name}(...)?");
            let indent = before.chars().take_while(|char| char.is_whitespace()).count();
            SyntaxProblem { line, column: u32::try_from(indent + 1).unwrap_or(column), message }
        }
        None => SyntaxProblem { line, column, message: reason },
    }
}

/// `print "x"`: a name, a blank, and something that is neither an operator nor a bracket.
fn former_statement(before: &str) -> Option<&'static str> {
    let text = before.trim_start();
    FORMER_STATEMENTS.into_iter().find(|name| {
        let argument = text.strip_prefix(name).and_then(|rest| rest.strip_prefix([' ', '\t']));
        argument.is_some_and(|argument| {
            argument
                .trim_start()
                .starts_with(|char: char| char.is_alphanumeric() || ['"', '\'', '_', '`'].contains(&char))
        })
    })
}
