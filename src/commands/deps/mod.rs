//! `bue deps lock FILE` and `bue deps check FILE`.

mod check;
mod lock;
mod requirements;

use clap::{Args, Subcommand};

use crate::process::command_error::CommandError;

/// Locks and checks the Python packages that a script's steps require.
///
/// A step names its packages with `!requires NAME`, or in a requirements.txt beside it or beside the script. docs/packages.md
/// says which packages work.
#[derive(Debug, Args)]
pub(crate) struct Deps {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Lock(lock::Lock),
    Check(check::Check),
}

impl Deps {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        match self.verb {
            Verb::Lock(verb) => verb.execute(),
            Verb::Check(verb) => verb.execute(),
        }
    }
}
