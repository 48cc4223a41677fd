//! stderr is talk, stdout is data.

use std::io::{self, IsTerminal, Write};

use crate::stop::Stop;

/// A line of talk. Nobody listening is no error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Text as it is, for what ends its lines itself.
pub(crate) fn say_text(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether talk may be coloured: a terminal, and nobody said `NO_COLOR`.
pub(crate) fn colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    talks_to_terminal() && !refused
}

/// Whether a person watches stderr.
pub(crate) fn talks_to_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A line of data.
pub(crate) fn print(line: &str) -> Result<(), Stop> {
    print_text(&format!("{line}\n"))
}

/// Data as it is.
pub(crate) fn print_text(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Stop::from_stdout)
}
