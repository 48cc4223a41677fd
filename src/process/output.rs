//! Output: data goes to stdout, messages for people go to stderr.

use std::io::{self, IsTerminal, Write};

use crate::process::command_error::CommandError;

/// Prints a message and a newline to stderr. A failed write is ignored: there is nowhere to report it.
pub(crate) fn eprint_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints text that has its own newlines to stderr, as [`eprint_line`] does.
pub(crate) fn eprint_text(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Prints the reason why the user's program is wrong, and returns the matching error.
pub(crate) fn program_failed(message: &str) -> CommandError {
    eprint_line(&format!("error: {message}"));
    CommandError::ProgramFailed
}

/// Returns whether messages may be coloured: stderr is a terminal and `NO_COLOR` is not set.
pub(crate) fn use_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stderr_is_terminal() && !no_color
}

/// Returns whether stderr is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints data and a newline to stdout.
pub(crate) fn print_line(line: &str) -> Result<(), CommandError> {
    print_text(&format!("{line}\n"))
}

/// Prints data to stdout as it is.
pub(crate) fn print_text(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CommandError::from_stdout)
}

/// A table without borders: readable, and easy to split into columns with `awk`.
pub(crate) fn plain_table<const N: usize>(header: [&str; N]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    table
}

/// Returns the text without characters that would control the terminal or reorder the text around them. Tabs and line breaks stay.
pub(crate) fn without_control_characters(text: &str) -> String {
    let is_bidirectional = |char| matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|char| matches!(char, '\n' | '\t') || !(char.is_control() || is_bidirectional(*char))).collect()
}

/// Formats a number of bytes: `340 bytes`, `1.2 KiB`.
pub(crate) fn bytes_text(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal place is shown")]
    let scaled = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..1024 => counted(usize::try_from(bytes).unwrap_or(usize::MAX), "byte"),
        1024..1_048_576 => format!("{:.1} KiB", scaled(1024)),
        _ => format!("{:.1} MiB", scaled(1_048_576)),
    }
}

/// Formats a number with its noun: `1 package`, `2 packages`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
