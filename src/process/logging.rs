//! The log of hub, bucket and worker, written to stderr.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::process::output::{LogOutput, use_colour};

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// Writes the log of all crates to stderr, from `level` up; the variable `BUE_LOG` replaces the level by a filter (`debug`,
/// `bue_hub=trace`).
pub(crate) fn start_logging(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_env("BUE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber =
        tracing_subscriber::fmt().with_writer(|| LogOutput).with_ansi(use_colour()).with_env_filter(filter);
    // A line that cannot be written, usually because the disk is full, must not end the process: by default the subscriber
    // reports the failure on stderr too, and panics where stderr is that full file.
    let subscriber = subscriber.log_internal_errors(false);
    // A second subscriber is refused and the first one stays, which is what we want.
    let _ = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
}
