//! Runs compilers: without the variables that configure other builds, and with their error output shown.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use bue_lang::BuildProblem;

use super::problem::{problem, problem_with_hint};
use crate::process::output::{eprint_coloured, eprint_line};

/// The variables that compilers get: where programs and files are, how to reach the network, and how to print. Nothing else, because
/// a program such as `build.rs` may be somebody else's, and any variable may be a password. `runtime/build.rs` builds our own code.
const PASSED: [&str; 25] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "LANG",
    "TZ",
    "TERM",
    "NO_COLOR",
    "CLICOLOR",
    "CARGO_HOME",
    "SDKROOT",
    "WASI_SDK_PATH",
    "SOURCE_DATE_EPOCH",
    "GOROOT",
    "GOPATH",
    "GOCACHE",
    "GOMODCACHE",
    "GOPROXY",
    "GOPRIVATE",
    "GOSUMDB",
    "GOTOOLCHAIN",
    "GOFLAGS",
];
/// Prefixes of others. cargo's are about registries, without their tokens.
const PASSED_PREFIXES: [&str; 8] =
    ["LC_", "XDG_", "RUSTUP_", "SSL_CERT_", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
/// Endings of variables for proxies, in either case.
const PASSED_ENDING: &str = "_proxy";
/// Endings of those with passwords.
const SECRET_ENDINGS: [&str; 4] = ["TOKEN", "PASSWORD", "SECRET", "CREDENTIAL_PROVIDER"];

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

/// Makes a command with the variables that compilers need, and no others.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed)));
    command
}

fn is_passed(name: &str) -> bool {
    let is_needed = PASSED.contains(&name)
        || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.to_ascii_lowercase().ends_with(PASSED_ENDING);
    is_needed && !SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
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
