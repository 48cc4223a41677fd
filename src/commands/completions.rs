//! `bue completions SHELL`.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::process::command_error::CommandError;
use crate::process::output::print_text;

/// Prints a completion script for a shell.
///
/// For example: bue completions bash > ~/.local/share/bash-completion/completions/bue
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// `bue` is the definition of the whole command line.
    pub(crate) fn execute(self, mut bue: Command) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut bue, "bue", &mut script);
        print_text(&String::from_utf8_lossy(&script))
    }
}
