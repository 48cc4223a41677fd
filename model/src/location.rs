//! Which execution of a step it was: its round of each loop around it ([`Round`]) and its arguments ([`ArgumentSummary`]).

use serde::{Deserialize, Serialize};

use crate::text::{ELLIPSIS, is_printable, truncate_bytes};

/// The largest number of bytes of a [summary](ArgumentSummary::bounded): of all names and values together.
pub const MAX_SUMMARY_BYTES: usize = 200;

/// The largest number of arguments in a summary.
pub const MAX_ARGUMENTS: usize = 8;

/// The largest number of bytes of an argument's name.
const MAX_NAME_BYTES: usize = 40;

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

/// Returns the printable part of a text, cut to `limit` bytes.
fn take(text: &str, limit: usize) -> String {
    let mut printable: String = text.chars().filter(|char| is_printable(*char)).take(limit + 1).collect();
    if printable.len() > limit {
        truncate_bytes(&mut printable, limit.saturating_sub(ELLIPSIS.len_utf8()));
        printable.extend((limit >= ELLIPSIS.len_utf8()).then_some(ELLIPSIS));
    }
    printable
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
