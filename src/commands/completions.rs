//! `bue completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::commands::Bue;
use crate::stop::Stop;
use crate::talk::print_text;

/// Prints a completion script for a shell.
///
/// For example: bue completions bash > ~/.local/share/bash-completion/completions/bue
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Bue::command(), "bue", &mut script);
        print_text(&String::from_utf8_lossy(&script))
    }
}
