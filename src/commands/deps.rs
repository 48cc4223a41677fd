//! `bue deps lock FILE` and `bue deps check FILE`.

mod check;
mod lock;

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, Subcommand};

use crate::deps::needs::{Needs, needs};
use crate::script::examine;
use crate::stop::Stop;
use crate::talk::say;

/// Locks and checks the Python packages that a script's steps need.
///
/// A step says what it needs with `!requires NAME`, or in a requirements.txt beside it or beside the script. docs/packages.md says
/// which packages work.
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
    pub(crate) fn execute(self) -> Result<(), Stop> {
        match self.verb {
            Verb::Lock(verb) => verb.execute(),
            Verb::Check(verb) => verb.execute(),
        }
    }
}

/// Every list of needs that steps of a script have, once. What is wrong with the script has been said if this fails.
fn needs_of(script: &Path) -> Result<BTreeSet<Needs>, Stop> {
    let examined = examine(script, None, None).map_err(|message| stop(&message))?;
    examined.say_complaints();
    let plan = examined.into_plan()?;
    let found: Result<BTreeSet<Needs>, String> = plan.steps.iter().map(|step| needs(step, script)).collect();
    let found = found.map_err(|message| stop(&format!("{message} (E0062)")))?;
    Ok(found.into_iter().filter(|needs| !needs.is_empty()).collect())
}

fn stop(message: &str) -> Stop {
    say(&format!("error: {message}"));
    Stop::Program
}
