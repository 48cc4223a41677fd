//! Output: data goes to stdout, messages for people go to stderr. None of these functions prints control characters that came
//! from others, see `control_characters.rs`.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;

use crate::process::command_error::CommandError;
use crate::process::control_characters::{with_colours_only, without_control_characters, write_json};

/// Moves to the upper left corner of the terminal and clears it.
const CLEAR_SCREEN: &str = "\u{1b}[H\u{1b}[2J";

/// Clears from the cursor to the end of the line.
const CLEAR_LINE: &str = "\u{1b}[K";

/// Prints a message and a newline to stderr. A failed write is ignored: there is nowhere to report it.
pub(crate) fn eprint_line(line: &str) {
    eprint_text(&format!("{line}\n"));
}

/// Prints text that has its own newlines to stderr, as [`eprint_line`] does.
pub(crate) fn eprint_text(text: &str) {
    let _ = io::stderr().lock().write_all(without_control_characters(text).as_bytes());
}

/// Prints text with colours and a newline to stderr, without the colours if they are not wanted.
pub(crate) fn eprint_coloured(text: &str) {
    let _ = LogOutput.write_all(format!("{text}\n").as_bytes());
}

/// Writes lines that may have colours to stderr. Each write must be whole lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOutput;

impl Write for LogOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = if use_colour() { with_colours_only(&text) } else { without_control_characters(&text) };
        io::stderr().lock().write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
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

/// Prints data that has its own newlines to stdout.
pub(crate) fn print_text(text: &str) -> Result<(), CommandError> {
    print_raw(&without_control_characters(text))
}

/// Prints a value as JSON, on one line.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    print_line(&json_text(value)?)
}

/// Formats a value as JSON of printable characters, on one line.
pub(crate) fn json_text(value: &impl Serialize) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    write_json(&mut bytes, value).context("failed to write JSON")?;
    String::from_utf8(bytes).context("failed to write JSON")
}

/// Clears the terminal.
pub(crate) fn clear_screen() -> Result<(), CommandError> {
    print_raw(CLEAR_SCREEN)
}

/// Replaces the line of the terminal on which the cursor is. A newline at its end keeps it. Cuts it off at this many columns, because
/// a longer one would continue in the next row and stay there.
pub(crate) fn redraw_line(text: &str, columns: Option<usize>) -> Result<(), CommandError> {
    let text: String = without_control_characters(text).chars().take(columns.unwrap_or(usize::MAX)).collect();
    print_raw(&format!("\r{CLEAR_LINE}{text}"))
}

fn print_raw(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CommandError::from_stdout)
}

/// A table without borders: readable, and easy to split into columns with `awk`.
pub(crate) fn plain_table<const N: usize>(header: [&str; N]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    table
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
