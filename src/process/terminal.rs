//! The width of the terminal.

use console::Term;

/// Returns the number of columns for output on stdout; `None` if there is no limit, because stdout is not a terminal.
pub(crate) fn stdout_width() -> Option<usize> {
    width(&Term::stdout())
}

/// Returns the number of columns for messages on stderr; `None` if stderr is not a terminal.
pub(crate) fn stderr_width() -> Option<usize> {
    width(&Term::stderr())
}

/// `COLUMNS` overrides the terminal's own width, and sets one where there is no terminal.
fn width(term: &Term) -> Option<usize> {
    let variable = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok()).filter(|width| *width > 0);
    variable.or_else(|| term.size_checked().map(|(_, columns)| usize::from(columns)))
}
