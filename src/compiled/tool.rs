//! Runs compilers: without the variables that configure other builds, and with their error output shown.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use bue_lang::BuildProblem;

use super::problem::{problem, problem_with_hint};
use crate::process::output::{eprint_coloured, eprint_line};
use crate::process::secrets::without_secrets;

/// Prefixes of variables that configure builds for this machine and would break builds for WebAssembly.
const OUTER_BUILD_PREFIXES: [&str; 4] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
/// Prefixes of the exceptions: where files are, and how to reach the network. `runtime/build.rs` has the same two lists.
const INHERITED_PREFIXES: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTR", "CARGO_SOURCE"];

/// A tool that builds a step.
pub(super) struct Tool<'a> {
    /// The program to run.
    pub(super) program: &'a OsStr,
    /// How to install it.
    pub(super) install_hint: &'a str,
    /// The name of the step.
    pub(super) step: &'a str,
    /// The file or folder that is built.
    pub(super) source: &'a Path,
}

/// Makes a command without the variables of other builds, and without secrets.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = without_secrets(program);
    let has_prefix = |name: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if has_prefix(name, &OUTER_BUILD_PREFIXES) && !has_prefix(name, &INHERITED_PREFIXES) {
            command.env_remove(name);
        }
    }
    command.env_remove("MAKEFLAGS");
    command
}

impl Tool<'_> {
    /// Runs a command and returns its stdout. If it fails, prints its stderr, with its colours.
    pub(super) fn run(&self, command: &mut Command) -> Result<Vec<u8>, BuildProblem> {
        let output = match command.output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.missing()),
            Err(error) => return Err(problem(format!("failed to run {}: {error}", self.name()))),
        };
        if output.status.success() {
            return Ok(output.stdout);
        }
        eprint_coloured(String::from_utf8_lossy(&output.stderr).trim_end());
        Err(problem(format!("failed to build `{}`; the output of {} is above", self.source.display(), self.name())))
    }

    /// Prints what is being built, because it may take a while.
    pub(super) fn announce(&self) {
        eprint_line(&format!("bue: building step `{}` from {}", self.step, self.source.display()));
    }

    fn missing(&self) -> BuildProblem {
        let message = format!("step `{}` needs {}, which is not installed", self.step, self.name());
        problem_with_hint(message, self.install_hint)
    }

    fn name(&self) -> String {
        Path::new(self.program).file_name().unwrap_or(self.program).to_string_lossy().into_owned()
    }
}
