//! Compilers are other people's programs: found, run without what steers other builds, and heard where they complain.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, IsTerminal};
use std::path::Path;
use std::process::Command;

use bue_lang::BuildProblem;

use super::problem;
use crate::talk::say;

/// Variables beginning so steer builds of this machine's programs and would steer one for WebAssembly the wrong way.
const OTHER_BUILDS: [&str; 4] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
/// Variables that say where things are or how the network is reached.
const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTR", "CARGO_SOURCE"];

/// A tool as it is asked to build something.
pub(super) struct Tool<'a> {
    /// What to run.
    pub(super) program: &'a OsStr,
    /// How one gets it.
    pub(super) install: &'a str,
    /// The step that wants it.
    pub(super) step: &'a str,
    /// What is built.
    pub(super) source: &'a Path,
}

/// A command that knows nothing of other builds.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let begins = |name: &str, list: &[&str]| list.iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os() {
        if let Some(name) = name.to_str()
            && begins(name, &OTHER_BUILDS)
            && !begins(name, &KEPT)
        {
            command.env_remove(name);
        }
    }
    command.env_remove("MAKEFLAGS");
    command
}

impl Tool<'_> {
    /// Runs it. What it printed is shown as it printed it, if it failed.
    pub(super) fn run(&self, command: &mut Command) -> Result<Vec<u8>, BuildProblem> {
        let output = match command.output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.missing()),
            Err(error) => {
                return Err(BuildProblem { message: format!("failed to run {}: {error}", self.name()), hint: None });
            }
        };
        if output.status.success() {
            return Ok(output.stdout);
        }
        say(String::from_utf8_lossy(&output.stderr).trim_end());
        let message = format!("`{}` does not build; what {} said stands above", self.source.display(), self.name());
        Err(BuildProblem { message, hint: None })
    }

    /// Says what is going on: it may take a while.
    pub(super) fn announce(&self) {
        say(&format!("bue: building step `{}` from {}", self.step, self.source.display()));
    }

    fn missing(&self) -> BuildProblem {
        let message = format!("step `{}` needs {}, which is not installed here", self.step, self.name());
        problem(message, self.install)
    }

    fn name(&self) -> String {
        Path::new(self.program).file_name().unwrap_or(self.program).to_string_lossy().into_owned()
    }
}

/// What a compiler should do about colours.
pub(super) fn colour() -> &'static str {
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if coloured { "always" } else { "never" }
}

/// A short name of a path, the same every time.
pub(super) fn name_of(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
