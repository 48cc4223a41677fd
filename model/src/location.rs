//! Which execution of a step it was: its round of each loop around it ([`Round`]) and its arguments ([`ArgumentSummary`]).

use serde::{Deserialize, Serialize};

/// The largest number of bytes of a [summary](ArgumentSummary::bounded): of all names and values together.
pub const MAX_SUMMARY_BYTES: usize = 200;

/// The largest number of arguments in a summary.
pub const MAX_ARGUMENTS: usize = 8;

/// The largest number of bytes of an argument's name.
const MAX_NAME_BYTES: usize = 40;

/// What stands for the part that was cut off.
const ELLIPSIS: &str = "…";

/// A round of a loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The loop variable's name.
    pub variable: String,
    /// The line of the `for`, from 1.
    pub line: u32,
    /// Which round it is, from 1.
    pub round: u64,
    /// The number of rounds of the loop.
    pub rounds: u64,
}

/// An argument of a failed attempt, in short and for people. The worker makes it, because the hub never reads values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgumentSummary {
    /// The name of the parameter, or of the loop variable or call that the argument comes from. `None` if it has none.
    pub name: Option<String>,
    /// The value as Python would print it, cut to some tens of characters: `{'id': 7, …}`.
    pub value: String,
}

impl ArgumentSummary {
    /// Returns the summary of an attempt's arguments without invisible characters, and cut to [`MAX_ARGUMENTS`] and
    /// [`MAX_SUMMARY_BYTES`].
    #[must_use]
    pub fn bounded(arguments: Vec<Self>) -> Vec<Self> {
        let mut remaining = MAX_SUMMARY_BYTES;
        let mut bounded = Vec::new();
        for argument in arguments.into_iter().take(MAX_ARGUMENTS) {
            let name = argument.name.map(|name| take(&name, MAX_NAME_BYTES.min(remaining)));
            remaining -= name.as_ref().map_or(0, String::len);
            let value = take(&argument.value, remaining);
            remaining -= value.len();
            bounded.push(Self { name, value });
        }
        bounded
    }
}

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

/// Returns the printable part of a text, cut to `limit` bytes.
fn take(text: &str, limit: usize) -> String {
    let printable: String = text.chars().filter(|char| is_printable(*char)).take(limit + 1).collect();
    if printable.len() <= limit {
        return printable;
    }
    let end = printable.floor_char_boundary(limit.saturating_sub(ELLIPSIS.len()));
    format!("{}{}", printable.get(..end).unwrap_or_default(), if limit < ELLIPSIS.len() { "" } else { ELLIPSIS })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(name: &str, value: &str) -> ArgumentSummary {
        ArgumentSummary { name: Some(name.into()), value: value.into() }
    }

    #[test]
    fn a_summary_is_cut_and_has_no_invisible_characters() {
        let hostile = argument("a\u{1b}[31m", "x\u{202e}y\n\0z");
        assert_eq!(ArgumentSummary::bounded(vec![hostile]), [argument("a[31m", "xyz")]);

        let long = vec![argument(&"n".repeat(1_000), &"é".repeat(1_000)); 1_000];
        let bounded = ArgumentSummary::bounded(long);
        let bytes: usize = bounded.iter().map(|one| one.value.len() + one.name.as_ref().map_or(0, String::len)).sum();
        assert!(bytes <= MAX_SUMMARY_BYTES, "{bytes} bytes: {bounded:?}");
        assert!(bounded[0].value.ends_with('…'), "{bounded:?}");
    }
}
