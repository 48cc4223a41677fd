//! [`Context`]: what is known while a file is read.

use std::collections::HashSet;

use crate::pypeline::names::published_name;
use crate::pypeline::problem::{Place, Problems, quoted};
use crate::pypeline::project::Generation;
use crate::pypeline::variables::Variables;

/// What is known while a file is read, and what was found to be wrong.
#[derive(Debug)]
pub(in crate::pypeline) struct Context {
    /// Errors and warnings so far.
    pub(in crate::pypeline) problems: Problems,
    /// Values of variables.
    pub(in crate::pypeline) variables: Variables,
    /// Which PypeLine the file is for.
    pub(in crate::pypeline) generation: Generation,
    /// Names of scripts, in small letters: some file systems do not distinguish them from large ones.
    script_names: HashSet<String>,
}

impl Context {
    /// Nothing is read yet.
    pub(in crate::pypeline) fn new(generation: Generation, variables: Variables) -> Self {
        Self { problems: Problems::default(), variables, generation, script_names: HashSet::new() }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.error(place, message, hint);
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.warning(place, message, hint);
    }

    /// Returns the name of a script: the one it has in the YAML, unless bue does not take it or another script has it.
    pub(super) fn script_name(&mut self, wanted: &str, place: Place) -> String {
        let name = published_name(wanted);
        let free = core::iter::once(name.clone())
            .chain((2..).map(|number: u32| format!("{name}-{number}")))
            .find(|name| !self.script_names.contains(&name.to_lowercase()))
            .unwrap_or(name);
        self.script_names.insert(free.to_lowercase());
        if free != wanted {
            let message = format!("the pipeline of {} is called `{free}`", quoted(wanted));
            self.warning(
                place,
                message,
                "names have letters, digits, `-`, `_` and `.`, and are different from each other",
            );
        }
        free
    }
}
