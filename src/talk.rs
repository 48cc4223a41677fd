//! stderr is talk, stdout is data.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

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

/// A table without frames: readable, and cut into columns as easily by `awk`.
pub(crate) fn plain_table<const N: usize>(head: [&str; N]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(head);
    table
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line, for programs that gather logs.
    Json,
}

/// What the crates below log goes to stderr, from `level` on; `BUE_LOG` says otherwise (`debug`, `bue_hub=trace`).
pub(crate) fn start_logging(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_env("BUE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(colour()).with_env_filter(filter);
    // A log that cannot be written, on a full disk mostly, must not end what would have written it: by default that is said on
    // stderr too, with a panic where stderr is that log.
    let log = log.log_internal_errors(false);
    // A second subscriber is refused: the first one stays, which is what we want.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
