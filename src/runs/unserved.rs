//! Warnings that jobs wait although no worker serves their scope.

use std::collections::BTreeSet;

use bue_model::wire::{RunView, UnservedScope};

use crate::process::output::{counted, eprint_line};

/// The steps that a warning names.
const MAX_STEPS: usize = 3;

/// The scopes that were warned of, so that each warning is printed once.
#[derive(Default)]
pub(crate) struct UnservedWarnings(BTreeSet<String>);

impl UnservedWarnings {
    /// Returns the warnings that are new.
    pub(crate) fn new_ones(&mut self, view: &RunView) -> Vec<String> {
        let unserved: BTreeSet<String> = view.unserved.iter().map(|scope| scope.scope.clone()).collect();
        let new: Vec<String> =
            view.unserved.iter().filter(|scope| !self.0.contains(&scope.scope)).map(unserved_text).collect();
        // a scope whose worker comes and goes is warned of again
        self.0 = unserved;
        new
    }
}

/// Prints a warning for each scope of a run that has waiting jobs and no worker.
pub(crate) fn warn_unserved(view: &RunView) {
    view.unserved.iter().for_each(|scope| eprint_line(&unserved_text(scope)));
}

/// `warning: no worker …`
pub(crate) fn unserved_text(unserved: &UnservedScope) -> String {
    let UnservedScope { scope, steps, more_steps, jobs } = unserved;
    let mut names: Vec<String> = steps.iter().take(MAX_STEPS).map(|step| format!("`{step}`")).collect();
    let more = steps.len().saturating_sub(MAX_STEPS) as u64 + more_steps;
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let jobs = counted(usize::try_from(*jobs).unwrap_or(usize::MAX), "job");
    format!(
        "warning: no worker serves scope `{scope}`\n  {jobs} waiting: {}\n  start one: bue worker -s {scope}",
        names.join(", ")
    )
}
