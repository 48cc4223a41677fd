//! `bue schedule VERB`: when a hub starts runs of published pipelines by itself.

mod add;
mod apply;
mod backfill;
mod due_text;
mod json_fields;
mod list;
mod pause;
mod remove;
mod resume;
mod run;
mod show;

use clap::{Args, Subcommand};

use crate::process::command_error::CommandError;

/// Starts runs of published pipelines at set times.
///
/// A hub starts them, without this command. docs/schedules.md describes time zones, overlaps and what happens after an
/// interruption.
#[derive(Debug, Args)]
pub(crate) struct Schedule {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Box<add::Add>),
    List(list::List),
    Show(show::Show),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Run(run::Run),
    Backfill(backfill::Backfill),
    Apply(apply::Apply),
    Remove(remove::Remove),
}

impl Schedule {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        match self.verb {
            Verb::Add(verb) => verb.execute(),
            Verb::List(verb) => verb.execute(),
            Verb::Show(verb) => verb.execute(),
            Verb::Pause(verb) => verb.execute(),
            Verb::Resume(verb) => verb.execute(),
            Verb::Run(verb) => verb.execute(),
            Verb::Backfill(verb) => verb.execute(),
            Verb::Apply(verb) => verb.execute(),
            Verb::Remove(verb) => verb.execute(),
        }
    }
}
