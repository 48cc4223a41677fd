//! Benchmarks that are sandbox hosts, or compilers of steps, of their own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bue_runtime::serve_sandbox_host;

/// The hidden verb.
const SERVE: &str = "sandbox-host";

/// What starts this program as its own child.
///
/// # Errors
/// It does not know where it is.
pub fn host_command() -> Result<(PathBuf, Vec<OsString>)> {
    Ok((std::env::current_exe()?, vec![SERVE.into()]))
}

/// Measures, unless this program was started as its own child.
#[expect(clippy::print_stderr, reason = "a benchmark says why it cannot")]
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
