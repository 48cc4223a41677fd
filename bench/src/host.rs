//! Lets a benchmark start itself as a sandbox host or compiler process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bue_runtime::serve_sandbox_host;

/// The argument with which this program starts itself.
const SERVE: &str = "sandbox-host";

/// Returns the command that starts this program as a sandbox host.
///
/// # Errors
/// The path of this program is unknown.
pub fn host_command() -> Result<(PathBuf, Vec<OsString>)> {
    Ok((std::env::current_exe()?, vec![SERVE.into()]))
}

/// Runs the benchmark, unless this process is a sandbox host.
#[expect(clippy::print_stderr, reason = "a benchmark prints why it failed")]
#[must_use]
pub fn measure_or_serve(measure: fn() -> Result<()>) -> ExitCode {
    if std::env::args().nth(1).is_some_and(|first| first == SERVE) {
        return serve_sandbox_host();
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
