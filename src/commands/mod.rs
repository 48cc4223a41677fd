//! The verbs.

mod completions;

use clap::{Parser, Subcommand};

use crate::stop::Stop;

/// Short scripts, many I/O-bound steps, every one in a fresh sandbox.
#[derive(Debug, Parser)]
#[command(name = "bue", version, max_term_width = 100)]
pub(crate) struct Bue {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Completions(completions::Completions),
}

impl Bue {
    /// Does what the command line says.
    pub(crate) fn execute(self) -> Result<(), Stop> {
        match self.verb {
            Verb::Completions(verb) => verb.execute(),
        }
    }
}
